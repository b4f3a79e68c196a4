/** Chance that is the same for the same seed. */
import { randomFrom, type Random } from "../../services/ring/domain/random.ts";

export class Chance {
  readonly #random: Random;

  constructor(seed: string) {
    this.#random = randomFrom(seed);
  }

  /** From 0 (inclusive) to `count` (exclusive). */
  index(count: number): number {
    return Math.floor(this.#random() * count);
  }

  /** Of what comes at any moment alike, the time until it comes. */
  exponential(mean: number): number {
    return -mean * Math.log(1 - this.#random());
  }

  /** By its median and the standard deviation of its logarithm. */
  logNormal(median: number, sigma: number): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.#random()));
    return median * Math.exp(sigma * radius * Math.cos(2 * Math.PI * this.#random()));
  }

  /** One of them, by their shares, which are 1 together. */
  oneOf<T extends { readonly share: number }>(all: readonly T[]): T {
    let left = this.#random();
    return all.find(({ share }) => (left -= share) < 0) ?? all.at(-1)!;
  }
}
