/**
 * The checksums of the blocks of chunks, so that a part of a chunk can be verified without the rest. They follow from the chunk, and that from
 * its name: they are never stale, can be made again from a chunk that is good, and need not survive a power cut. So they lie beside the
 * chunks, in files that are written without a sync and verified by a sum of their own:
 *
 *   sums/ab/<hash>   CRC-32 of each block (uint32, little endian), then CRC-32 of all that
 */
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { crc32 } from "node:zlib";
import { LRUCache } from "lru-cache";
import { BLOCK_BYTES, BlockSums, blocksIn } from "../../../proto/blocks.ts";
import { failure } from "../../kernel/errors.ts";
import { MESSAGE_BYTES } from "../../kernel/limits.ts";
import { writeFully } from "./io.ts";
import type { Files } from "./port.ts";
import type { StoredChunk } from "./stored.ts";

/** Shorter chunks are read and hashed in a millisecond; a second file would double what it costs to store them. */
const KEPT_FROM_BYTES = 1024 * 1024;
/** 2 MB of memory for 32 GB of chunks that are read in parts. */
const REMEMBERED_MAX = 4096;
const SUM_BYTES = 4;

type Table = Uint32Array;
/** Told how much was read. */
type Pause = (bytes: number) => Promise<void>;

export class Sums {
  readonly #files: Files;
  readonly #folder: string;
  /** Folders that are there. */
  readonly #made = new Set<string>();
  /** Counted by size: a limit of entries would take all of its memory at once. */
  readonly #remembered = new LRUCache<string, Table>({ maxSize: REMEMBERED_MAX, sizeCalculation: () => 1 });

  constructor(files: Files, folder: string) {
    this.#files = files;
    this.#folder = folder;
  }

  /** Of a chunk that is open, from memory, from its file, or from the chunk itself, all of which is verified then. CHUNK_CORRUPT. */
  async of(chunk: StoredChunk): Promise<Table> {
    const table = this.#remembered.get(chunk.hash) ?? (await this.#read(chunk));
    if (table) return this.#remember(chunk.hash, table);
    const made = this.#remember(chunk.hash, await verify(chunk));
    await this.#write(chunk, made);
    return made;
  }

  /** Verifies all of a chunk, and what is written of its sums. Waits for `pause` after each piece. CHUNK_CORRUPT. */
  async refresh(chunk: StoredChunk, pause?: Pause): Promise<void> {
    const table = await verify(chunk, pause);
    const written = await this.#read(chunk);
    if (!written || Buffer.compare(encode(written), encode(table)) !== 0) await this.#write(chunk, table);
  }

  /** Keeps the sums of a chunk that is verified, where that is worth it: shorter ones are mostly read whole, which needs none. */
  async keep({ hash, size }: { readonly hash: string; readonly size: number }, table: Table): Promise<void> {
    if (size < KEPT_FROM_BYTES) return;
    this.#remember(hash, table);
    await this.#write({ hash, size }, table);
  }

  /** When the chunk is gone. */
  async forget(hash: string): Promise<void> {
    this.#remembered.delete(hash);
    await this.#files.rm(this.#pathOf(hash), { force: true }).catch(() => undefined);
  }

  #remember(hash: string, table: Table): Table {
    this.#remembered.set(hash, table);
    return table;
  }

  #pathOf(hash: string): string {
    return join(this.#folder, hash.slice(0, 2), hash);
  }

  async #write({ hash, size }: { readonly hash: string; readonly size: number }, table: Table): Promise<void> {
    if (size < KEPT_FROM_BYTES) return;
    const path = this.#pathOf(hash);
    const folder = dirname(path);
    try {
      if (!this.#made.has(folder)) await this.#files.mkdir(folder, { recursive: true });
      this.#made.add(folder);
      const file = await this.#files.open(path, "w");
      try {
        await writeFully(file, encode(table), 0);
      } finally {
        await file.close();
      }
    } catch {
      // They can be made again, and so can the folder.
      this.#made.delete(folder);
    }
  }

  async #read({ hash, size }: StoredChunk): Promise<Table | undefined> {
    if (size < KEPT_FROM_BYTES) return undefined;
    const bytes = Buffer.alloc((blocksIn({ start: 0, end: size }) + 1) * SUM_BYTES);
    // Whatever is wrong with it, the chunk is the truth.
    const file = await this.#files.open(this.#pathOf(hash), "r").catch(() => undefined);
    try {
      const count = await file?.read(bytes, 0, bytes.length, 0).catch(() => undefined);
      return count?.bytesRead === bytes.length ? decode(bytes) : undefined;
    } finally {
      await file?.close();
    }
  }
}

/** Reads all of a chunk and answers the sums of its blocks. CHUNK_CORRUPT when it is not what its name says. */
async function verify(chunk: StoredChunk, pause?: Pause): Promise<Table> {
  const [hash, sums] = [createHash("sha256"), new BlockSums()];
  const buffer = Buffer.allocUnsafe(Math.min(MESSAGE_BYTES, chunk.size));
  for (let at = 0; at < chunk.size; at += buffer.length) {
    const bytes = buffer.subarray(0, Math.min(buffer.length, chunk.size - at));
    await chunk.read(bytes, at);
    hash.update(bytes);
    sums.update(bytes);
    await pause?.(bytes.length);
  }
  if (hash.digest("hex") !== chunk.hash) throw failure("CHUNK_CORRUPT", `The file of chunk ${chunk.hash} holds other bytes.`);
  return Uint32Array.from(sums.end());
}

/** The sums of what lies in a range of each block that it touches. Blocks that it cuts are read and verified here. CHUNK_CORRUPT. */
export async function sumsIn(chunk: StoredChunk, table: Table, range: { readonly start: number; readonly end: number }): Promise<number[]> {
  const first = Math.floor(range.start / BLOCK_BYTES);
  const sums = [...table.subarray(first, first + blocksIn(range))];
  for (const index of new Set([0, sums.length - 1])) {
    const start = (first + index) * BLOCK_BYTES;
    const end = Math.min(start + BLOCK_BYTES, chunk.size);
    if (range.start <= start && range.end >= end) continue;
    const block = Buffer.allocUnsafe(end - start);
    await chunk.read(block, start);
    if (crc32(block) !== sums[index]) throw failure("CHUNK_CORRUPT", `Block ${first + index} of chunk ${chunk.hash} is not what it was.`);
    sums[index] = crc32(block.subarray(Math.max(0, range.start - start), range.end - start));
  }
  return sums;
}

function encode(table: Table): Buffer {
  const bytes = Buffer.alloc((table.length + 1) * SUM_BYTES);
  table.forEach((sum, index) => bytes.writeUInt32LE(sum, index * SUM_BYTES));
  bytes.writeUInt32LE(crc32(bytes.subarray(0, -SUM_BYTES)), table.length * SUM_BYTES);
  return bytes;
}

function decode(bytes: Buffer): Table | undefined {
  const sums = bytes.subarray(0, -SUM_BYTES);
  if (crc32(sums) !== bytes.readUInt32LE(sums.length)) return undefined;
  return Uint32Array.from({ length: sums.length / SUM_BYTES }, (_, index) => sums.readUInt32LE(index * SUM_BYTES));
}
