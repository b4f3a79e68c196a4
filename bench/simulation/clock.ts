/**
 * Time, chance and order of a simulated run. Nothing waits: an event is taken when all that followed from the one before it has happened, and
 * the clock jumps to its moment. The same seed gives the same run.
 */
import { syncBuiltinESMExports } from "node:module";
import timers from "node:timers/promises";
import { randomFrom, type Random } from "../../services/ring/domain/random.ts";

interface Event {
  readonly at: number;
  readonly number: number;
  act: (() => void) | undefined;
}

export class Clock {
  /** Milliseconds since the start of the run. */
  now = 0;
  /** Events taken: what a run costs. */
  taken = 0;
  readonly #heap: Event[] = [];
  #number = 0;

  after(ms: number, act: () => void): Event {
    const event = { at: this.now + Math.max(0, ms), number: this.#number++, act };
    push(this.#heap, event);
    return event;
  }

  async sleep(ms: number): Promise<void> {
    await new Promise<void>((resolve) => this.after(ms, resolve));
  }

  /** Takes events until `work` has ended. Rejects as it does, and when nothing is left that could end it. `watch` is told of each event. */
  async run<T>(work: Promise<T>, eventsMax: number, watch?: () => void): Promise<T> {
    const state = { ended: false };
    const end = (): void => void (state.ended = true);
    work.then(end, end);
    for (await settled(); !state.ended; await settled()) {
      const event = pop(this.#heap);
      if (!event) throw new Error("Everybody waits for somebody.");
      if (++this.taken > eventsMax) throw new Error(`The run goes on after ${eventsMax} events.`);
      this.now = event.at;
      event.act?.();
      watch?.();
    }
    return await work;
  }
}

/** Resolves when no promise is left that can go on by itself: Node runs its ticks after those. */
async function settled(): Promise<void> {
  await new Promise<void>((resolve) => process.nextTick(resolve));
}

function before(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.number < b.number);
}

function push(heap: Event[], event: Event): void {
  let at = heap.push(event) - 1;
  for (let up = (at - 1) >> 1; at > 0 && before(event, heap[up]!); up = (at - 1) >> 1) {
    heap[at] = heap[up]!;
    at = up;
  }
  heap[at] = event;
}

function pop(heap: Event[]): Event | undefined {
  const first = heap[0];
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return first;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
    if (child >= heap.length || !before(heap[child]!, last)) break;
    heap[at] = heap[child]!;
    at = child;
  }
  heap[at] = last;
  return first;
}

/** What may happen in a run, decided by its seed. */
export class Chance {
  readonly random: Random;

  constructor(seed: string) {
    this.random = randomFrom(seed);
  }

  /** True in `share` of the cases. */
  of(share: number): boolean {
    return this.random() < share;
  }

  /** A whole number from `low` to `high`, both inclusive. */
  between(low: number, high: number): number {
    return low + Math.floor(this.random() * (high - low + 1));
  }

  one<T>(items: readonly T[]): T {
    return items[Math.floor(this.random() * items.length)]!;
  }

  /** Mostly short, now and then long: around `ms`. */
  delay(ms: number): number {
    return -Math.log(1 - this.random()) * ms;
  }
}

let present: { clock: Clock; chance: Chance } | undefined;

/**
 * Gives the timers and the chance of this thread to a run, so that shipped code which waits and draws needs no change. For a thread that does
 * nothing else.
 */
export function takeOver(clock: Clock, chance: Chance): void {
  if (!present) replaceTimers();
  present = { clock, chance };
}

function replaceTimers(): void {
  Object.assign(globalThis, { setTimeout: later, clearTimeout: cancel });
  Object.assign(timers, { setTimeout: sleep });
  syncBuiltinESMExports();
  Math.random = () => present!.chance.random();
  Date.now = () => present!.clock.now;
  performance.now = () => present!.clock.now;
}

function later(act: () => void, ms = 0): Event {
  return present!.clock.after(ms, act);
}

function cancel(event?: Event): void {
  if (event) event.act = undefined;
}

/** As the one of node:timers/promises. */
async function sleep(ms: number, value?: unknown, { signal }: { signal?: AbortSignal } = {}): Promise<unknown> {
  signal?.throwIfAborted();
  return await new Promise((resolve, reject) => {
    const event = present!.clock.after(ms, () => {
      signal?.removeEventListener("abort", abort);
      resolve(value);
    });
    const abort = (): void => {
      event.act = undefined;
      reject(signal!.reason as Error);
    };
    signal?.addEventListener("abort", abort, { once: true });
  });
}
