/** Answers about videos, given again for a while: of all who ask for the same at the same time one costs a question. Who may have it is looked at each time. */
import { LRUCache } from "lru-cache";
import { maySee, type Principal } from "../kernel/principal.ts";
import type { Content } from "./http/reply.ts";

/** How old an answer may be. The event of a change comes sooner; this is for when it is lost, and for what changes without one. */
const FRESH_MS = 2000;
/** How old one may be of videos that nobody works on, where no event is lost since all services are in this process. Then views are told as late. */
const STEADY_MS = 30_000;
/**
 * A moment between these shares of its time is drawn for each list; from then on it is made anew by whoever asks for it, while all go on getting the one
 * before: who asks for what others ask for never waits. Drawn, since lists that were asked for together would be due together, and hundreds of searches at
 * once take the cores from all who are answered meanwhile (Vattani, Chierichetti and Lowenstein, "Optimal probabilistic cache stampede prevention", VLDB 2015,
 * draw for the same reason). A video is one row, found by its key: to wait for that takes a millisecond, and to make it anew earlier only makes it oftener.
 */
const RENEWED_FROM = 0.3;
const RENEWED_BY = 0.7;
/** So many at once: a list holds up to three connections to the database, of eight, and two are always left to those who do wait. */
const RENEWALS_MAX = 2;
/** The clock is read so often, ms: every time it is read, a timer says when that is too old. */
const CLOCK_MS = 100;
/** 10,000 videos, or 1000 lists of twenty. */
const BYTES_MAX = 32 * 1024 * 1024;
/** Of one that is longer, few can be kept: a hundred videos with the longest descriptions. */
const ANSWER_BYTES_MAX = 512 * 1024;
/** What stands around the bytes, and the entry itself. */
const OVERHEAD_BYTES = 1024;

/** What a right to see hangs on, beside the answer. */
export interface OwnedAnswer {
  readonly of: Parameters<typeof maySee>[1];
  readonly content: Content;
}

/** What an answer was made of. */
export interface Made<V> {
  readonly answer: V;
  /** Nothing in it changes by itself. */
  readonly isSteady: boolean;
}

export class Answers {
  readonly #steadyMs: number;
  readonly #videos = shelf<OwnedAnswer>(({ content }) => content);
  readonly #lists = shelf<Content>((content) => content);
  readonly #asked = new Map<string, Promise<unknown>>();
  /** Count what made answers untrue: one that was on its way meanwhile is neither kept nor shared with who asks later. */
  #changes = 0;
  #listChanges = 0;
  #renewals = 0;

  /** `losesEvents`: a change may be made in another process. */
  constructor({ losesEvents }: { readonly losesEvents: boolean }) {
    this.#steadyMs = losesEvents ? FRESH_MS : STEADY_MS;
  }

  /** The same for everybody who may see it. What `load` fails with, and VIDEO_NOT_FOUND. */
  async video(as: Principal, id: string, load: () => Promise<Made<OwnedAnswer>>): Promise<Content> {
    const kept = this.#videos.get(id)?.answer;
    if (kept && maySee(as, kept.of)) return kept.content;
    const place = { shelf: this.#videos, key: id, changes: () => this.#changes };
    return (await this.#once(`video ${sightOf(as)} ${id}`, place, load)).content;
  }

  /** `question` is everything that the list depends on, but who asks. */
  async list(as: Principal, question: string, load: () => Promise<Made<Content>>): Promise<Content> {
    const key = `${sightOf(as)} ${question}`;
    const kept = this.#lists.get(key);
    if (kept && !this.#isDue(kept)) return kept.answer;
    const place = { shelf: this.#lists, key, changes: () => this.#listChanges };
    if (!kept) return await this.#once(key, place, load);
    this.#renew(kept, place, load);
    return kept.answer;
  }

  /** A video changed: lists may have it, too. Without an id, there are others in lists. */
  forget(id?: string): void {
    this.#changes++;
    this.#listChanges++;
    if (id !== undefined) this.#videos.delete(id);
    this.#lists.clear();
  }

  /** The video is a little further: lists may tell that a moment later. */
  forgetProgress(id: string): void {
    this.#changes++;
    this.#videos.delete(id);
  }

  #isDue({ renewing, renewAt }: Kept<Content>): boolean {
    return !renewing && performance.now() >= renewAt && this.#renewals < RENEWALS_MAX;
  }

  /** Nobody waits for it: what fails is tried again by the next who asks, until the one before is too old. */
  #renew(kept: Kept<Content>, place: Place<Content>, load: () => Promise<Made<Content>>): void {
    kept.renewing = true;
    this.#renewals++;
    const ended = (): void => {
      kept.renewing = false;
      this.#renewals--;
    };
    this.#once(place.key, place, load).then(ended, ended);
  }

  async #once<V extends object>(flight: string, { shelf: shelved, key, changes }: Place<V>, load: () => Promise<Made<V>>): Promise<V> {
    const change = changes();
    const joined = `${change} ${flight}`;
    const before = this.#asked.get(joined) as Promise<V> | undefined;
    if (before) return await before;
    const start = performance.now();
    const loading = load();
    const answered = loading.then(({ answer }) => answer);
    // Whoever waits hears of it below; often nobody else does.
    answered.catch(() => {});
    this.#asked.set(joined, answered);
    try {
      const { answer, isSteady } = await loading;
      const ttl = isSteady ? this.#steadyMs : FRESH_MS;
      if (changes() === change) shelved.set(key, { answer, renewAt: start + ttl * dueShare(), renewing: false }, { start, ttl });
      return answer;
    } finally {
      this.#asked.delete(joined);
    }
  }
}

/** An answer, and when it is time for the next one. */
interface Kept<V> {
  readonly answer: V;
  readonly renewAt: number;
  renewing: boolean;
}

/** Where an answer is kept, and the count of what makes it untrue. */
interface Place<V extends object> {
  readonly shelf: LRUCache<string, Kept<V>>;
  readonly key: string;
  readonly changes: () => number;
}

function shelf<V extends object>(contentOf: (answer: V) => Content): LRUCache<string, Kept<V>> {
  return new LRUCache({
    ttlResolution: CLOCK_MS,
    maxSize: BYTES_MAX,
    maxEntrySize: ANSWER_BYTES_MAX,
    // Whoever asks for it compressed has that kept beside it (http/compression.ts).
    sizeCalculation: ({ answer }) => OVERHEAD_BYTES + 2 * contentOf(answer).size,
  });
}

function dueShare(): number {
  return RENEWED_FROM + Math.random() * (RENEWED_BY - RENEWED_FROM);
}

/** Those of one sight see the same. */
function sightOf({ role, id, watches = "" }: Principal): string {
  return role === "admin" ? role : `${role} ${id} ${watches}`;
}
