/** What happens next: events in the order of their times, and of equal ones as they were put in. */

interface Entry {
  readonly at: number;
  readonly order: number;
  readonly happen: () => void;
}

export class Agenda {
  readonly #heap: Entry[] = [];
  #order = 0;
  #now = 0;

  /** Of the simulated clock, s. */
  get now(): number {
    return this.#now;
  }

  after(seconds: number, happen: () => void): void {
    this.#heap.push({ at: this.#now + seconds, order: this.#order++, happen });
    this.#rise(this.#heap.length - 1);
  }

  /** Until nothing is left, or until that time. */
  run(until = Number.POSITIVE_INFINITY): void {
    while (this.#heap.length > 0 && this.#heap[0]!.at <= until) {
      const { at, happen } = this.#takeFirst();
      this.#now = at;
      happen();
    }
    if (Number.isFinite(until)) this.#now = until;
  }

  #takeFirst(): Entry {
    const first = this.#heap[0]!;
    const last = this.#heap.pop()!;
    if (this.#heap.length > 0) {
      this.#heap[0] = last;
      this.#sink();
    }
    return first;
  }

  #rise(from: number): void {
    const heap = this.#heap;
    const entry = heap[from]!;
    let at = from;
    for (let parent = (at - 1) >> 1; at > 0 && isBefore(entry, heap[parent]!); parent = (at - 1) >> 1) {
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = entry;
  }

  #sink(): void {
    const heap = this.#heap;
    const entry = heap[0]!;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (child >= heap.length || !isBefore(heap[child]!, entry)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = entry;
  }
}

const isBefore = (a: Entry, b: Entry): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);
