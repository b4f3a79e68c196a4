/** The chunks of one disk, as files. What this answers has happened on the medium, not only in memory. */
import { constants, type StatsFs } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat, statfs } from "node:fs/promises";
import { dirname, join } from "node:path";
import { failure } from "../../kernel/errors.ts";
import { folderOf } from "../domain/chunk.ts";
import type { PutHeader } from "../domain/put.ts";
import { roomLeft } from "../domain/room.ts";
import { emptyBin, moveToBin } from "./bin.ts";
import { Epoch } from "./epoch.ts";
import { type DiskFolder, openFolder } from "./folder.ts";
import { Incoming } from "./incoming.ts";
import { syncFolder } from "./io.ts";
import { StoredChunk } from "./stored.ts";
import { Turns } from "./turns.ts";

/** A deleted chunk can be brought back for a day by hand; a bad one can be looked at for a week. */
const TRASH_KEEP_MS = 24 * 3600 * 1000;
const QUARANTINE_KEEP_MS = 7 * TRASH_KEEP_MS;

export interface DiskUsage {
  readonly capacityBytes: number;
  /** What it would still take. */
  readonly freeBytes: number;
  readonly chunks: number;
  readonly epoch: number;
}

export class ChunkStore {
  readonly #folder: DiskFolder;
  readonly #epoch: Epoch;
  readonly #reserveBytes: number;
  readonly #turns = new Turns();
  /** Folders whose every entry is known to be durable: this process has synced them, and syncs them after each change. */
  readonly #durable = new Set<string>();
  #chunks = 0;
  #promisedBytes = 0;
  #drafts = 0;

  private constructor(folder: DiskFolder, epoch: Epoch, reserveBytes: number) {
    this.#folder = folder;
    this.#epoch = epoch;
    this.#reserveBytes = reserveBytes;
  }

  static async open(path: string, reserveBytes: number): Promise<ChunkStore> {
    const folder = await openFolder(path);
    const store = new ChunkStore(folder, await Epoch.read(folder), reserveBytes);
    store.#chunks = await countChunks(folder.chunks);
    return store;
  }

  get id(): string {
    return this.#folder.id;
  }

  /** Lets a chunk in. Undefined when it is here already and durable. DISK_STALE_EPOCH, DISK_FULL. */
  async begin(header: PutHeader): Promise<Incoming | undefined> {
    await this.#epoch.admit(header.epoch);
    if (await this.#turns.take(header.hash, () => this.#holds(header))) return undefined;
    await this.#promise(header.size);
    try {
      const path = join(this.#folder.tmp, `${header.hash}.${(this.#drafts += 1)}`);
      return new Incoming(header, path, await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL));
    } catch (error) {
      this.#promisedBytes -= header.size;
      throw error;
    }
  }

  /** Makes an incoming chunk durable under its name. Answers true when another writer was faster. CHUNK_CORRUPT, LENGTH_MISMATCH, DISK_STALE_EPOCH. */
  async publish(incoming: Incoming): Promise<boolean> {
    const { header } = incoming;
    await incoming.finish();
    return await this.#turns.take(header.hash, async () => {
      // A ring that changed during the upload may have given the chunk to other disks.
      await this.#epoch.admit(header.epoch);
      if (await this.#holds(header)) return true;
      // These bytes are verified: a file of another length under this name is not, and is replaced.
      const there = await statIfThere(this.#pathOf(header.hash));
      await this.#name(incoming);
      if (!there) this.#chunks += 1;
      return false;
    });
  }

  /** Ends what `begin` started, on whatever way it ended. */
  async end(incoming: Incoming): Promise<void> {
    this.#promisedBytes -= incoming.header.size;
    await incoming.discard();
  }

  /** Opens a chunk for reading; the caller closes it. CHUNK_NOT_FOUND. */
  async read(hash: string): Promise<StoredChunk> {
    return await StoredChunk.open(hash, this.#pathOf(hash));
  }

  /** The length of a chunk, bytes; undefined when it is not here. */
  async stat(hash: string): Promise<number | undefined> {
    return (await statIfThere(this.#pathOf(hash)))?.size;
  }

  /** Moves a chunk to the trash. Answers whether it was here. DISK_STALE_EPOCH. */
  async remove(hash: string, epoch: number): Promise<boolean> {
    return await this.#turns.take(hash, async () => {
      await this.#epoch.admit(epoch);
      return await this.#bin(hash, this.#folder.trash);
    });
  }

  /** Takes a bad chunk out of service, unless a good one has taken its place meanwhile. Answers whether it did. */
  async quarantine(chunk: StoredChunk): Promise<boolean> {
    return await this.#turns.take(chunk.hash, async () => {
      const there = await statIfThere(this.#pathOf(chunk.hash));
      return there?.ino === chunk.inode && (await this.#bin(chunk.hash, this.#folder.quarantine));
    });
  }

  async usage(): Promise<DiskUsage> {
    const fs = await statfs(this.#folder.chunks);
    return {
      capacityBytes: fs.blocks * fs.bsize,
      freeBytes: this.#roomLeft(fs),
      chunks: this.#chunks,
      epoch: this.#epoch.highest,
    };
  }

  /** Unlinks what was deleted long ago. Answers how many files. */
  async emptyBins(signal: AbortSignal): Promise<number> {
    const trash = await emptyBin(this.#folder.trash, TRASH_KEEP_MS, signal);
    return trash + (await emptyBin(this.#folder.quarantine, QUARANTINE_KEEP_MS, signal));
  }

  close(): void {
    this.#folder.unlock();
  }

  #pathOf(hash: string): string {
    return join(this.#folder.chunks, folderOf(hash), hash);
  }

  /** Whether a chunk is here as declared, and stays through a power cut. */
  async #holds(header: PutHeader): Promise<boolean> {
    const path = this.#pathOf(header.hash);
    if ((await statIfThere(path))?.size !== header.size) return false;
    // A former process may have died between rename and sync.
    await this.#settle(dirname(path));
    return true;
  }

  async #name(incoming: Incoming): Promise<void> {
    const path = this.#pathOf(incoming.header.hash);
    const folder = dirname(path);
    await this.#settle(folder);
    await rename(incoming.path, path);
    try {
      await syncFolder(folder);
    } catch (error) {
      // What is not durable must not be found.
      await rm(path, { force: true });
      throw error;
    }
  }

  /** Makes a folder below chunks/, and everything that is in it already durable. */
  async #settle(folder: string): Promise<void> {
    if (this.#durable.has(folder)) return;
    if (folder !== this.#folder.chunks) {
      const parent = dirname(folder);
      await this.#settle(parent);
      await mkdir(folder, { recursive: true });
      await syncFolder(parent);
    }
    await syncFolder(folder);
    this.#durable.add(folder);
  }

  async #bin(hash: string, bin: string): Promise<boolean> {
    const path = this.#pathOf(hash);
    if (!(await moveToBin(path, bin, { hash, nowMs: Date.now() }))) return false;
    this.#chunks -= 1;
    await syncFolder(dirname(path));
    return true;
  }

  async #promise(size: number): Promise<void> {
    const filesystem = await statfs(this.#folder.chunks);
    // Nothing is awaited between the look and the promise: two writers cannot both be given the last room.
    const left = this.#roomLeft(filesystem);
    if (left < size) throw failure("DISK_FULL", `A chunk of ${size} bytes does not fit: ${left} are left above the reserve.`);
    this.#promisedBytes += size;
  }

  #roomLeft(fs: StatsFs): number {
    return roomLeft({
      freeBytes: fs.bavail * fs.bsize,
      reserveBytes: this.#reserveBytes,
      promisedBytes: this.#promisedBytes,
      // Filesystems that make inodes as they go (btrfs) report none.
      freeFiles: fs.files > 0 ? fs.ffree : undefined,
    });
  }
}

async function statIfThere(path: string): Promise<{ size: number; ino: number } | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Files two folders below `path`. A million in 65 536 folders take about two seconds, a tenth of what a recursive `opendir` takes. */
async function countChunks(path: string): Promise<number> {
  let chunks = 0;
  for (const outer of await readdir(path)) {
    const inner = await readdir(join(path, outer));
    const files = await Promise.all(inner.map(async (name) => await readdir(join(path, outer, name))));
    chunks += files.flat().length;
  }
  return chunks;
}
