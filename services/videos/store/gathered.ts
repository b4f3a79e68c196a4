/** Videos that are asked for one by one and at the same time, in one statement: of fifty, each costs a tenth of what it costs alone. */
import type { Database } from "../../../mixins/database/sql.ts";
import { findVideos, type DescribedRow } from "./described.ts";

/** A statement of so many takes some 10 ms. */
const TOGETHER_MAX = 100;

interface Gathering {
  readonly ids: Set<string>;
  readonly found: Promise<ReadonlyMap<string, DescribedRow>>;
}

export class GatheredVideos {
  readonly #db: Database;
  #next: Gathering | undefined;

  constructor(db: Database) {
    this.#db = db;
  }

  /** As it is after the question. Undefined when there is none, or it lies in the trash. */
  async find(id: string): Promise<DescribedRow | undefined> {
    this.#next ??= this.#gather();
    const { ids, found } = this.#next;
    ids.add(id);
    if (ids.size === TOGETHER_MAX) this.#next = undefined;
    return (await found).get(id);
  }

  /** What is asked for until the event loop comes round. */
  #gather(): Gathering {
    const ids = new Set<string>();
    const round = new Promise<void>((resolve) => setImmediate(resolve));
    const found = round.then(async () => {
      if (this.#next?.ids === ids) this.#next = undefined;
      const rows = await findVideos(this.#db, [...ids]);
      return new Map(rows.map((row) => [row.id, row]));
    });
    return { ids, found };
  }
}
