/** The jobs of upkeep: at most one that is not ended for each thing to be done, whoever plans it. */
import { enqueue, type JobKind, type NewJob } from "../../../mixins/database/enqueue.ts";
import { rows, transaction, type Database } from "../../../mixins/database/sql.ts";

export interface Task extends NewJob {
  /** What it is done to: two jobs of a kind for the same thing are one. */
  readonly dedupeKey: string;
}

/** Answers the kinds of the jobs that were not there. */
export async function plan(db: Database, tasks: readonly Task[]): Promise<readonly JobKind[]> {
  return tasks.length === 0 ? [] : await transaction(db, async (tx) => await enqueue(tx, tasks));
}

/** Plans jobs, or brings forward those that wait for their time. What is being done already counts from its beginning, so it is not answered. */
export async function hasten(db: Database, tasks: readonly Task[]): Promise<readonly Task[]> {
  const planned = new Set<string>();
  for (const { kind, dedupeKey } of tasks) {
    const brought = await rows(db, "update jobs set run_at = now() where kind = $1 and dedupe_key = $2 and state = 'queued' returning id", [
      kind,
      dedupeKey,
    ]);
    if (brought.length > 0) planned.add(dedupeKey);
  }
  const others = tasks.filter(({ dedupeKey }) => !planned.has(dedupeKey));
  for (const task of others) {
    if ((await plan(db, [{ ...task, delaySeconds: 0 }])).length > 0) planned.add(task.dedupeKey);
  }
  return tasks.filter(({ dedupeKey }) => planned.has(dedupeKey));
}
