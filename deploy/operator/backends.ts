/**
 * `storage move`: everything that is stored goes to other disks, to one folder or to a bucket, while people upload and watch. It is a change of the ring, so
 * nothing but the ring remembers it: who says it again, after whatever was killed, goes on where it is.
 */
import { diskAddresses } from "../../config/storage.ts";
import { loadConfig } from "../../config/index.ts";
import { errorType, failure, messageOf } from "../../services/kernel/errors.ts";
import { call, type Caller } from "../../services/kernel/rpc.ts";
import { ring, type ChangeKind, type DiskHealth, type Moves } from "../../services/ring/contract.ts";
import type { Given, Output } from "./command.ts";
import { movesText, planText, short } from "./describe.ts";
import { idOf } from "./named.ts";

interface Change {
  readonly disk: string;
  readonly change: ChangeKind;
}

/** How far it is, and whether there is nothing left to do. */
export interface Step {
  readonly done: boolean;
  readonly told: string;
}

/** The next step: the change of the ring, then how far it is, then those that hold nothing any more are forgotten. */
export async function moveStorage(caller: Caller, { words }: Pick<Given, "words">): Promise<Output> {
  const wanted = await targetsOf(caller, words);
  const disks = await call(caller, ring.disks, {});
  const changes = changesTo(wanted, disks);
  const step = changes.length > 0 ? await begin(caller, changes) : await goOn(caller, wanted, disks);
  return { data: step, text: step.told };
}

/** Without words what the settings name, as they are where the command runs. */
async function targetsOf(caller: Caller, words: readonly string[]): Promise<ReadonlySet<string>> {
  const said = words.length > 0 ? words : diskAddresses(loadConfig());
  if (said.length === 0) throw failure("INVALID_REQUEST", "Say where to: addresses of disks, or s3://bucket/prefix.");
  const ids = new Set<string>();
  for (const one of said) ids.add(await idOf(caller, one));
  return ids;
}

function changesTo(wanted: ReadonlySet<string>, disks: readonly DiskHealth[]): readonly Change[] {
  const coming = disks.filter(({ id, state }) => wanted.has(id) && state !== "in").map(({ id }) => ({ disk: id, change: "add" as const }));
  const going = disks
    .filter(({ id, state }) => !wanted.has(id) && state === "in")
    .map(({ id }) => ({ disk: id, change: "drain" as const }));
  return [...coming, ...going];
}

async function begin(caller: Caller, changes: readonly Change[]): Promise<Step> {
  const others = (await call(caller, ring.staged, {})).filter(({ disk, change }) => !isAmong(changes, { disk, change }));
  if (others.length > 0)
    throw failure("RING_CHANGE_REFUSED", "Something else is staged: apply it, or unstage it, and wait until nothing moves.");
  for (const change of changes) await call(caller, ring.stage, change);
  // Who names all that are to be left has said how many copies there will be.
  const plan = await call(caller, ring.plan, { fewer: true });
  const { epoch } = await call(caller, ring.apply, { epoch: plan.epoch, fewer: true });
  return { done: false, told: `${planText(plan)}\napplied: the ring is at epoch ${epoch}` };
}

function isAmong(changes: readonly Change[], one: Change): boolean {
  return changes.some(({ disk, change }) => disk === one.disk && change === one.change);
}

async function goOn(caller: Caller, wanted: ReadonlySet<string>, disks: readonly DiskHealth[]): Promise<Step> {
  const [{ partitionBits }, moves] = await Promise.all([call(caller, ring.get, {}), call(caller, ring.moves, {})]);
  const unfinished = await call(caller, ring.moving, { first: 0, last: 2 ** partitionBits - 1 });
  if (unfinished.length > 0) return { done: false, told: progressText(moves, unfinished.length) };
  const rest = disks.filter(({ id, state }) => !wanted.has(id) && (state === "draining" || state === "out"));
  // One that is silent may come back with the only copy of something: only who names it forgets it.
  const silent = rest.filter(({ up }) => !up).map(({ id }) => `! ${short(id)} stays known: it does not answer`);
  const refusals = await forget(
    caller,
    rest.filter(({ up }) => up),
  );
  return { done: true, told: [movesText(moves), ...silent, ...refusals, "everything is where it was to go"].join("\n") };
}

function progressText(moves: Moves, unfinished: number): string {
  return moves.partitions.done < moves.partitions.total ? movesText(moves) : `${unfinished} partitions are still to be cleared`;
}

/** Answers why some are not forgotten, a sentence each. */
async function forget(caller: Caller, empty: readonly DiskHealth[]): Promise<string[]> {
  const removals = empty.map(({ id }) => ({ disk: id, change: "remove" as const }));
  const others = (await call(caller, ring.staged, {})).filter(({ disk, change }) => !isAmong(removals, { disk, change }));
  if (others.length > 0) return ["! the emptied disks stay known: something else is staged"];
  const refusals: string[] = [];
  for (const { id } of empty) {
    const refusal = await call(caller, ring.stage, { disk: id, change: "remove" }).then(() => undefined, asRefusal);
    if (refusal !== undefined) refusals.push(`! ${short(id)} stays known: ${refusal}`);
  }
  if (refusals.length === empty.length) return refusals;
  const { epoch } = await call(caller, ring.plan, {});
  await call(caller, ring.apply, { epoch });
  return refusals;
}

function asRefusal(error: unknown): string {
  if (errorType(error) !== "RING_CHANGE_REFUSED") throw error;
  return messageOf(error);
}
