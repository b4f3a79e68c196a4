/** Thinks of the next ring, and makes it. */
import { execute, transaction, type Database } from "../../mixins/database/sql.ts";
import { failure } from "../kernel/errors.ts";
import type { JobKind } from "../jobs/contract.ts";
import type { RingPlan, StagedChange } from "./contract.ts";
import type { AskDisks } from "./disks/asking.ts";
import { planOf, type Plan } from "./domain/plan.ts";
import { afterChanges, stateAfter, type Change } from "./domain/states.ts";
import { commitRing, stageChange, stagedChanges, unstageChanges, type NextRing } from "./store/changes.ts";
import { allDisks, knownDisk } from "./store/disks.ts";
import { contentsOf, isNeeded, unfinishedMoves } from "./store/moves.ts";
import { latestRing } from "./store/rings.ts";
import { nextTable } from "./threads/table.ts";

/** The sums over all chunks read each of their rows: 10 million in some seconds. */
const SUMS_MS = 30_000;

interface Ports {
  readonly db: Database;
  readonly ask: AskDisks;
}

interface Applied {
  /** The ring that the plan was made for. */
  readonly epoch: number;
  readonly fewer: boolean;
}

interface Thinking {
  /** Whether the ring may have fewer copies than before. */
  readonly fewer: boolean;
  /** Instead of what is staged. */
  readonly byClock?: readonly Change[];
}

interface Thought {
  readonly next: NextRing;
  readonly plan: Plan;
}

/** DISK_NOT_FOUND, RING_CHANGE_REFUSED. */
export async function stage({ db, ask }: Ports, { force, ...staged }: StagedChange & { readonly force: boolean }): Promise<void> {
  const disk = await knownDisk(db, staged.disk);
  if (!disk) throw failure("DISK_NOT_FOUND", `There is no disk ${staged.disk}.`);
  if (staged.change === "add" && disk.state === "in") {
    // Who adds what is in the ring has told a new address of it, or wants another weight, or takes back what was staged.
    if (staged.weight === null) await unstageChanges(db, disk.id);
    else await stageChange(db, { ...staged, change: "weight" });
    return;
  }
  stateAfter(disk, staged);
  if (staged.change === "remove") await ask.refuseLoss(disk, { needed: await isNeeded(db, disk.id), force });
  await stageChange(db, staged);
}

/** What the staged changes would do. */
export async function planChanges(ports: Ports, fewer: boolean): Promise<RingPlan> {
  const { next, plan } = await thinkOf(ports.db, { fewer });
  await refuseLosses(ports, next);
  const { moves, ...figures } = plan;
  return { ...figures, epoch: next.epoch, changes: next.staged, partitions: moves.length };
}

/** Applies what is staged; answers the kinds of the jobs that came of it. */
export async function applyChanges({ db, ask }: Ports, { epoch, fewer }: Applied): Promise<readonly JobKind[]> {
  const { next } = await thinkOf(db, { fewer });
  if (next.epoch !== epoch) throw failure("RING_CHANGED", `The ring is at epoch ${next.epoch} by now, not at ${epoch}: plan again.`);
  await refuseLosses({ db, ask }, next);
  return await commitRing(db, next);
}

/** A disk that was silent when its removal was staged may be back. */
async function refuseLosses({ db, ask }: Ports, { staged, disksBefore }: NextRing): Promise<void> {
  for (const { disk, change } of staged) {
    if (change !== "remove") continue;
    const known = disksBefore.find(({ id }) => id === disk)!;
    await ask.refuseLoss(known, { needed: await isNeeded(db, disk), force: true });
  }
}

/** Applies what no operator has asked for: a disk that was away for too long, or is back. */
export async function applyByClock(
  db: Database,
  changes: readonly Change[],
): Promise<{ readonly plan: Plan; readonly made: readonly JobKind[] }> {
  const { next, plan } = await thinkOf(db, { fewer: false, byClock: changes });
  return { plan, made: await commitRing(db, next) };
}

/** One snapshot of everything that a ring is thought of by; `commitRing` compares it with what is true then. */
async function thinkOf(db: Database, { fewer, byClock }: Thinking): Promise<Thought> {
  const { latest, disks, staged, unfinished, contents } = await snapshot(db);
  if (!latest) throw failure("RING_EMPTY", "There is no ring yet, so it cannot change.");
  const changes = byClock ?? staged;
  if (changes.length === 0) throw failure("RING_CHANGE_REFUSED", "Nothing is staged: say what should change first.");
  const after = afterChanges(disks, changes);
  const byId = new Map(disks.map((disk) => [disk.id, disk]));
  const before = { ...latest, disks: latest.disks.map((id) => byId.get(id)!) };
  const members = after.filter(({ state }) => state === "in");
  if (members.length === 0) throw failure("RING_CHANGE_REFUSED", "No disk would be left in the ring.");
  const table = await nextTable(before, members);
  const down = new Set(disks.filter(({ downSince }) => downSince !== null).map(({ id }) => id));
  const plan = planOf({ before, after: table, disksBefore: disks, disksAfter: after, unfinished, contents, down, fewer });
  const next: NextRing = {
    epoch: latest.epoch,
    table,
    moves: plan.moves,
    disksBefore: disks,
    disksAfter: after,
    staged: byClock ? [] : staged,
    by: byClock ? "clock" : "operator",
  };
  return { next, plan };
}

async function snapshot(db: Database) {
  return await transaction(db, async (tx) => {
    await execute(tx, "set transaction isolation level repeatable read, read only");
    await execute(tx, `set local statement_timeout = ${SUMS_MS}`);
    const latest = await latestRing(tx);
    const staged: readonly StagedChange[] = await stagedChanges(tx);
    const contents = latest ? await contentsOf(tx, latest.partitionBits) : new Map();
    return { latest, staged, contents, disks: await allDisks(tx), unfinished: await unfinishedMoves(tx) };
  });
}
