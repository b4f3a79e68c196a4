/** Compares what a disk holds with what it should hold: first digests of all partitions, then lists of those that differ. */
import { messageOf } from "../../kernel/errors.ts";
import { differing, someNameIn } from "../domain/differences.ts";
import { heldBy, rowsOf, type Partition } from "./lists.ts";
import type { CopyOf, Ports, RingNow } from "./ports.ts";
import type { Pace } from "../domain/pace.ts";
import { settleStrays } from "./strays.ts";

/** Partitions whose rows are counted in one statement: a 64th of the rows where there are 4096, some tens of milliseconds for ten million. */
const RANGE = 64;
/** Copies that are reported in one call. */
const REPORTED = 1000;

interface Comparison {
  readonly disk: string;
  readonly graceSeconds: number;
  readonly pace: Pace;
  readonly progress: (done: number) => void;
}

/** What is on the move is left to those who move it. */
export async function compare(ports: Ports, { disk, progress, ...settings }: Comparison, signal: AbortSignal): Promise<void> {
  const ring = await ports.ring();
  const bits = ring.partitionBits;
  const count = 2 ** bits;
  const moving = new Set((await ports.moving(0, count - 1)).map(({ partition }) => partition));
  const theirs = await ports.digestsOn(disk, bits);
  const owns = (partition: number): boolean => ring.owners(someNameIn(partition, bits)).includes(disk);
  for (let first = 0; first < count; first += RANGE) {
    signal.throwIfAborted();
    const ours = await ports.digests({ bits, first, last: Math.min(first + RANGE, count) - 1 });
    for (const partition of differing({ theirs, ours, first, owns })) {
      if (!moving.has(partition)) await mend(ports, { disk, ring, ...settings, at: { partition, bits } }, signal);
    }
    progress((first + RANGE) / count);
  }
}

interface Difference extends Omit<Comparison, "progress"> {
  readonly ring: RingNow;
  readonly at: Partition;
}

async function mend(ports: Ports, { at, ...settings }: Difference, signal: AbortSignal): Promise<void> {
  const { disk, ring } = settings;
  // The disk first: what is stored between the two looks is only asked for once more, and not taken for something that nobody knows.
  const held = await heldBy(ports, disk, { ...at, epoch: ring.epoch });
  const rows = await rowsOf(ports, at);
  const here = new Set(held.map(({ chunk }) => chunk));
  const lacking = rows.filter(({ chunk, needed }) => needed && !here.has(chunk) && ring.owners(chunk).includes(disk));
  await report(
    ports,
    lacking.map(({ chunk, size }) => ({ chunk, size, disk })),
  );
  const known = new Set(rows.map(({ chunk }) => chunk));
  const strays = held.filter(({ chunk }) => !known.has(chunk) || !ring.owners(chunk).includes(disk));
  const failures = await settleStrays(ports, { ...settings, held: strays }, signal);
  if (failures.length > 0)
    ports.warn("a disk keeps chunks that it should not have, until it is compared again", {
      disk,
      chunks: failures.length,
      reason: messageOf(failures[0]),
    });
}

async function report(ports: Ports, lacking: readonly CopyOf[]): Promise<void> {
  if (lacking.length > 0) ports.warn("a disk lacks chunks that it should have", { disk: lacking[0]!.disk, chunks: lacking.length });
  for (let from = 0; from < lacking.length; from += REPORTED) await ports.reportMissing(lacking.slice(from, from + REPORTED));
}
