/** The disks as this process sees them: who is busy, who is late, and who did not answer. Whoever answers is the one that is meant (DiskClients.of). */
import type { ChunkRange } from "../../../mixins/disks/chunks.ts";
import type { ChunkLook, ChunkPage, ListedChunk, StoredChunk } from "../../../mixins/disks/facts.ts";
import type { Disk } from "../../../mixins/disks/port.ts";
import type { DiskClients } from "../../../mixins/disks/clients.ts";
import { errorType, failure } from "../../kernel/errors.ts";
import { limitedBy } from "../../kernel/limited.ts";
import { type Cut, WHOLE_BYTES_MAX } from "../domain/cut.ts";
import type { StorageDisk } from "../domain/ring.ts";

/** 8 MiB at 0.8 MB/s. Whoever watches has waited too long by then; another disk is asked. */
const READ_MS = 10_000;
/** A disk takes some uploads at a time and lets the others wait: to give up sooner and come again would only lengthen the line. One that hangs fails in 5 s. */
const WRITE_MS = 30_000;
const CONTROL_MS = 2000;
/** For a word from a disk that lets its callers wait: with the wait before it, nobody waits for one that is gone for more than 3 s, on a busy machine too. */
const PRESENCE_MS = 1500;
/** A list of 10,000 chunks stats each of them. */
const LIST_MS = 30_000;
/** A walk over all folders of a disk. */
const WALK_MS = 600_000;

interface ChunkUpload {
  readonly hash: string;
  readonly bytes: Uint8Array;
  readonly epoch: number;
}

export class DiskPool {
  readonly #clients: DiskClients;
  /** Calls that run, by disk. */
  readonly #running = new Map<string, number>();
  /** Disks that did not answer, until `probe` hears from them. One that comes back at another address is not suspect there. */
  readonly #suspects = new Set<string>();
  /** Disks that are late, and are being asked whether they are there. */
  readonly #doubted = new Map<string, Promise<unknown>>();

  constructor(clients: DiskClients) {
    this.#clients = clients;
  }

  /** Fails as DiskClient.putChunk does; DISK_UNAVAILABLE also when it takes too long. */
  async put(disk: StorageDisk, chunk: ChunkUpload, signal: AbortSignal): Promise<void> {
    await this.#ask(disk, WRITE_MS, (client, limit) => client.putChunk(chunk, limit), signal);
  }

  /** What the cut takes of its chunk, verified, in the buffers in which it came. Fails as DiskClient.readChunk does. */
  async get(disk: StorageDisk, cut: Cut, signal: AbortSignal): Promise<readonly Buffer[]> {
    return await this.#ask(disk, READ_MS, (client, limit) => client.readChunk(rangeOf(cut), limit), signal);
  }

  /** Undefined when the disk does not hold the chunk. */
  async stat(disk: StorageDisk, chunk: ChunkLook): Promise<StoredChunk | undefined> {
    return await this.#ask(disk, chunk.verify ? READ_MS : CONTROL_MS, (client, limit) => client.statChunk(chunk, limit));
  }

  async list(disk: StorageDisk, page: ChunkPage): Promise<ListedChunk[]> {
    return await this.#ask(disk, LIST_MS, (client, limit) => client.listChunks(page, limit));
  }

  async digests(disk: StorageDisk, bits: number): Promise<Buffer> {
    return await this.#ask(disk, WALK_MS, (client, limit) => client.getDigests({ bits }, limit));
  }

  /** Answers whether there was anything to delete. Fails as DiskClient.deleteChunk does. */
  async erase(disk: StorageDisk, chunk: { hash: string; version: string; epoch: number }): Promise<boolean> {
    return (await this.#ask(disk, CONTROL_MS, (client, limit) => client.deleteChunk(chunk, limit))).existed;
  }

  /**
   * Asks a disk that lets its callers wait whether it is there at all; never fails. Until it says so others are preferred; when it does not, it is suspect.
   */
  async answers(disk: StorageDisk): Promise<boolean> {
    const asking = this.#doubted.get(disk.id) ?? this.#ask(disk, PRESENCE_MS, (client, limit) => client.greet(limit));
    this.#doubted.set(disk.id, asking);
    const answer = await Promise.allSettled([asking]);
    this.#doubted.delete(disk.id);
    return answer[0].status === "fulfilled";
  }

  isSuspect(disk: StorageDisk): boolean {
    return this.#suspects.has(placeOf(disk));
  }

  suspect(disk: StorageDisk): void {
    this.#suspects.add(placeOf(disk));
  }

  /** The least busy first; among equals in the given order. Suspects last. */
  byLoad<D extends StorageDisk>(disks: readonly D[]): D[] {
    const burden = (disk: D) => (this.isSuspect(disk) || this.#doubted.has(disk.id) ? Infinity : (this.#running.get(disk.id) ?? 0));
    return disks.toSorted((a, b) => (burden(a) === burden(b) ? 0 : burden(a) - burden(b)));
  }

  /** Asks those that are suspect whether they are there again. For a caller that does so every two seconds or so. */
  async probe(disks: readonly StorageDisk[], signal: AbortSignal): Promise<void> {
    const asked = disks.filter((disk) => this.isSuspect(disk));
    await Promise.allSettled(
      asked.map(async (disk) => {
        await this.#ask(disk, CONTROL_MS, (client, limit) => client.greet(limit), signal);
        this.#suspects.delete(placeOf(disk));
      }),
    );
  }

  async #ask<R>(disk: StorageDisk, limitMs: number, work: Work<R>, signal?: AbortSignal): Promise<R> {
    const { limit, abort, release } = limitedBy(signal);
    const giveUp = (): void => abort(failure("DISK_UNAVAILABLE", `Disk ${disk.id} at ${disk.address} took longer than ${limitMs} ms.`));
    const timer = setTimeout(giveUp, limitMs);
    this.#running.set(disk.id, (this.#running.get(disk.id) ?? 0) + 1);
    try {
      return await work(this.#clients.of(disk), limit);
    } catch (error) {
      if (!signal?.aborted && isAway(error)) this.suspect(disk);
      throw error;
    } finally {
      clearTimeout(timer);
      release();
      this.#running.set(disk.id, this.#running.get(disk.id)! - 1);
    }
  }
}

/** Silent, or another disk has come to its address: two copies on one disk are one. */
function isAway(error: unknown): boolean {
  const type = errorType(error);
  return type === "DISK_UNAVAILABLE" || type === "DISK_MISTAKEN";
}

/** Bytes that a disk keeps no sums of are verified by the name of their chunk, as a whole; all others by the sums of their blocks, which costs half of that. */
function rangeOf({ hash, size, from, to }: Cut): ChunkRange {
  return size <= WHOLE_BYTES_MAX && from === 0 && to === size ? { hash, size } : { hash, offset: from, length: to - from };
}

type Work<R> = (client: Disk, signal: AbortSignal) => Promise<R>;

function placeOf({ id, address }: StorageDisk): string {
  return `${id}@${address}`;
}
