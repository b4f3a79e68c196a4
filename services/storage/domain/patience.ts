/** How long a reader waits for a disk before it asks another one as well. */

/** Answers that are remembered: some seconds of one viewer. */
const RECENT = 128;
/** Of a hundred answers five come later than the patience: a second read for one in twenty is what the fast answers cost. */
const QUANTILE = 0.95;
/** Below it a pause of this process looks like a slow disk. */
const LEAST_MS = 25;
/** A disk that hangs costs nobody more than this, who reads one piece. */
const MOST_MS = 1000;
/** What each further piece of one read adds: most of an answer is the way to its first byte. */
const SHARE = 0.25;
/** And this, however many pieces he reads at once: the limit of a call leaves time for others to be asked. */
const WHOLE_MOST_MS = 2000;
/** Before anything is known: a disk that wakes up has answered by then. */
const FIRST_MS = 250;

export class Patience {
  readonly #recent: number[] = [];
  #next = 0;
  #ms = FIRST_MS;

  /** What the next reader of so many pieces at once is to wait. */
  msFor(pieces: number): number {
    return Math.min(WHOLE_MOST_MS, this.#ms * timesOf(pieces));
  }

  /** An answer of so many pieces came after so many milliseconds. */
  note(ms: number, pieces: number): void {
    this.#recent[this.#next] = ms / timesOf(pieces);
    this.#next = (this.#next + 1) % RECENT;
    // Sorted once a few answers, not at each: the quantile moves slowly.
    if (this.#next % 16 === 0) this.#ms = Math.min(MOST_MS, Math.max(LEAST_MS, quantileOf(this.#recent)));
  }
}

function timesOf(pieces: number): number {
  return 1 + (pieces - 1) * SHARE;
}

function quantileOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * QUANTILE)]!;
}
