/** How long a reader waits for a disk before it asks another one as well. */

/** Answers that are remembered: some seconds of one viewer. */
const RECENT = 128;
/** Of a hundred answers five come later than the patience: a second read for one in twenty is what the fast answers cost. */
const QUANTILE = 0.95;
/** Below it a pause of this process looks like a slow disk. */
const LEAST_MS = 25;
/** A disk that hangs costs nobody more than this. */
const MOST_MS = 1000;
/** Before anything is known: a disk that wakes up has answered by then. */
const FIRST_MS = 250;

export class Patience {
  readonly #recent: number[] = [];
  #next = 0;
  #ms = FIRST_MS;

  /** What the next reader is to wait, ms. */
  get ms(): number {
    return this.#ms;
  }

  /** An answer came after so many milliseconds. */
  note(ms: number): void {
    this.#recent[this.#next] = ms;
    this.#next = (this.#next + 1) % RECENT;
    // Sorted once a few answers, not at each: the quantile moves slowly.
    if (this.#next % 16 === 0) this.#ms = Math.min(MOST_MS, Math.max(LEAST_MS, quantileOf(this.#recent)));
  }
}

function quantileOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * QUANTILE)]!;
}
