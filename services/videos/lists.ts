/** What lists are found to have: remembered for a moment, since the same is asked again, and the next page asks for the same length. */
import { LRUCache } from "lru-cache";
import type { Database } from "../../mixins/database/sql.ts";
import { POPULAR_MAX, type Popular } from "./domain/viewing.ts";
import { countVideos, findPage, guessVideos, type FoundPage, type List, type Listing, type Total } from "./store/listing.ts";
import { popularVideos } from "./store/viewings.ts";

/** A list that grows meanwhile says so a few seconds later. */
const TOTAL_MS = 5000;
/** How long a page is remembered where all changes are made by this process: it is the same until one is made, but for its order by views. */
const STEADY_MS = 30_000;
/** What the planner knows changes with an ANALYZE: after some percent of the videos did. */
const GUESSED_MS = 60_000;
/** Everybody gets the same, it changes by the hour, and all views of a fortnight are added up for it. */
const POPULAR_MS = 60_000;
/** An entry is some 300 bytes, and 60 for each video of a page. */
const LISTS_MAX = 2000;

export class Lists {
  readonly #db: Database;
  readonly #pages: LRUCache<string, Promise<FoundPage>> | undefined;
  readonly #totals = new LRUCache<string, Promise<Total>>({ max: LISTS_MAX, ttl: TOTAL_MS });
  readonly #popular = new LRUCache<string, Promise<readonly Popular[]>>({ max: 1, ttl: POPULAR_MS });
  readonly #guessed = new LRUCache<string, Promise<number>>({ max: LISTS_MAX, ttl: GUESSED_MS });

  /** `losesEvents`: a change may be made in another process. Then no page is remembered: who asks after a change sees it, whoever made it. */
  constructor(db: Database, { losesEvents }: { readonly losesEvents: boolean }) {
    this.#db = db;
    this.#pages = losesEvents ? undefined : new LRUCache({ max: LISTS_MAX, ttl: STEADY_MS });
  }

  /** Which videos stand on a page: what they are, and whether they may still be shown, is for whoever describes them. */
  async page(listing: Listing): Promise<FoundPage> {
    const find = async (): Promise<FoundPage> => await findPage(this.#db, listing, this.guess);
    return await (this.#pages ? remembered(this.#pages, JSON.stringify(listing), find) : find());
  }

  /** What stands on it is in motion: it is found anew for whoever asks next. */
  forgetPage(listing: Listing): void {
    this.#pages?.delete(JSON.stringify(listing));
  }

  /** Of all pages of the list together. */
  async total(listing: Listing): Promise<Total> {
    return await remembered(this.#totals, nameOf(listing), async () => await countVideos(this.#db, listing, this.guess));
  }

  /** The most popular of all; whether they may still be shown is for whoever describes them. */
  async popular(): Promise<readonly Popular[]> {
    return await remembered(this.#popular, "all", async () => await popularVideos(this.#db, POPULAR_MAX));
  }

  /** What may be wrong by much, and costs next to nothing. */
  readonly guess = async (list: List | Listing): Promise<number> =>
    await remembered(this.#guessed, nameOf(list), async () => await guessVideos(this.#db, list));

  /** Lists became longer or shorter, or stand in another order: whoever changed them sees that. */
  forget(): void {
    this.#pages?.clear();
    this.#totals.clear();
  }
}

/** The list as a whole, whatever page of it is asked for. */
function nameOf(listing: List | Listing): string {
  const { page: _page, limit: _limit, cursor: _cursor, ...list } = { page: 1, limit: 1, cursor: undefined, ...listing };
  return JSON.stringify(list);
}

async function remembered<T>(known: LRUCache<string, Promise<T>>, key: string, ask: () => Promise<T>): Promise<T> {
  const before = known.get(key);
  if (before) return await before;
  const asking = ask();
  known.set(key, asking);
  asking.catch(() => known.get(key) === asking && known.delete(key));
  return await asking;
}
