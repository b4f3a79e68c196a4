/**
 * From one ring to the next, as a list of what has to move. A partition moves when its owners change, and goes on to move when they change again
 * before it has arrived: then whoever may hold a part of it is asked until the new owners have all of it.
 */
import { failure } from "../../kernel/errors.ts";
import { REPLICAS } from "../../kernel/limits.ts";
import { idsOfPartition, type PlacedDisk, type Table } from "./placement.ts";
import { isLost, type DiskState, type KnownDisk } from "./states.ts";

/** A partition whose content is not where it belongs yet. */
export interface Unfinished {
  readonly partition: number;
  /** Who had it before it began to move, and who may hold a part of it since. */
  readonly former: readonly string[];
  /** Whether all present owners have all of it, so that only the former ones are still to be cleared. */
  readonly verified: boolean;
}

/** What a partition holds. */
export interface Content {
  readonly chunks: number;
  readonly bytes: number;
}

/** A partition on its way. */
export interface Move extends Content {
  readonly partition: number;
  readonly former: readonly string[];
  /** Owners that have to get it. The figures are for all of them together. */
  readonly gaining: readonly string[];
}

interface Share {
  readonly state: DiskState;
  readonly weight: number;
  readonly partitions: number;
  readonly bytes: number;
}

export interface PlannedDisk {
  readonly id: string;
  readonly address: string;
  readonly zone: string;
  readonly capacityBytes: number;
  readonly before: Share;
  readonly after: Share;
}

export interface Plan {
  readonly moves: readonly Move[];
  /** Copies of partitions that have to be made. */
  readonly copies: number;
  /** The fewest that any table with the same shares needs. */
  readonly minimum: number;
  /** Copies of chunks that have to be made, and their bytes. */
  readonly chunks: number;
  readonly bytes: number;
  readonly disks: readonly PlannedDisk[];
  /** What an operator should think about, a sentence each. */
  readonly warnings: readonly string[];
}

export interface PlanInput {
  readonly before: Table;
  readonly after: Table;
  /** Every disk as it is, and as it will be: the same ones in the same order. */
  readonly disksBefore: readonly KnownDisk[];
  readonly disksAfter: readonly KnownDisk[];
  readonly unfinished: readonly Unfinished[];
  /** By partition; what is not there is empty. */
  readonly contents: ReadonlyMap<number, Content>;
  /** Disks that do not answer now. */
  readonly down: ReadonlySet<string>;
  /** The ring may have fewer disks than copies before: an operator has said that those which are left keep content by other means, or need not. */
  readonly fewer: boolean;
}

/** Part of its capacity above which a disk is soon full: what Ceph calls nearfull. */
const FILL_MAX = 0.85;

/** RING_CHANGE_REFUSED when the next ring would keep fewer copies and must not, or lose content. */
export function planOf(input: PlanInput): Plan {
  const { before, after, disksAfter, unfinished, contents, fewer } = input;
  if (!fewer) refuseTooFew(before, after);
  const lost = new Set(disksAfter.filter(({ state }) => isLost(state)).map(({ id }) => id));
  const onTheWay = new Map(unfinished.map((one) => [one.partition, one]));
  const moves: Move[] = [];
  for (let partition = 0; partition < 2 ** before.partitionBits; partition++) {
    const move = moveOf(partition, { before, after, lost, unfinished: onTheWay.get(partition), content: contents.get(partition) });
    if (move) moves.push(move);
  }
  const sum = (of: (move: Move) => number): number => moves.reduce((total, move) => total + of(move), 0);
  const disks = shares(input);
  return {
    moves,
    copies: sum(({ gaining }) => gaining.length),
    minimum: disks.reduce((total, disk) => total + Math.max(0, disk.after.partitions - disk.before.partitions), 0),
    chunks: sum(({ chunks }) => chunks),
    bytes: sum(({ bytes }) => bytes),
    disks,
    warnings: warningsOf(input, disks),
  };
}

function refuseTooFew(before: Table, after: Table): void {
  if (after.replicas >= before.replicas) return;
  throw failure(
    "RING_CHANGE_REFUSED",
    `${after.disks.length} disks would be left, and each chunk has ${before.replicas} copies: add a disk first.`,
  );
}

interface PartitionInput {
  readonly before: Table;
  readonly after: Table;
  readonly lost: ReadonlySet<string>;
  readonly unfinished: Unfinished | undefined;
  readonly content: Content | undefined;
}

function moveOf(partition: number, { before, after, lost, unfinished, content }: PartitionInput): Move | undefined {
  const owned = idsOfPartition(before, partition);
  const owners = idsOfPartition(after, partition);
  const same = owners.length === owned.length && owners.every((id) => owned.includes(id));
  if (same && !unfinished) return undefined;
  const complete = unfinished && !unfinished.verified ? unfinished.former : owned;
  const former = [...new Set([...complete, ...owned, ...(unfinished?.former ?? [])])].filter((id) => !lost.has(id));
  if (former.length === 0)
    throw failure("RING_CHANGE_REFUSED", `Partition ${partition} has no copy on any other disk: what it holds would be lost.`);
  const gaining = owners.filter((id) => !complete.includes(id));
  return {
    partition,
    former,
    gaining,
    chunks: gaining.length * (content?.chunks ?? 0),
    bytes: gaining.length * (content?.bytes ?? 0),
  };
}

function shares({ before, after, disksBefore, disksAfter, contents }: PlanInput): PlannedDisk[] {
  const [had, gets] = [loads(before, contents), loads(after, contents)];
  return disksBefore.map(({ id, address, zone, capacityBytes, state, weight }, index) => {
    const next = disksAfter[index]!;
    return {
      id,
      address,
      zone,
      capacityBytes,
      before: { state, weight, ...(had.get(id) ?? NOTHING) },
      after: { state: next.state, weight: next.weight, ...(gets.get(id) ?? NOTHING) },
    };
  });
}

const NOTHING = { partitions: 0, bytes: 0 };

/** What each disk owns. */
function loads(table: Table, contents: PlanInput["contents"]): Map<string, { partitions: number; bytes: number }> {
  const loaded = new Map<string, { partitions: number; bytes: number }>();
  for (let partition = 0; partition < 2 ** table.partitionBits; partition++) {
    for (const id of idsOfPartition(table, partition)) {
      const { partitions, bytes } = loaded.get(id) ?? NOTHING;
      loaded.set(id, { partitions: partitions + 1, bytes: bytes + (contents.get(partition)?.bytes ?? 0) });
    }
  }
  return loaded;
}

function warningsOf({ before, after, unfinished, down }: PlanInput, disks: readonly PlannedDisk[]): string[] {
  const warnings: string[] = [];
  if (after.replicas < before.replicas)
    warnings.push(`Copies of each chunk: ${after.replicas} instead of ${before.replicas}; what is left has to keep it safe by itself.`);
  const zones = zonesOf(after.disks);
  const hadZones = zonesOf(disks.filter((disk) => disk.before.partitions > 0));
  if (zones < Math.min(REPLICAS, hadZones))
    warnings.push(`The disks are in ${zones} zones instead of ${hadZones}: the loss of one zone takes more than one copy with it.`);
  const moving = unfinished.filter(({ verified }) => !verified).length;
  if (moving > 0) warnings.push(`${moving} partitions still move from the change before; some will move twice.`);
  for (const { id, address, capacityBytes, after: share } of disks) {
    if (share.bytes > FILL_MAX * capacityBytes)
      warnings.push(`Disk ${id} at ${address} would own ${Math.round((100 * share.bytes) / capacityBytes)} % of its capacity.`);
    if (share.partitions > 0 && down.has(id)) warnings.push(`Disk ${id} at ${address} does not answer: its share waits for it.`);
  }
  return warnings;
}

function zonesOf(disks: readonly Pick<PlacedDisk, "zone">[]): number {
  return new Set(disks.map(({ zone }) => zone)).size;
}
