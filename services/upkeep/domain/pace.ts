/** Holds work to a rate over time. No bursts: what was not used is gone. */
export class Pace {
  readonly #bytesPerSecond: number;
  /** When the bytes that were let through so far have had their time, ms. */
  #freeAtMs = 0;

  constructor(bytesPerSecond: number) {
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** How long these bytes have to wait, ms. They count from now on, whether they come or not. */
  delayOf(bytes: number, nowMs: number): number {
    const beginsAtMs = Math.max(this.#freeAtMs, nowMs);
    this.#freeAtMs = beginsAtMs + (bytes / this.#bytesPerSecond) * 1000;
    return beginsAtMs - nowMs;
  }
}
