/** Bytes in: from a stream, or from memory, to a blob that is safe. */
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { errorType, failure } from "../../kernel/errors.ts";
import { missingCopies, type MissingCopy, type StoredChunk } from "../domain/copies.ts";
import type { Cut } from "../domain/cut.ts";
import { needOf, suffice } from "../domain/quorum.ts";
import type { Placement, StorageDisk } from "../domain/ring.ts";
import type { Buffers } from "../memory/buffers.ts";
import { Permits } from "../../kernel/permits.ts";
import { type Sends, writeChunk } from "./chunk-write.ts";
import { cutBytes, cutStream, type Chunk } from "./cutting.ts";

/** Chunks of one blob at a time: one fills while two are being sent, or all three are. More would only take buffers from other uploads. */
const CHUNKS_AT_ONCE = 3;
/** Missing copies that go along with the commit, 130 bytes each beside up to 205 KB of hashes: a control message stays below 256 KB. */
const MISSING_PER_COMMIT = 200;
/** A chunk that is being deleted is gone from all disks that answer within seconds. */
const LEAVING_MS = 30_000;
const LEAVING_PAUSE_MS = 1000;
const MISSING_PER_REPORT = 1000;
/** How often the ring may change under one write. */
const RING_CHANGES_MAX = 3;

export interface NewBlob {
  readonly epoch: number;
  readonly size: number;
  readonly chunks: Uint8Array<ArrayBuffer>;
  /** When the first of its chunks was leased. */
  readonly leasedAt: string;
  readonly missing: MissingCopy[];
}

/** A chunk that is safe until its lease ends. */
interface LeasedChunk extends StoredChunk {
  readonly leasedAt: string;
}

interface Ports {
  readonly pool: Sends;
  readonly chunks: { read(cut: Cut, signal: AbortSignal): Promise<readonly Buffer[]> };
  readonly rings: {
    current(): Promise<Placement>;
    /** The ring of a later epoch, which somebody has seen. */
    after(epoch: number): Promise<Placement>;
  };
  /** Where blobs are written down. */
  readonly catalogue: {
    lease(chunk: string, size: number): Promise<{ leasedAt: string }>;
    commit(blob: NewBlob): Promise<{ blob: string }>;
    reportMissing(copies: readonly MissingCopy[]): Promise<void>;
  };
}

interface Written {
  readonly blob: string;
  readonly size: number;
}

export class BlobWriter {
  readonly #ports: Ports;
  readonly #buffers: Buffers;

  constructor(ports: Ports, buffers: Buffers) {
    this.#ports = ports;
    this.#buffers = buffers;
  }

  /** Stores a stream. Whatever ends the call ends the stream. */
  async write(source: Readable, maxBytes: number): Promise<Written> {
    const ending = new AbortController();
    // Where the stream waits for its sender, only its end wakes the loop that reads it.
    ending.signal.addEventListener("abort", () => source.destroy(ending.signal.reason as Error));
    return await this.#store(cutStream(source, { buffers: this.#buffers, maxBytes, signal: ending.signal }), ending);
  }

  async put(bytes: Uint8Array): Promise<Written> {
    return await this.#store(cutBytes(bytes), new AbortController());
  }

  async #store(chunks: Iterable<Chunk> | AsyncIterable<Chunk>, ending: AbortController): Promise<Written> {
    const { signal } = ending;
    const storing: Promise<LeasedChunk>[] = [];
    const places = new Permits(CHUNKS_AT_ONCE - 1);
    try {
      for await (const chunk of chunks) {
        const stored = this.#storeChunk(chunk, signal).finally(() => {
          chunk.release();
          places.give();
        });
        // The first failure ends the others, and the stream; it is told below.
        stored.catch((error: unknown) => ending.abort(error));
        storing.push(stored);
        await places.take(signal);
      }
      return await this.#commit(await Promise.all(storing), signal);
    } catch (error) {
      ending.abort(error);
      throw signal.reason;
    } finally {
      await Promise.allSettled(storing);
    }
  }

  async #storeChunk(chunk: Chunk, signal: AbortSignal): Promise<LeasedChunk> {
    const { leasedAt } = await this.#lease(chunk, signal);
    const stored = await this.#withRing(async (placement) => await writeChunk(this.#ports.pool, chunk, placement, signal));
    return { ...stored, leasedAt };
  }

  /** Before the first byte goes to a disk: a chunk that is just being deleted is waited for, so that no disk deletes what is written now. */
  async #lease({ hash, bytes }: Chunk, signal: AbortSignal): Promise<{ leasedAt: string }> {
    const deadline = Date.now() + LEAVING_MS;
    for (;;) {
      try {
        return await this.#ports.catalogue.lease(hash, bytes.length);
      } catch (error) {
        if (errorType(error) !== "CHUNK_LEAVING" || Date.now() > deadline) throw error;
        await sleep(Math.random() * LEAVING_PAUSE_MS, undefined, { signal });
      }
    }
  }

  /** The row that makes it a blob. With it goes what the owners lack: those of the present ring, whichever ring the chunks met. */
  async #commit(stored: readonly LeasedChunk[], signal: AbortSignal): Promise<Written> {
    const size = stored.reduce((sum, chunk) => sum + chunk.size, 0);
    const chunks = Buffer.concat(stored.map(({ hash }) => Buffer.from(hash, "hex")));
    const leasedAt = stored.map((chunk) => chunk.leasedAt).toSorted()[0]!;
    return await this.#withRing(async (placement) => {
      const { epoch, owners } = placement;
      const kept: StoredChunk[] = [];
      for (const chunk of stored) kept.push(await this.#keep(chunk, placement, signal));
      const missing = missingCopies(kept, owners);
      while (missing.length > MISSING_PER_COMMIT)
        await this.#ports.catalogue.reportMissing(missing.splice(MISSING_PER_COMMIT, MISSING_PER_REPORT));
      const { blob } = await this.#ports.catalogue.commit({ epoch, size, chunks, leasedAt, missing });
      return { blob, size };
    });
  }

  /**
   * Who has a chunk of those whom the present ring still asks. Where disks have been put out or removed since the chunk was stored, so that too few are
   * left, it is stored once more, from what they have. NOT_ENOUGH_DISKS when they have nothing of it.
   */
  async #keep(chunk: StoredChunk, placement: Placement, signal: AbortSignal): Promise<StoredChunk> {
    const { hash, size } = chunk;
    const holders = holdersOf(chunk, placement);
    if (suffice(holders, needOf(placement.disks))) return { hash, size, disks: holders.map(({ id }) => id) };
    const bytes = await this.#ports.chunks.read({ hash, size, from: 0, to: size }, signal).catch((error: unknown) => {
      signal.throwIfAborted();
      const detail = `Of the disks that took chunk ${hash} none is left in the ring that has it and answers. Send it again.`;
      throw failure("NOT_ENOUGH_DISKS", detail, { cause: error });
    });
    return await writeChunk(this.#ports.pool, { hash, bytes: Buffer.concat(bytes), release() {} }, placement, signal);
  }

  async #withRing<R>(work: (placement: Placement) => Promise<R>): Promise<R> {
    let placement = await this.#ports.rings.current();
    for (let changes = 0; ; changes++) {
      try {
        return await work(placement);
      } catch (error) {
        if (errorType(error) !== "DISK_STALE_EPOCH" || changes === RING_CHANGES_MAX) throw error;
        placement = await this.#ports.rings.after(placement.epoch);
      }
    }
  }
}

function holdersOf({ hash, disks }: StoredChunk, { owners, others, leaving }: Placement): StorageDisk[] {
  return [...owners(hash), ...others(hash), ...leaving].filter(({ id }) => disks.includes(id));
}
