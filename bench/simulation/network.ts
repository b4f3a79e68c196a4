/** Calls of storage nodes to disks and to the database: late, lost, repeated, answered to nobody, and ambushed. */
import { setTimeout as sleep } from "node:timers/promises";
import { failure } from "../../services/kernel/errors.ts";
import type { Chance, Clock } from "./clock.ts";
import { never } from "./files.ts";

/** A process with a broker. What comes back to it after its end, comes back to nobody. */
export interface Life {
  readonly name: string;
  running: boolean;
  /** It is stopped until then, as by SIGSTOP: milliseconds since the start of the run. */
  stoppedUntil: number;
}

/** The disk at the other end. */
interface Peer {
  readonly id: string;
  readonly address: string;
}

interface Call<T> {
  readonly from: Life;
  readonly disk: Peer;
  readonly name: string;
  readonly work: () => Promise<T>;
  readonly signal?: AbortSignal | undefined;
}

/** How bad the network is. */
export interface Weather {
  /** Share of the calls that are lost, or whose answers are. */
  lost: number;
  /** Share of the calls that arrive long after their caller has given up. */
  late: number;
  /** Share of the calls that arrive twice. */
  twice: number;
}

/** What happens to a caller when what it asked for is done and it does not know yet. */
type Ambush = (caller: Life) => void;

const DELAY_MS = 100;
/** How long a caller waits for an answer. */
const PATIENCE_MS = 4000;

export class Network {
  readonly weather: Weather = { lost: 0, late: 0, twice: 0 };
  /** Pairs that do not hear each other: "node>disk". */
  readonly cut = new Set<string>();
  databaseIsDown = false;
  /** By the name of the call that springs it, once. */
  readonly ambushes = new Map<string, Ambush>();
  readonly #clock: Clock;
  readonly #chance: Chance;
  /** How late a late call may arrive, ms. */
  readonly #lateMs: number;

  constructor(clock: Clock, chance: Chance, lateMs: number) {
    this.#clock = clock;
    this.#chance = chance;
    this.#lateMs = lateMs;
  }

  /** Has `disk` do the `work` of a call. DISK_UNAVAILABLE when no answer comes; what was asked for may happen nevertheless, once or twice, now or later. */
  async ask<T>({ from, disk, name, work, signal }: Call<T>): Promise<T> {
    signal?.throwIfAborted();
    const answered = Promise.withResolvers<T>();
    const giveUp = (): void => answered.reject(signal!.reason);
    signal?.addEventListener("abort", giveUp);
    const limit = this.#clock.after(PATIENCE_MS, () => answered.reject(failure("DISK_UNAVAILABLE", `${disk.address} does not answer.`)));
    for (let arrivals = this.#arrivals(); arrivals > 0; arrivals--) {
      this.#clock.after(this.#way(), () => {
        if (this.#isCut(from, disk)) return;
        const done = this.#withAmbush(from, name, work);
        done.then(
          (answer) => this.#back(from, disk, () => answered.resolve(answer)),
          (error: Error) => this.#back(from, disk, () => answered.reject(error)),
        );
      });
    }
    return await this.#comeBack(
      from,
      answered.promise.finally(() => {
        limit.act = undefined;
        signal?.removeEventListener("abort", giveUp);
      }),
    );
  }

  /** Runs a transaction. The answer may be lost although it was committed: then it is run again, as the broker does with calls that bear it. */
  async query<T>(from: Life, name: string, work: () => T): Promise<T> {
    for (let tries = 3; ; tries--) {
      await sleep(this.#chance.delay(DELAY_MS));
      if (!from.running) return await never();
      const answer = this.#withAmbush(from, name, async () => this.#transaction(work));
      await sleep(this.#chance.delay(DELAY_MS));
      if (!this.#chance.of(this.weather.lost)) return await this.#comeBack(from, answer);
      answer.catch(() => undefined);
      if (tries === 0) throw failure("DATABASE_UNAVAILABLE", "The database does not answer.");
    }
  }

  #transaction<T>(work: () => T): T {
    if (this.databaseIsDown) throw failure("DATABASE_UNAVAILABLE", "The database is down.");
    return work();
  }

  /** Nobody makes anything of an empty list: whoever lies in wait goes on waiting. */
  async #withAmbush<T>(caller: Life, name: string, work: () => Promise<T>): Promise<T> {
    const answer = await work();
    const ambush = this.ambushes.get(name);
    if (!ambush || !caller.running || (Array.isArray(answer) && answer.length === 0)) return answer;
    this.ambushes.delete(name);
    ambush(caller);
    return answer;
  }

  #arrivals(): number {
    if (this.#chance.of(this.weather.lost)) return 0;
    return this.#chance.of(this.weather.twice) ? 2 : 1;
  }

  #way(): number {
    return this.#chance.of(this.weather.late) ? this.#chance.between(0, this.#lateMs) : this.#chance.delay(DELAY_MS);
  }

  #isCut(from: Life, disk: Peer): boolean {
    return this.cut.has(`${from.name}>${disk.id}`);
  }

  #back(from: Life, disk: Peer, hand: () => void): void {
    if (this.#isCut(from, disk) || this.#chance.of(this.weather.lost)) return;
    this.#clock.after(this.#chance.delay(DELAY_MS), hand);
  }

  /** To a process that has ended nothing comes back; to one that is stopped, later. */
  async #comeBack<T>(from: Life, answer: Promise<T>): Promise<T> {
    const settled = await answer.then(
      (value) => () => value,
      (error: Error) => () => {
        throw error;
      },
    );
    while (from.running && from.stoppedUntil > this.#clock.now) await sleep(from.stoppedUntil - this.#clock.now);
    return from.running ? settled() : await never();
  }
}
