/** Answers of other services, asked for again and again: for a moment given without asking, and when nobody can be asked, given as they were. */
import { setTimeout as sleep } from "node:timers/promises";
import { LRUCache } from "lru-cache";
import { isAway } from "./domain/problem.ts";

/**
 * How long what was known counts when nobody can be asked: a fault of the night is mended or worked around by then, and no right that was taken away, nor
 * any video that was deleted, lasts longer than the tokens of others do (decision 0036).
 */
const KEPT_MS = 15 * 60_000;
/** A player asks for the next segment seconds before it needs it. */
const PATIENCE_MS = 2000;

interface Options {
  /** Answers that are kept at most. */
  readonly max: number;
  /** How old an answer may be where one can ask, ms. */
  readonly freshMs: number;
}

export class Remembered<T extends object> {
  readonly #fresh: LRUCache<string, Promise<T>>;
  readonly #kept: LRUCache<string, T>;

  constructor({ max, freshMs }: Options) {
    this.#fresh = new LRUCache({ max, ttl: freshMs });
    this.#kept = new LRUCache({ max, ttl: KEPT_MS });
  }

  /** One question for all who ask at the same time. Fails as `load` does: no failure is remembered, nor an answer that was on its way when it was forgotten. */
  get(key: string, load: () => Promise<T>, { freshMs }: { freshMs?: number } = {}): Promise<T> {
    const known = this.#fresh.get(key);
    if (known) return known;
    const asked = this.#ask(key, load, () => this.#fresh.peek(key, { allowStale: true }) === asked);
    this.#fresh.set(key, asked, freshMs === undefined ? {} : { ttl: freshMs });
    asked.catch(() => {
      if (this.#fresh.peek(key) === asked) this.#fresh.delete(key);
    });
    return asked;
  }

  forget(key: string): void {
    this.#fresh.delete(key);
    this.#kept.delete(key);
  }

  forgetAll(): void {
    this.#fresh.clear();
    this.#kept.clear();
  }

  async #ask(key: string, load: () => Promise<T>, isWanted: () => boolean): Promise<T> {
    const before = this.#kept.get(key);
    const keep = (made: T): T => {
      if (isWanted()) this.#kept.set(key, made);
      return made;
    };
    const refused = (error: unknown): never => {
      if (!isAway(error)) this.#kept.delete(key);
      throw error;
    };
    const loading = load().then(keep, refused);
    return before === undefined ? await loading : await orBefore(loading, before);
  }
}

/** What is loaded; what was before, when nobody can be asked, or the answer takes too long. */
async function orBefore<T>(loading: Promise<T>, before: T): Promise<T> {
  const patience = new AbortController();
  const late = sleep(PATIENCE_MS, before, { signal: patience.signal });
  late.catch(() => {});
  const loaded = loading.catch((error: unknown) => {
    if (isAway(error)) return before;
    throw error;
  });
  return await Promise.race([loaded, late]).finally(() => patience.abort());
}
