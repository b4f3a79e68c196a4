/** So much at once, and no more. */
import { failure } from "./errors.ts";

/** How long the line may be, and what somebody is told for whom there is no room in it. */
interface Line {
  readonly waitingMax: number;
  readonly refusal: string;
}

/** A fixed number of permits. Who comes first is served first. */
export class Permits {
  readonly #line: Line | undefined;
  readonly #waiting: (() => void)[] = [];
  #free: number;

  /** Without a `line` any number may wait: for callers of whom there is a fixed number. */
  constructor(count: number, line?: Line) {
    this.#free = count;
    this.#line = line;
  }

  get free(): number {
    return this.#free;
  }

  /** Does the work with a permit. TOO_BUSY when the line is full. */
  async use<T>(work: () => Promise<T>): Promise<T> {
    await this.take();
    try {
      return await work();
    } finally {
      this.give();
    }
  }

  /** Waits for a permit; throws the signal's reason when it is aborted first. TOO_BUSY when the line is full. */
  async take(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (this.#free > 0) {
      this.#free--;
      return;
    }
    if (this.#line && this.#waiting.length >= this.#line.waitingMax) throw failure("TOO_BUSY", this.#line.refusal);
    await this.#turn(signal);
  }

  give(): void {
    // It is handed on, never free in between.
    const next = this.#waiting.shift();
    if (next) next();
    else this.#free++;
  }

  async #turn(signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const leave = (): void => {
      const place = this.#waiting.indexOf(resolve);
      // Not in the queue any more: a permit was handed over in the same moment, and is ours.
      if (place < 0) return;
      this.#waiting.splice(place, 1);
      reject(signal?.reason as Error);
    };
    this.#waiting.push(resolve);
    signal?.addEventListener("abort", leave);
    await promise.finally(() => signal?.removeEventListener("abort", leave));
  }
}
