/**
 * The ends of sources in memory. An MP4 has its index at one of them, and every process that begins reads all of it: of an hour that is 4 MB, six times
 * before anybody sees the first frame. From the disks it is read once.
 */
import { Readable } from "node:stream";
import { LRUCache } from "lru-cache";
import type { Source } from "./ffmpeg/source.ts";
import { joined } from "./work/index.ts";

const MiB = 1024 * 1024;
/** The index of two hours of 30 frames a second with sound. Of a longer one the rest is read each time. */
const END_BYTES = 8 * MiB;
/** What is asked of the disks at once, while the one before is handed on. */
const PAGE_BYTES = MiB;
/** Four films at once, and what is shorter than two ends whole. */
const KEPT_BYTES = 64 * MiB;
/** They are for the processes that begin together; after a pause of this length nobody is waited for. */
const KEPT_MS = 10_000;

/** Bytes start (inclusive) to end (exclusive) of a blob. */
type Read = (blob: string, start: number, end: number) => Promise<Readable>;

interface Page {
  readonly start: number;
  readonly end: number;
}

export class SourceEnds {
  readonly #read: Read;
  readonly #pages = new LRUCache<string, Promise<Uint8Array>>({ maxSize: KEPT_BYTES });
  readonly #forgetting = setTimeout(() => this.#pages.clear(), KEPT_MS).unref();

  constructor(read: Read) {
    this.#read = read;
  }

  source(blob: string, size: number): Source {
    return { size, read: async (start, end) => Readable.from(this.#bytesOf(blob, size, { start, end })) };
  }

  async *#bytesOf(blob: string, size: number, { start, end }: Page): AsyncGenerator<Uint8Array> {
    for (let at = start; at < end;) {
      const page = pageAt(at, size);
      const until = Math.min(end, page?.end ?? tailOf(size));
      const next = until < end ? pageAt(until, size) : undefined;
      if (page) yield (await this.#page(blob, page, next)).subarray(at - page.start, until - page.start);
      else yield* await this.#read(blob, at, until);
      at = until;
    }
  }

  /** And the one that is asked for after it, on its way. */
  async #page(blob: string, page: Page, next: Page | undefined): Promise<Uint8Array> {
    this.#forgetting.refresh();
    const bytes = this.#fetched(blob, page);
    // Whoever needs it is told of its failure.
    if (next) this.#fetched(blob, next).catch(() => {});
    return await bytes;
  }

  #fetched(blob: string, { start, end }: Page): Promise<Uint8Array> {
    const key = `${blob} ${start}`;
    const known = this.#pages.get(key);
    if (known) return known;
    const coming = this.#read(blob, start, end).then(joined);
    this.#pages.set(key, coming, { size: end - start });
    // The next one who asks tries again.
    coming.catch(() => this.#pages.peek(key) === coming && this.#pages.delete(key));
    return coming;
  }
}

/** Undefined between the two ends. */
function pageAt(byte: number, size: number): Page | undefined {
  const start = byte - (byte % PAGE_BYTES);
  if (start >= END_BYTES && start < tailOf(size)) return undefined;
  return { start, end: Math.min(start + PAGE_BYTES, size) };
}

/** Where the last end begins: with a page. */
function tailOf(size: number): number {
  const from = Math.max(END_BYTES, size - END_BYTES);
  return from - (from % PAGE_BYTES);
}
