/** Work that waits, in the order of the shipped queue (services/jobs/store/queue.ts): within a kind the highest priority first, of equal ones the oldest. */
import type { Work } from "./farm.ts";

interface Waiting<K extends string> {
  readonly work: Work<K>;
  readonly since: number;
}

/** First in, first out, without moving what is left. */
class Line<T> {
  #items: (T | undefined)[] = [];
  #first = 0;

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    const item = this.#items[this.#first];
    if (item === undefined) return undefined;
    this.#items[this.#first++] = undefined;
    if (this.#first > 1000 && this.#first * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#first);
      this.#first = 0;
    }
    return item;
  }
}

/** Lines by priority. */
class Kind<K extends string> {
  readonly #lines = new Map<number, Line<Waiting<K>>>();
  /** Every priority that there was, the highest first, and where each stands. */
  #priorities: number[] = [];
  #places = new Map<number, number>();
  /** Before it all lines are empty. */
  #first = 0;
  #size = 0;

  add(waiting: Waiting<K>): void {
    const { priority } = waiting.work;
    const line = this.#lines.get(priority) ?? this.#newLine(priority);
    line.push(waiting);
    this.#size++;
    this.#first = Math.min(this.#first, this.#places.get(priority)!);
  }

  take(priorityMin: number): Waiting<K> | undefined {
    if (this.#size === 0) return undefined;
    for (;;) {
      const priority = this.#priorities[this.#first]!;
      if (priority < priorityMin) return undefined;
      const taken = this.#lines.get(priority)!.shift();
      if (taken) {
        this.#size--;
        return taken;
      }
      this.#first++;
    }
  }

  #newLine(priority: number): Line<Waiting<K>> {
    const line = new Line<Waiting<K>>();
    this.#lines.set(priority, line);
    this.#priorities = [...this.#lines.keys()].toSorted((a, b) => b - a);
    this.#places = new Map(this.#priorities.map((one, place) => [one, place]));
    this.#first = 0;
    return line;
  }
}

export class WaitingWork<K extends string> {
  readonly #kinds = new Map<K, Kind<K>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(work: Work<K>, since: number): void {
    let kind = this.#kinds.get(work.kind);
    if (!kind) this.#kinds.set(work.kind, (kind = new Kind()));
    kind.add({ work, since });
    this.#size++;
  }

  take(kind: K, priorityMin = Number.NEGATIVE_INFINITY): Waiting<K> | undefined {
    const taken = this.#kinds.get(kind)?.take(priorityMin);
    if (taken) this.#size--;
    return taken;
  }
}
