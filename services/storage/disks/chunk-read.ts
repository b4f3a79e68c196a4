/** One chunk, from whichever disk has it. */
import { setTimeout as sleep } from "node:timers/promises";
import { errorType, failure, messageOf } from "../../kernel/errors.ts";
import type { MissingCopy } from "../domain/copies.ts";
import type { Placement, StorageDisk } from "../domain/ring.ts";
import type { DiskPool } from "./pool.ts";

/** Every disk of the ring is asked this often: a disk that restarts is there again after a second. */
const ROUNDS_MAX = 3;
/** The pause before another round: anything up to this, doubled with each round. */
const PAUSE_MS = 500;

interface Wanted {
  readonly hash: string;
  /** Bytes of the chunk. */
  readonly size: number;
}

interface Ports {
  readonly pool: DiskPool;
  readonly rings: { current(): Promise<Placement> };
  /** Is told of an owner that lacks a chunk, or has a bad copy. */
  readonly catalogue: { noteMissing(copy: MissingCopy): void };
}

export class ChunkReader {
  readonly #ports: Ports;

  constructor(ports: Ports) {
    this.#ports = ports;
  }

  /**
   * The bytes of a chunk, verified. Owners are asked first, then who may have stood in for one, then those who did not answer a moment ago.
   * CHUNK_NOT_FOUND only when every disk of the ring has said so; while one of them is silent, DISK_UNAVAILABLE.
   */
  async read(wanted: Wanted, signal: AbortSignal): Promise<Buffer> {
    for (let round = 1; ; round++) {
      try {
        return await this.#round(wanted, signal);
      } catch (error) {
        if (signal.aborted || errorType(error) !== "DISK_UNAVAILABLE" || round === ROUNDS_MAX) throw error;
        await sleep(Math.random() * PAUSE_MS * 2 ** round, undefined, { signal });
      }
    }
  }

  async #round({ hash, size }: Wanted, signal: AbortSignal): Promise<Buffer> {
    const { pool, rings, catalogue } = this.#ports;
    const placement = await rings.current();
    const owners = placement.owners(hash);
    const errors: unknown[] = [];
    const lacking: StorageDisk[] = [];
    for (const disk of this.#order(placement, hash)) {
      try {
        const bytes = await pool.get(disk, hash, signal);
        for (const { id } of lacking) catalogue.noteMissing({ chunk: hash, size, disk: id });
        return bytes;
      } catch (error) {
        signal.throwIfAborted();
        errors.push(error);
        if (owners.includes(disk) && isLacking(error)) lacking.push(disk);
      }
    }
    const silent = errors.find((error) => !isLacking(error));
    const data = { reasons: errors.map(messageOf) };
    if (silent) throw failure("DISK_UNAVAILABLE", `No disk that answers has chunk ${hash}.`, { cause: silent, data });
    throw failure("CHUNK_NOT_FOUND", `No disk of the ring has chunk ${hash}.`, { data });
  }

  #order(placement: Placement, hash: string): StorageDisk[] {
    const { pool } = this.#ports;
    const all = [...pool.byLoad(placement.owners(hash)), ...placement.others(hash)];
    return all.toSorted((a, b) => Number(pool.isSuspect(a)) - Number(pool.isSuspect(b)));
  }
}

/** The disk has no good copy, and knows it. */
function isLacking(error: unknown): boolean {
  const type = errorType(error);
  return type === "CHUNK_NOT_FOUND" || type === "CHUNK_CORRUPT";
}
