/** Staged changes, and the one transaction that makes them true. */
import { enqueue, UNTIL_DONE, type JobKind } from "../../../mixins/database/enqueue.ts";
import { lockRing } from "../../../mixins/database/ring-lock.ts";
import { execute, rows, transaction, type Database, type Tx } from "../../../mixins/database/sql.ts";
import { failure } from "../../kernel/errors.ts";
import type { StagedChange } from "../contract.ts";
import type { Table } from "../domain/placement.ts";
import type { Move } from "../domain/plan.ts";
import type { KnownDisk } from "../domain/states.ts";
import { allDisks } from "./disks.ts";
import { insertMoves, rangesOf } from "./moves.ts";
import { insertRing, latestRing } from "./rings.ts";

/** Thousands of rows in one transaction. */
const APPLY_MS = 30_000;

export async function stagedChanges(on: Database | Tx): Promise<readonly StagedChange[]> {
  return await rows<StagedChange>(
    on,
    "select disk_id as disk, change, weight::float8 as weight from ring_changes order by staged_at, disk_id",
  );
}

export async function stageChange(db: Database, { disk, change, weight }: StagedChange): Promise<void> {
  await execute(
    db,
    `insert into ring_changes (disk_id, change, weight) values ($1, $2, $3)
     on conflict (disk_id) do update set change = excluded.change, weight = excluded.weight, staged_at = now()`,
    [disk, change, weight],
  );
}

export async function unstageChanges(db: Database, disk: string | undefined): Promise<void> {
  await execute(db, "delete from ring_changes where $1::uuid is null or disk_id = $1", [disk ?? null]);
}

/** A ring that was thought of, with everything that it was thought of by. */
export interface NextRing {
  readonly epoch: number;
  readonly table: Table;
  readonly moves: readonly Move[];
  readonly disksBefore: readonly KnownDisk[];
  readonly disksAfter: readonly KnownDisk[];
  /** What an operator staged; none for a change by the clock. */
  readonly staged: readonly StagedChange[];
  readonly by: "operator" | "clock";
}

/** Makes it the ring, unless something of what it was thought of by is different by now: RING_CHANGED. Answers the kinds of the jobs that it made. */
export async function commitRing(db: Database, next: NextRing): Promise<readonly JobKind[]> {
  return await transaction(db, async (tx) => {
    await execute(tx, `set local statement_timeout = ${APPLY_MS}`);
    await lockRing(tx, "exclusive");
    await assertUnchanged(tx, next);
    if (!(await insertRing(tx, next.epoch + 1, next.table))) throw changed(next);
    await saveStates(tx, next);
    await execute(tx, "delete from ring_changes where disk_id = any($1::uuid[])", [next.staged.map(({ disk }) => disk)]);
    await insertMoves(tx, next.epoch + 1, next.moves);
    return await enqueueMoves(
      tx,
      next.epoch + 1,
      next.moves.map(({ partition }) => partition),
    );
  });
}

async function assertUnchanged(tx: Tx, next: NextRing): Promise<void> {
  const latest = await latestRing(tx);
  if (latest?.epoch !== next.epoch) throw changed(next);
  if (!same(facts(await allDisks(tx)), facts(next.disksBefore))) throw changed(next);
  if (next.by === "operator" && !same(await stagedChanges(tx), next.staged)) throw changed(next);
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** What of the disks decides where content goes. */
function facts(disks: readonly KnownDisk[]): unknown {
  return disks.map(({ id, zone, weight, state }) => [id, zone, weight, state]);
}

function changed({ epoch }: NextRing): Error {
  return failure("RING_CHANGED", `The ring of epoch ${epoch}, its disks or the staged changes are not what they were: plan again.`);
}

async function saveStates(tx: Tx, { disksBefore, disksAfter, by }: NextRing): Promise<void> {
  const different = disksAfter.filter((disk, index) => {
    const before = disksBefore[index]!;
    return before.state !== disk.state || before.weight !== disk.weight;
  });
  await execute(
    tx,
    `update disks set state = changed.state, out_by = case when changed.state = 'out' then $5 end,
       weight_set = nullif(changed.weight, disks.weight)
     from unnest($1::uuid[], $2::text[], $3::bigint[]) as changed (id, state, weight)
     where disks.id = changed.id and $4 > 0`,
    [different.map(({ id }) => id), different.map(({ state }) => state), different.map(({ weight }) => weight), different.length, by],
  );
}

/** Jobs for these partitions in place of those that were there before: whoever works on one of them finds that it was taken away, and ends. */
export async function enqueueMoves(tx: Tx, epoch: number, partitions: readonly number[]): Promise<readonly JobKind[]> {
  await execute(
    tx,
    `update jobs set state = 'cancelled', lease_until = null, finished_at = now()
     where id in (select id from jobs where kind = 'partition.move' and state in ('queued', 'running') order by id for update)`,
  );
  const jobs = rangesOf(partitions).map(({ first, last }) => ({
    kind: "partition.move" as const,
    payload: { first, last },
    dedupeKey: `${epoch}:${first}-${last}`,
    // Only its end, or another ring, ends a move.
    maxAttempts: UNTIL_DONE,
  }));
  return jobs.length === 0 ? [] : await enqueue(tx, jobs);
}
