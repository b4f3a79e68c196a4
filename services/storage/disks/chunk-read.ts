/** Bytes of one chunk, from whichever disk has them. */
import { setTimeout as sleep } from "node:timers/promises";
import { errorType, failure, messageOf } from "../../kernel/errors.ts";
import { REPLICAS } from "../../kernel/limits.ts";
import type { MissingCopy } from "../domain/copies.ts";
import { PIECE_BYTES, type Cut } from "../domain/cut.ts";
import { Patience } from "../domain/patience.ts";
import type { Placement, StorageDisk } from "../domain/ring.ts";
import type { Rings } from "../rings.ts";
import type { DiskPool } from "./pool.ts";
import { race, type Outcome } from "./race.ts";

/** Every disk of the ring is asked this often: a disk that restarts is there again after a second. */
const ROUNDS_MAX = 3;
/** The pause before another round: anything up to this, doubled with each round. */
const PAUSE_MS = 500;

interface Ports {
  readonly pool: DiskPool;
  readonly rings: Pick<Rings, "current" | "refresh">;
  /** Is told of an owner that lacks a chunk, or has a bad copy. */
  readonly catalogue: { noteMissing(copy: MissingCopy): void };
}

export class ChunkReader {
  readonly #ports: Ports;
  readonly #patience = new Patience();

  constructor(ports: Ports) {
    this.#ports = ports;
  }

  /**
   * What a cut takes of its chunk, verified, in the buffers in which it came. Owners are asked first (of a chunk that moves, those of before), then who may have stood in for one,
   * then those who did not answer a moment ago; and when one is slow, the next one as well. CHUNK_NOT_FOUND only when every disk of the newest ring has said so; while one of them is silent,
   * DISK_UNAVAILABLE.
   */
  async read(cut: Cut, signal: AbortSignal): Promise<readonly Buffer[]> {
    for (let round = 1; ; round++) {
      const { epoch } = await this.#ports.rings.current();
      try {
        return await this.#round(cut, signal);
      } catch (error) {
        if (signal.aborted || round === ROUNDS_MAX) throw error;
        if (errorType(error) === "CHUNK_NOT_FOUND" && (await this.#isOld(epoch))) continue;
        if (errorType(error) !== "DISK_UNAVAILABLE") throw error;
        await sleep(Math.random() * PAUSE_MS * 2 ** round, undefined, { signal });
      }
    }
  }

  /** A chunk may have moved away from everybody whom this process knew. */
  async #isOld(epoch: number): Promise<boolean> {
    return (await this.#ports.rings.refresh()).epoch > epoch;
  }

  async #round(cut: Cut, signal: AbortSignal): Promise<readonly Buffer[]> {
    const { pool, rings } = this.#ports;
    const placement = await rings.current();
    const pieces = Math.ceil((cut.to - cut.from) / PIECE_BYTES);
    const outcome = await race({
      from: this.#order(placement, cut.hash),
      ask: async (disk, limit) => {
        const began = performance.now();
        const bytes = await pool.get(disk, cut, limit);
        this.#patience.note(performance.now() - began, pieces);
        return bytes;
      },
      patienceMs: this.#patience.msFor(pieces),
      atOnce: REPLICAS,
      signal,
    });
    for (const disk of outcome.late) void pool.answers(disk);
    if (!outcome.answer) throw unread(cut.hash, [...outcome.failed.values()]);
    this.#noteMissing(cut, placement, outcome.failed);
    return outcome.answer;
  }

  #noteMissing({ hash, size }: Cut, placement: Placement, failed: Outcome<StorageDisk, unknown>["failed"]): void {
    // While a partition moves, it is no fault of a new owner that it has not everything yet.
    const owners = placement.former(hash).length > 0 ? [] : placement.owners(hash);
    for (const owner of owners) {
      if (isLacking(failed.get(owner))) this.#ports.catalogue.noteMissing({ chunk: hash, size, disk: owner.id });
    }
  }

  #order(placement: Placement, hash: string): StorageDisk[] {
    const { pool } = this.#ports;
    const all = [
      ...pool.byLoad(placement.former(hash)),
      ...pool.byLoad(placement.owners(hash)),
      ...placement.others(hash),
      ...placement.leaving,
    ];
    return [...new Map(all.map((disk) => [disk.id, disk])).values()].toSorted(
      (a, b) => Number(pool.isSuspect(a)) - Number(pool.isSuspect(b)),
    );
  }
}

function unread(hash: string, errors: readonly unknown[]): Error {
  const silent = errors.find((error) => !isLacking(error));
  const data = { reasons: errors.map(messageOf) };
  return silent
    ? failure("DISK_UNAVAILABLE", `No disk that answers has chunk ${hash}.`, { cause: silent, data })
    : failure("CHUNK_NOT_FOUND", `No disk of the ring has chunk ${hash}.`, { data });
}

/** The disk has no good copy, and knows it. */
function isLacking(error: unknown): boolean {
  const type = errorType(error);
  return type === "CHUNK_NOT_FOUND" || type === "CHUNK_CORRUPT";
}
