/** Answers about videos, given again for a while: of all who ask for the same at the same time one costs a question. Who may have it is looked at each time. */
import { LRUCache } from "lru-cache";
import { maySee, type Principal } from "../kernel/principal.ts";
import type { Content } from "./http/reply.ts";

/** How old an answer may be. The event of a change comes sooner; this is for when it is lost, and for what changes without one. */
const FRESH_MS = 2000;
/** How old one may be of videos that nobody works on, where no event is lost since all services are in this process. Then views are told as late. */
const STEADY_MS = 30_000;
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

  /** `losesEvents`: a change may be made in another process. */
  constructor({ losesEvents }: { readonly losesEvents: boolean }) {
    this.#steadyMs = losesEvents ? FRESH_MS : STEADY_MS;
  }

  /** The same for everybody who may see it. What `load` fails with, and VIDEO_NOT_FOUND. */
  async video(as: Principal, id: string, load: () => Promise<Made<OwnedAnswer>>): Promise<Content> {
    const kept = this.#videos.get(id);
    if (kept && maySee(as, kept.of)) return kept.content;
    return (await this.#once(`video ${sightOf(as)} ${id}`, { shelf: this.#videos, key: id, changes: () => this.#changes }, load)).content;
  }

  /** `question` is everything that the list depends on, but who asks. */
  async list(as: Principal, question: string, load: () => Promise<Made<Content>>): Promise<Content> {
    const key = `${sightOf(as)} ${question}`;
    return this.#lists.get(key) ?? (await this.#once(key, { shelf: this.#lists, key, changes: () => this.#listChanges }, load));
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
      if (changes() === change) shelved.set(key, answer, { start, ttl: isSteady ? this.#steadyMs : FRESH_MS });
      return answer;
    } finally {
      this.#asked.delete(joined);
    }
  }
}

/** Where an answer is kept, and the count of what makes it untrue. */
interface Place<V extends object> {
  readonly shelf: LRUCache<string, V>;
  readonly key: string;
  readonly changes: () => number;
}

function shelf<V extends object>(contentOf: (value: V) => Content): LRUCache<string, V> {
  return new LRUCache<string, V>({
    maxSize: BYTES_MAX,
    maxEntrySize: ANSWER_BYTES_MAX,
    // Whoever asks for it compressed has that kept beside it (http/compression.ts).
    sizeCalculation: (value) => OVERHEAD_BYTES + 2 * contentOf(value).size,
  });
}

/** Those of one sight see the same. */
function sightOf({ role, id }: Principal): string {
  return role === "admin" ? role : `${role} ${id}`;
}
