/** One chunk on its way to its owners, until it is safe. */
import { setTimeout as sleep } from "node:timers/promises";
import { errorType, ERRORS, failure, messageOf } from "../../kernel/errors.ts";
import { limitedBy } from "../../kernel/limited.ts";
import type { StoredChunk } from "../domain/copies.ts";
import { isPossible, isSafe, needOf, nextSends, type Copy, type Need } from "../domain/quorum.ts";
import type { Placement, StorageDisk } from "../domain/ring.ts";
import type { Chunk } from "./cutting.ts";
import type { DiskPool } from "./pool.ts";

/** Until a chunk is safe: with all attempts at all disks. An upload that cannot go on is refused rather than kept waiting for ever. */
const CHUNK_MS = 60_000;
/** What the third copy may take longer than the second. After that it is a repair: that is cheaper than everybody's wait. */
const STRAGGLER_MS = 5000;
/** As often a disk is asked whether it is there at all while it takes a chunk: one that hangs does not answer, one that is busy does. */
const DOUBT_MS = 500;
/** The pause before another attempt at one disk: anything up to this, doubled with each attempt. */
const PAUSE_MS = 200;

/** Why what is still being sent is ended: made once, since each error that is made looks at the stack. */
const ENDED = new Error("The write has ended.");

/** What a write needs of the disks. */
export type Sends = Pick<DiskPool, "put" | "isSuspect" | "suspect" | "answers">;

/**
 * Sends the chunk to its owners and, in place of those who fail, to others. Resolves when it is safe and the rest has come or been given up;
 * answers who has it. NOT_ENOUGH_DISKS when it cannot become safe, DISK_STALE_EPOCH when a disk knows a newer ring.
 */
export async function writeChunk(pool: Sends, chunk: Chunk, placement: Placement, signal: AbortSignal): Promise<StoredChunk> {
  return await new ChunkWrite(pool, chunk, placement).run(signal);
}

class ChunkWrite {
  readonly #pool: Sends;
  readonly #chunk: Chunk;
  readonly #placement: Placement;
  readonly #need: Need;
  readonly #copies: readonly Copy<StorageDisk>[];
  /** Ends what is still being sent. */
  readonly #ended = new AbortController();
  readonly #safe = Promise.withResolvers<void>();
  readonly #sends: Promise<void>[] = [];
  readonly #errors: unknown[] = [];

  constructor(pool: Sends, chunk: Chunk, placement: Placement) {
    this.#pool = pool;
    this.#chunk = chunk;
    this.#placement = placement;
    this.#need = needOf(placement.disks);
    const copyOn =
      (owner: boolean) =>
      (disk: StorageDisk): Copy<StorageDisk> => ({
        disk,
        owner,
        suspect: pool.isSuspect(disk),
        state: "untried",
        attempts: 0,
      });
    this.#copies = [...placement.owners(chunk.hash).map(copyOn(true)), ...placement.others(chunk.hash).map(copyOn(false))];
  }

  async run(signal: AbortSignal): Promise<StoredChunk> {
    const giveUp = (): void => this.#safe.reject(signal.reason);
    const late = setTimeout(() => this.#safe.reject(this.#failure()), CHUNK_MS);
    signal.addEventListener("abort", giveUp);
    try {
      signal.throwIfAborted();
      this.#advance();
      await this.#safe.promise;
      await this.#stragglers();
      return { hash: this.#chunk.hash, size: this.#chunk.bytes.length, disks: this.#holders() };
    } finally {
      clearTimeout(late);
      signal.removeEventListener("abort", giveUp);
      this.#ended.abort(ENDED);
      // The buffer is filled again as soon as this ends: nobody may still be sending from it.
      await Promise.all(this.#sends);
    }
  }

  #advance(): void {
    if (this.#ended.signal.aborted) return;
    if (isSafe(this.#copies, this.#need)) return this.#safe.resolve();
    for (const copy of nextSends(this.#copies, this.#need)) this.#sends.push(this.#send(copy));
    if (!isPossible(this.#copies, this.#need)) this.#safe.reject(this.#failure());
  }

  async #send(copy: Copy<StorageDisk>): Promise<void> {
    const { hash, bytes } = this.#chunk;
    const { signal } = this.#ended;
    copy.state = "sending";
    try {
      if (copy.attempts > 0) await sleep(Math.random() * PAUSE_MS * 2 ** copy.attempts, undefined, { signal });
      copy.attempts++;
      await this.#whileThere(copy.disk, async (there) => {
        await this.#pool.put(copy.disk, { hash, bytes, epoch: this.#placement.epoch }, there);
      });
      copy.state = "held";
    } catch (error) {
      copy.state = isPassing(error) ? "failed" : "refused";
      this.#errors.push(error);
    }
    this.#advance();
  }

  /**
   * The signal ends the work when the disk does not say that it is there: then somebody else is asked in its place, or nobody waits for it. A disk that
   * has said so may be gone a moment later: it is asked again until the work is over.
   */
  async #whileThere(disk: StorageDisk, work: (there: AbortSignal) => Promise<void>): Promise<void> {
    const { limit, abort, release } = limitedBy(this.#ended.signal);
    let isOver = false;
    const doubt = async (): Promise<void> => {
      const isThere = await this.#pool.answers(disk);
      if (isOver) return;
      if (isThere) timer = later();
      else abort(failure("DISK_UNAVAILABLE", `Disk ${disk.id} at ${disk.address} does not say that it is there.`));
    };
    const later = (): NodeJS.Timeout => setTimeout(() => void doubt(), DOUBT_MS);
    let timer = later();
    try {
      await work(limit);
    } finally {
      isOver = true;
      clearTimeout(timer);
      release();
    }
  }

  async #stragglers(): Promise<void> {
    const { promise: patience, resolve: giveUp } = Promise.withResolvers<void>();
    const timer = setTimeout(giveUp, STRAGGLER_MS);
    await Promise.race([Promise.all(this.#sends), patience]);
    clearTimeout(timer);
    for (const { disk, state } of this.#copies) if (state === "sending") this.#pool.suspect(disk);
  }

  #holders(): string[] {
    return this.#copies.filter(({ state }) => state === "held").map(({ disk }) => disk.id);
  }

  #failure(): unknown {
    const stale = this.#errors.find((error) => errorType(error) === "DISK_STALE_EPOCH");
    const detail = `${this.#holders().length} of ${this.#need.copies} disks took the content, which have to be in ${this.#need.zones} zones.`;
    return stale ?? failure("NOT_ENOUGH_DISKS", detail, { cause: this.#errors.at(-1), data: { reasons: this.#errors.map(messageOf) } });
  }
}

/** Whether another attempt at the same disk may go better. A full disk is still full a second later. */
function isPassing(error: unknown): boolean {
  const type = errorType(error);
  return type !== undefined && type !== "DISK_FULL" && type !== "DISK_READ_ONLY" && type !== "DISK_STALE_EPOCH" && ERRORS[type].retryable;
}
