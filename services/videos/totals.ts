/** How long lists are: remembered for a moment, since the next page asks the same again. */
import { LRUCache } from "lru-cache";
import type { Database } from "../../mixins/database/sql.ts";
import { countVideos, type Listing, type Total } from "./store/listing.ts";

/** A list that grows meanwhile says so a few seconds later. */
const FRESH_MS = 5000;
/** An entry is some 300 bytes. */
const LISTS_MAX = 2000;

export class Totals {
  readonly #db: Database;
  readonly #known = new LRUCache<string, Promise<Total>>({ max: LISTS_MAX, ttl: FRESH_MS });

  constructor(db: Database) {
    this.#db = db;
  }

  /** Of all pages of the list together. */
  async of({ page: _page, limit: _limit, cursor: _cursor, ...list }: Listing): Promise<Total> {
    const key = JSON.stringify(list);
    const known = this.#known.get(key);
    if (known) return await known;
    const counting = countVideos(this.#db, list);
    this.#known.set(key, counting);
    counting.catch(() => this.#known.delete(key));
    return await counting;
  }

  /** A list became longer or shorter: whoever changed it sees that. */
  forget(): void {
    this.#known.clear();
  }
}
