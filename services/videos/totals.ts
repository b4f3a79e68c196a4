/** How long lists are: remembered for a moment, since the next page asks the same again. */
import { LRUCache } from "lru-cache";
import type { Database } from "../../mixins/database/sql.ts";
import { countVideos, guessVideos, type List, type Listing, type Total } from "./store/listing.ts";

/** A list that grows meanwhile says so a few seconds later. */
const FRESH_MS = 5000;
/** What the planner knows changes with an ANALYZE: after some percent of the videos did. */
const GUESSED_MS = 60_000;
/** An entry is some 300 bytes. */
const LISTS_MAX = 2000;

export class Totals {
  readonly #db: Database;
  readonly #known = new LRUCache<string, Promise<Total>>({ max: LISTS_MAX, ttl: FRESH_MS });
  readonly #guessed = new LRUCache<string, Promise<number>>({ max: LISTS_MAX, ttl: GUESSED_MS });

  constructor(db: Database) {
    this.#db = db;
  }

  /** Of all pages of the list together. */
  async of(listing: Listing): Promise<Total> {
    return await remembered(this.#known, listing, async (list) => await countVideos(this.#db, list, this.guess));
  }

  /** What may be wrong by much, and costs next to nothing. */
  readonly guess = async (listing: List | Listing): Promise<number> =>
    await remembered(this.#guessed, listing, async (list) => await guessVideos(this.#db, list));

  /** A list became longer or shorter: whoever changed it sees that. */
  forget(): void {
    this.#known.clear();
  }
}

async function remembered<T>(known: LRUCache<string, Promise<T>>, listing: List | Listing, ask: (list: List) => Promise<T>): Promise<T> {
  const { page: _page, limit: _limit, cursor: _cursor, ...list } = { page: 1, limit: 1, cursor: undefined, ...listing };
  const key = JSON.stringify(list);
  const before = known.get(key);
  if (before) return await before;
  const asking = ask(list);
  known.set(key, asking);
  asking.catch(() => known.delete(key));
  return await asking;
}
