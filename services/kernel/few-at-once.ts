/** So many at once, and so many waiting; the next is told to come again. */
import { failure } from "./errors.ts";

export class FewAtOnce {
  readonly #atOnce: number;
  readonly #waitingMax: number;
  readonly #refusal: string;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  /** `refusal` is what somebody is told for whom there is no room. */
  constructor(atOnce: number, waitingMax: number, refusal: string) {
    this.#atOnce = atOnce;
    this.#waitingMax = waitingMax;
    this.#refusal = refusal;
  }

  /** TOO_BUSY. */
  async take<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#atOnce) {
      if (this.#waiting.length >= this.#waitingMax) throw failure("TOO_BUSY", this.#refusal);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else this.#running += 1;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running -= 1;
    }
  }
}
