/** The queue on a real database, without anything in it. */
import { openDatabase } from "../../mixins/database/connection.ts";
import { enqueue, type NewJob } from "../../mixins/database/enqueue.ts";
import { execute, transaction, type Database } from "../../mixins/database/sql.ts";
import type { JobKind } from "../../services/jobs/contract.ts";
import { testDatabase } from "./postgres.ts";

/** Of jobs of which a test says nothing else. */
export const kind = "video.span" satisfies JobKind;

type SomeJob = Partial<NewJob> & { readonly payload?: object };

export interface TestQueue {
  readonly db: Database;
  /** As services are given it. */
  readonly url: string;
  add(...list: readonly SomeJob[]): Promise<void>;
  empty(): Promise<void>;
  drop(): Promise<void>;
}

export async function openQueue(): Promise<TestQueue> {
  const database = await testDatabase();
  const db = openDatabase(database.ownerUrl, { connectionsMax: 8 });
  return {
    db,
    url: database.url,
    async add(...list) {
      const jobs = list.map((job) => ({ kind, payload: {}, ...job })) as NewJob[];
      await transaction(db, async (tx) => await enqueue(tx, jobs));
    },
    empty: async () => void (await execute(db, "truncate jobs")),
    drop: async () => await database.drop(),
  };
}
