/** Brings the content of partitions to their new owners, and then takes it from those who had it. Stopped anywhere, it goes on from what the disks hold. */
import { setTimeout as sleep } from "node:timers/promises";
import { errorType } from "../../kernel/errors.ts";
import type { Pace } from "../domain/pace.ts";
import { atOnce } from "./at-once.ts";
import { emptyOnes } from "./empty.ts";
import { heldBy, rowsOf, type Look } from "./lists.ts";
import type { CopyOf, Moved, MoveFigures, MovingPartition, Ports, SizedChunk } from "./ports.ts";
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
      else if (one.verified || (await fill(ports, one, pace, signal))) await clear(ports, one, { pace, graceSeconds }, signal);
    } catch (error) {
      signal.throwIfAborted();
      failures.push(error);
    }
    progress((index + 1) / moving.length);
  }
  if (failures.length > 0) throw failures[0];
}

const NOTHING = { chunksTotal: 0, chunksDone: 0, chunksLost: 0, bytesTotal: 0, bytesDone: 0, bytesCopied: 0 };

interface Lacking {
  readonly copies: readonly CopyOf[];
  /** Of chunks that nobody has. */
  readonly lost: readonly CopyOf[];
  /** Without what is lost. */
  readonly total: { readonly chunks: number; readonly bytes: number };
}

/**
 * Until a look finds that every owner has every chunk, but for those of which no disk has a good copy: they keep nothing else waiting. False when the ring
 * has changed again: then it is the work of another job.
 */
async function fill(ports: Ports, one: MovingPartition, pace: Pace, signal: AbortSignal): Promise<boolean> {
  let bytesCopied = 0;
  const unfound = new Set<string>();
  for (;;) {
    const { partitionBits: bits, epoch } = await ports.ring();
    // Every owner has seen this ring when it tells what it holds: what an older one wanted deleted there is not deleted any more.
    const look = { partition: one.partition, bits, epoch: Math.max(epoch, one.epoch) };
    const { copies, ...rest } = await lackingIn(ports, one, look, unfound);
    const tell = async (left: readonly CopyOf[], state: Moved["state"]): Promise<boolean> =>
      await ports.moved({ partition: one.partition, epoch: one.epoch, state, figures: { bytesCopied, ...figures(rest, left) } });
    if (copies.length === 0) {
      await tellLost(ports, one, rest.lost);
      return await tell([], "verified");
    }
    const failures: unknown[] = [];
    for (let from = 0; from < copies.length; from += BATCH) {
      if (!(await tell(copies.slice(from), "copying"))) return false;
      const brought = await bring(ports, copies.slice(from, from + BATCH), pace, signal);
      bytesCopied += brought.bytes;
      for (const chunk of brought.unfound) unfound.add(chunk);
      failures.push(...brought.failures);
    }
    if (failures.length > 0) throw failures[0];
  }
}

/** Repair goes on to look for them: a disk that was given up may come back. */
async function tellLost(ports: Ports, { partition }: MovingPartition, lost: readonly CopyOf[]): Promise<void> {
  if (lost.length === 0) return;
  ports.warn("chunks are lost: no disk that is known has a good copy", { partition, copies: lost.length, chunk: lost[0]!.chunk });
  await ports.reportMissing(lost);
}

/** What owners lack, and how much the new ones are to get in all. */
async function lackingIn(ports: Ports, { owners, former }: MovingPartition, at: Look, unfound: ReadonlySet<string>): Promise<Lacking> {
  const needed = (await rowsOf(ports, at)).filter((row) => row.needed);
  const lacking: CopyOf[] = [];
  for (const disk of owners) {
    const here = new Set((await heldBy(ports, disk, at)).map(({ chunk }) => chunk));
    lacking.push(...needed.filter(({ chunk }) => !here.has(chunk)).map(({ chunk, size }) => ({ chunk, size, disk })));
  }
  const lost = lacking.filter(({ chunk }) => unfound.has(chunk));
  const gone = new Set(lost.map(({ chunk }) => chunk));
  const there = needed.filter(({ chunk }) => !gone.has(chunk));
  const fresh = owners.filter((disk) => !former.includes(disk)).length;
  const total = { chunks: there.length * fresh, bytes: bytesOf(there) * fresh };
  return { copies: lacking.filter(({ chunk }) => !gone.has(chunk)), lost, total };
}

function bytesOf(chunks: readonly SizedChunk[]): number {
  return chunks.reduce((sum, { size }) => sum + size, 0);
}

function figures({ total, lost }: Omit<Lacking, "copies">, left: readonly CopyOf[]): Omit<MoveFigures, "bytesCopied"> {
  // An owner of before may lack something too, which nobody counted as to be moved.
  return {
    chunksTotal: total.chunks,
    chunksDone: Math.max(0, total.chunks - left.length),
    chunksLost: new Set(lost.map(({ chunk }) => chunk)).size,
    bytesTotal: total.bytes,
    bytesDone: Math.max(0, total.bytes - bytesOf(left)),
  };
}

interface Brought {
  /** That had to be sent. */
  readonly bytes: number;
  /** Chunks of which no disk has a good copy. */
  readonly unfound: readonly string[];
  readonly failures: readonly unknown[];
}

async function bring(ports: Ports, copies: readonly CopyOf[], pace: Pace, signal: AbortSignal): Promise<Brought> {
  const outcomes = await atOnce(copies, AT_ONCE, async (copy) => {
    await sleep(pace.delayOf(copy.size, performance.now()), undefined, { signal });
    return (await ports.copy(copy)) ? copy.size : 0;
  });
  signal.throwIfAborted();
  const unfound = copies.filter((_, index) => isUnfound(reasonOf(outcomes[index]!)));
  const failures = outcomes.map(reasonOf).filter((reason) => reason !== undefined && !isUnfound(reason));
  const bytes = outcomes.reduce((sum, outcome) => sum + (outcome.status === "fulfilled" ? outcome.value : 0), 0);
  return { bytes, unfound: unfound.map(({ chunk }) => chunk), failures };
}

function reasonOf(outcome: PromiseSettledResult<unknown>): unknown {
  return outcome.status === "rejected" ? outcome.reason : undefined;
}

/** `copy` says so when every disk that is known has. */
function isUnfound(error: unknown): boolean {
  return errorType(error) === "NOT_ENOUGH_DISKS";
}

/**
 * Every owner has what is needed. What else the former ones hold is brought to the owners before it is deleted: a writer may be counting on it. What cannot be,
 * since the copy is bad, is left where it is.
 */
async function clear(
  ports: Ports,
  { partition, epoch, owners, former }: MovingPartition,
  settings: Pick<Move, "pace" | "graceSeconds">,
  signal: AbortSignal,
): Promise<void> {
  const view = await ports.ring();
  // Disks know the newest ring; this partition is as an older one left it.
  const ring = { ...view, epoch: Math.max(view.epoch, epoch), owners: () => owners };
  for (const disk of former.filter((id) => !owners.includes(id))) {
    const held = await heldBy(ports, disk, { partition, bits: view.partitionBits, epoch: ring.epoch });
    const failures = await settleStrays(ports, { disk, held, ring, ...settings }, signal);
    const failed = failures.find((failure) => !isUnfound(failure));
    if (failed !== undefined) throw failed;
  }
  await ports.moved({ partition, epoch, state: "cleared" });
}
