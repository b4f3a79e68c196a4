/** Brings the content of partitions to their new owners, and then takes it from those who had it. Stopped anywhere, it goes on from what the disks hold. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Pace } from "../domain/pace.ts";
import { atOnce } from "./at-once.ts";
import { emptyOnes } from "./empty.ts";
import { heldBy, rowsOf, type Look } from "./lists.ts";
import type { CopyOf, Moved, MoveFigures, MovingPartition, Ports } from "./ports.ts";
import { settleStrays } from "./strays.ts";

/** Copies between two reports of how far it is. */
const BATCH = 16;
const AT_ONCE = 2;

interface Move {
  readonly first: number;
  readonly last: number;
  readonly pace: Pace;
  readonly graceSeconds: number;
  readonly progress: (done: number) => void;
}

/** One partition after the other. One that cannot be moved now does not keep the others; the first of the failures is told at the end. */
export async function move(ports: Ports, { first, last, pace, graceSeconds, progress }: Move, signal: AbortSignal): Promise<void> {
  const moving = await ports.moving(first, last);
  if (moving.length === 0) return;
  const empty = await emptyOnes(ports, moving, await ports.ring());
  const failures: unknown[] = [];
  for (const [index, one] of moving.entries()) {
    signal.throwIfAborted();
    try {
      if (empty.has(one.partition)) await ports.moved({ partition: one.partition, epoch: one.epoch, state: "cleared", figures: NOTHING });
      else if (one.verified || (await fill(ports, one, pace, signal))) await clear(ports, one, graceSeconds, signal);
    } catch (error) {
      signal.throwIfAborted();
      failures.push(error);
    }
    progress((index + 1) / moving.length);
  }
  if (failures.length > 0) throw failures[0];
}

const NOTHING = { chunksTotal: 0, chunksDone: 0, bytesTotal: 0, bytesDone: 0, bytesCopied: 0 };

interface Lacking {
  readonly copies: readonly CopyOf[];
  readonly total: { readonly chunks: number; readonly bytes: number };
}

/** Until a look finds that every owner has every chunk. False when the ring has changed again: then it is the work of another job. */
async function fill(ports: Ports, one: MovingPartition, pace: Pace, signal: AbortSignal): Promise<boolean> {
  let bytesCopied = 0;
  for (;;) {
    const { partitionBits: bits, epoch } = await ports.ring();
    // Every owner has seen this ring when it tells what it holds: what an older one wanted deleted there is not deleted any more.
    const { copies, total } = await lackingIn(ports, one, { partition: one.partition, bits, epoch: Math.max(epoch, one.epoch) });
    const tell = async (left: readonly CopyOf[], state: Moved["state"]): Promise<boolean> =>
      await ports.moved({ partition: one.partition, epoch: one.epoch, state, figures: { bytesCopied, ...figures(total, left) } });
    if (!(await tell(copies, copies.length > 0 ? "copying" : "verified"))) return false;
    if (copies.length === 0) return true;
    for (let from = 0; from < copies.length; from += BATCH) {
      bytesCopied += await bring(ports, copies.slice(from, from + BATCH), pace, signal);
      if (!(await tell(copies.slice(from + BATCH), "copying"))) return false;
    }
  }
}

/** What owners lack, and how much the new ones are to get in all. */
async function lackingIn(ports: Ports, { owners, former }: MovingPartition, at: Look): Promise<Lacking> {
  const needed = (await rowsOf(ports, at)).filter((row) => row.needed);
  const copies: CopyOf[] = [];
  for (const disk of owners) {
    const here = new Set((await heldBy(ports, disk, at)).map(({ chunk }) => chunk));
    copies.push(...needed.filter(({ chunk }) => !here.has(chunk)).map(({ chunk, size }) => ({ chunk, size, disk })));
  }
  const fresh = owners.filter((disk) => !former.includes(disk)).length;
  const bytes = needed.reduce((sum, { size }) => sum + size, 0);
  return { copies, total: { chunks: needed.length * fresh, bytes: bytes * fresh } };
}

function figures(total: Lacking["total"], left: readonly CopyOf[]): Omit<MoveFigures, "bytesCopied"> {
  const bytesLeft = left.reduce((sum, { size }) => sum + size, 0);
  // An owner of before may lack something too, which nobody counted as to be moved.
  return {
    chunksTotal: total.chunks,
    chunksDone: Math.max(0, total.chunks - left.length),
    bytesTotal: total.bytes,
    bytesDone: Math.max(0, total.bytes - bytesLeft),
  };
}

/** Answers how many bytes had to be sent. */
async function bring(ports: Ports, copies: readonly CopyOf[], pace: Pace, signal: AbortSignal): Promise<number> {
  const outcomes = await atOnce(copies, AT_ONCE, async (copy) => {
    await sleep(pace.delayOf(copy.size, performance.now()), undefined, { signal });
    return (await ports.copy(copy)) ? copy.size : 0;
  });
  const failed = outcomes.find((outcome) => outcome.status === "rejected");
  if (failed) throw failed.reason;
  return outcomes.reduce((sum, outcome) => sum + (outcome.status === "fulfilled" ? outcome.value : 0), 0);
}

/** Every owner has what is needed. What else the former ones hold is brought to the owners before it is deleted: a writer may be counting on it. */
async function clear(
  ports: Ports,
  { partition, epoch, owners, former }: MovingPartition,
  graceSeconds: number,
  signal: AbortSignal,
): Promise<void> {
  const view = await ports.ring();
  // Disks know the newest ring; this partition is as an older one left it.
  const ring = { ...view, epoch: Math.max(view.epoch, epoch), owners: () => owners };
  for (const disk of former.filter((id) => !owners.includes(id))) {
    const held = await heldBy(ports, disk, { partition, bits: view.partitionBits, epoch: ring.epoch });
    const [failure] = await settleStrays(ports, { disk, held, ring, graceSeconds }, signal);
    if (failure !== undefined) throw failure;
  }
  await ports.moved({ partition, epoch, state: "cleared" });
}
