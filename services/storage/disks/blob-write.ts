/** Bytes in: from a stream, or from memory, to a blob that is safe. */
import type { Readable } from "node:stream";
import { errorType } from "../../kernel/errors.ts";
import { missingCopies, type MissingCopy, type StoredChunk } from "../domain/copies.ts";
import type { Placement } from "../domain/ring.ts";
import type { Buffers } from "../memory/buffers.ts";
import { Permits } from "../memory/permits.ts";
import { writeChunk } from "./chunk-write.ts";
import { cutBytes, cutStream, type Chunk } from "./cutting.ts";
import type { DiskPool } from "./pool.ts";

/** Chunks of one blob at a time: one fills while two are being sent, or all three are. More would only take buffers from other uploads. */
const CHUNKS_AT_ONCE = 3;
/** Missing copies that go along with the commit, 130 bytes each beside up to 205 KB of hashes: a control message stays below 256 KB. */
const MISSING_PER_COMMIT = 200;
/** How often the ring may change under one write. */
const RING_CHANGES_MAX = 3;

export interface NewBlob {
  readonly epoch: number;
  readonly size: number;
  readonly chunks: Uint8Array<ArrayBuffer>;
  readonly missing: MissingCopy[];
}

interface Ports {
  readonly pool: DiskPool;
  readonly rings: {
    current(): Promise<Placement>;
    /** The ring of a later epoch, which somebody has seen. */
    after(epoch: number): Promise<Placement>;
  };
  /** Where blobs are written down. */
  readonly catalogue: {
    commit(blob: NewBlob): Promise<{ blob: string }>;
    reportMissing(copy: MissingCopy): Promise<void>;
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
    const storing: Promise<StoredChunk>[] = [];
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
      return await this.#commit(await Promise.all(storing));
    } catch (error) {
      ending.abort(error);
      throw signal.reason;
    } finally {
      await Promise.allSettled(storing);
    }
  }

  async #storeChunk(chunk: Chunk, signal: AbortSignal): Promise<StoredChunk> {
    return await this.#withRing(async (placement) => await writeChunk(this.#ports.pool, chunk, placement, signal));
  }

  /** The row that makes it a blob. With it go the repairs of what the owners lack: those of the present ring, whichever ring the chunks met. */
  async #commit(stored: readonly StoredChunk[]): Promise<Written> {
    const size = stored.reduce((sum, chunk) => sum + chunk.size, 0);
    const chunks = Buffer.concat(stored.map(({ hash }) => Buffer.from(hash, "hex")));
    return await this.#withRing(async ({ epoch, owners }) => {
      const missing = missingCopies(stored, owners);
      for (const copy of missing.splice(MISSING_PER_COMMIT)) await this.#ports.catalogue.reportMissing(copy);
      const { blob } = await this.#ports.catalogue.commit({ epoch, size, chunks, missing });
      return { blob, size };
    });
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
