/** One answer from several who may have it: they are asked one after the other, and the next one early when an answer is late. */

/** Why the others are stopped: made once, since each error that is made looks at the stack. */
const OVER = new Error("The race is over.");

interface Race<C, R> {
  /** In the order in which they are asked. */
  readonly from: readonly C[];
  /** Asks one of them, until the signal. */
  readonly ask: (candidate: C, signal: AbortSignal) => Promise<R>;
  /** How long an answer may take before the next one is asked as well. */
  readonly patienceMs: number;
  /** How many are asked at the same time. */
  readonly atOnce: number;
  readonly signal: AbortSignal;
}

export interface Outcome<C, R> {
  /** Undefined when all have failed. */
  readonly answer: R | undefined;
  readonly failed: ReadonlyMap<C, unknown>;
  /** Who was asked before the one that answered, and had not answered. */
  readonly late: readonly C[];
}

/** The first answer; who is still being asked then is told to stop. Throws only the signal's reason. */
export async function race<C, R>(runners: Race<C, R>): Promise<Outcome<C, R>> {
  runners.signal.throwIfAborted();
  const running = new Running(runners);
  const leave = (): void => running.leave();
  runners.signal.addEventListener("abort", leave);
  try {
    return await running.outcome;
  } finally {
    runners.signal.removeEventListener("abort", leave);
  }
}

class Running<C, R> {
  readonly #race: Race<C, R>;
  readonly #waiting: Iterator<C>;
  readonly #asked = new Set<C>();
  readonly #failed = new Map<C, unknown>();
  readonly #over = new AbortController();
  readonly #outcome = Promise.withResolvers<Outcome<C, R>>();
  #timer: NodeJS.Timeout | undefined;

  constructor(runners: Race<C, R>) {
    this.#race = runners;
    this.#waiting = runners.from[Symbol.iterator]();
    this.#next();
  }

  get outcome(): Promise<Outcome<C, R>> {
    return this.#outcome.promise;
  }

  leave(): void {
    this.#outcome.reject(this.#race.signal.reason);
    this.#end();
  }

  readonly #next = (): void => {
    clearTimeout(this.#timer);
    if (this.#asked.size >= this.#race.atOnce) return;
    const { done, value } = this.#waiting.next();
    if (!done) {
      void this.#ask(value);
      this.#timer = setTimeout(this.#next, this.#race.patienceMs);
    } else if (this.#asked.size === 0) {
      this.#outcome.resolve({ answer: undefined, failed: this.#failed, late: [] });
    }
  };

  async #ask(candidate: C): Promise<void> {
    this.#asked.add(candidate);
    try {
      const answer = await this.#race.ask(candidate, this.#over.signal);
      const asked = [...this.#asked];
      this.#outcome.resolve({ answer, failed: this.#failed, late: asked.slice(0, asked.indexOf(candidate)) });
      this.#end();
    } catch (error) {
      if (this.#over.signal.aborted) return;
      this.#asked.delete(candidate);
      this.#failed.set(candidate, error);
      this.#next();
    }
  }

  #end(): void {
    clearTimeout(this.#timer);
    this.#over.abort(OVER);
  }
}
