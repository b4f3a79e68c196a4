/** How fast an upload has been of late. Pure: it is told the time. */

/** Long enough to bridge the bursts in which a browser reports, short enough to follow a change of network. */
const WINDOW_MS = 4000;

export class SpeedMeter {
  readonly #samples: { atMs: number; bytes: number }[] = [];

  /** `bytes` is the sum so far. */
  add(atMs: number, bytes: number): void {
    this.#samples.push({ atMs, bytes });
    while (this.#samples.length > 2 && atMs - (this.#samples[1]?.atMs ?? atMs) >= WINDOW_MS) this.#samples.shift();
  }

  /** Bytes a second over the window; null until there is anything to tell from. */
  speed(): number | null {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (!first || !last || last.atMs - first.atMs < 300) return null;
    return ((last.bytes - first.bytes) / (last.atMs - first.atMs)) * 1000;
  }
}
