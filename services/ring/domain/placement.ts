/**
 * Where chunks live. The ring is a table: partition → the disks that own it. The partition of a chunk is the first bits of its SHA-256, which
 * are uniform already: a look-up hashes nothing. Each change of an owner is a copy of real bytes, so a new table differs from the one before
 * it by no more owners than its balance asks for.
 *
 * Of every table holds, and `check` verifies:
 *   1. A partition has as many owners as there are copies, all different.
 *   2. No zone owns more copies of a partition than it must: one, where there are as many zones as copies.
 *   3. A disk owns exactly as many partitions as its weight entitles it to (quotas.ts).
 *   4. Owners stand in the order of their rank for the partition, so that each disk is the first of its fair share.
 * And of `rebalance`: it moves as little as can be (moves.ts), and the same input gives the same bytes in every process.
 */
import { REPLICAS } from "../../kernel/limits.ts";
import { Draft, settle } from "./moves.ts";
import { quotasOf, zoneLimit } from "./quotas.ts";
import { bitsOf, randomFrom, scramble } from "./random.ts";

export interface PlacedDisk {
  readonly id: string;
  /** What fails together. Copies go to distinct zones where there are enough. */
  readonly zone: string;
  /** Relative share of the content, above 0. */
  readonly weight: number;
}

export interface Table<D extends PlacedDisk = PlacedDisk> {
  /** log2 of the number of partitions, 1 to 16. */
  readonly partitionBits: number;
  /** Owners of each partition. */
  readonly replicas: number;
  /** partitions × replicas indexes into `disks`, unsigned 16 bit little endian; the owners of a partition stand together. */
  readonly owners: Uint8Array;
  readonly disks: readonly D[];
}

/** Before the first disk. 4096 partitions give each of up to 120 disks the 100 slots that balance to 1 % takes; a ring keeps its number for life. */
export const EMPTY: Table = { partitionBits: 12, replicas: 0, owners: new Uint8Array(0), disks: [] };

/** The disks that own a chunk, the preferred first. `sha256` is hexadecimal. */
export function ownersOf<D extends PlacedDisk>(table: Table<D>, sha256: string): D[] {
  const first = partitionOf(table, sha256) * table.replicas;
  const owners: D[] = [];
  for (let slot = first; slot < first + table.replicas; slot++) owners.push(table.disks[ownerAt(table, slot)]!);
  return owners;
}

/** The other disks, in the order in which they stand in for owners that are down: every writer and every reader tries the same ones first. */
export function handoffsOf<D extends PlacedDisk>(table: Table<D>, sha256: string): D[] {
  const partition = partitionOf(table, sha256);
  const owners = new Set(ownersOfPartition(table, partition));
  const others = [...table.disks.keys()].filter((disk) => !owners.has(disk));
  return others.toSorted(ranking(table.disks)(partition)).map((disk) => table.disks[disk]!);
}

/**
 * The table for these disks, as near to the previous one as balance allows: disks that left the list lose everything, new ones get their
 * share. `EMPTY` before it gives a first table. Needs at least one disk; while there are fewer disks than copies, each owns every partition.
 */
export function rebalance<D extends PlacedDisk>(previous: Table, disks: readonly D[]): Table<D> {
  const { partitionBits } = previous;
  const partitions = 2 ** partitionBits;
  const sorted = disks.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const replicas = Math.min(REPLICAS, sorted.length);
  const draft = new Draft({
    partitions,
    replicas,
    zones: sorted.map(({ zone }) => zone),
    zoneLimit: zoneLimit(sorted, replicas),
    quotas: quotasOf(sorted, partitions, replicas),
  });
  keepOwners(draft, previous, sorted);
  settle(draft, randomFrom(sorted.map(({ id }) => id).join()));
  return { partitionBits, replicas, owners: encode(draft, sorted), disks: sorted };
}

/** How many partitions each disk owns, by its index. */
export function ownedBy(table: Table): Int32Array {
  const owned = new Int32Array(table.disks.length);
  for (let slot = 0; slot < 2 ** table.partitionBits * table.replicas; slot++) owned[ownerAt(table, slot)]!++;
  return owned;
}

/** What is wrong with a table, a sentence each; nothing when it keeps every promise at the head of this file. */
export function check(table: Table): string[] {
  const { disks, replicas } = table;
  const partitions = 2 ** table.partitionBits;
  if (replicas !== Math.min(REPLICAS, disks.length)) return [`There are ${replicas} copies on ${disks.length} disks.`];
  if (table.owners.length !== partitions * replicas * 2)
    return [`${table.owners.length} bytes do not name ${partitions} × ${replicas} owners.`];

  const wrong: string[] = [];
  const owned = new Int32Array(disks.length);
  const limit = zoneLimit(disks, replicas);
  const rank = ranking(disks);
  for (let partition = 0; partition < partitions; partition++) {
    const owners = ownersOfPartition(table, partition);
    const zones = Map.groupBy(owners, (disk) => disks[disk]?.zone);
    for (const disk of owners) owned[disk]!++;
    if (zones.has(undefined)) wrong.push(`Partition ${partition} belongs to a disk that is not in the ring.`);
    if (new Set(owners).size < replicas) wrong.push(`Partition ${partition} has an owner twice.`);
    if ([...zones.values()].some((copies) => copies.length > limit)) wrong.push(`Partition ${partition} has too many copies in one zone.`);
    if (owners.toSorted(rank(partition)).join() !== owners.join()) wrong.push(`The owners of partition ${partition} are out of order.`);
  }
  quotasOf(disks, partitions, replicas).forEach((quota, disk) => {
    if (owned[disk] !== quota) wrong.push(`Disk ${disks[disk]!.id} owns ${owned[disk]} partitions instead of ${quota}.`);
  });
  return wrong;
}

/** The ids of the owners of a partition, the preferred first. */
export function idsOfPartition(table: Table, partition: number): string[] {
  return ownersOfPartition(table, partition).map((disk) => table.disks[disk]!.id);
}

/** The first `partitionBits` bits of the hash, of which four digits hold up to 16. */
export function partitionOf(table: Pick<Table, "partitionBits">, sha256: string): number {
  const bits = (digit(sha256, 0) << 12) | (digit(sha256, 1) << 8) | (digit(sha256, 2) << 4) | digit(sha256, 3);
  return bits >>> (16 - table.partitionBits);
}

/** The value of a lower case hexadecimal digit, without the substring that parseInt would need. */
function digit(text: string, at: number): number {
  const code = text.charCodeAt(at);
  return code < 58 ? code - 48 : code - 87;
}

function ownerAt({ owners }: Table, slot: number): number {
  return owners[slot * 2]! | (owners[slot * 2 + 1]! << 8);
}

function ownersOfPartition(table: Table, partition: number): number[] {
  return Array.from({ length: table.replicas }, (_, copy) => ownerAt(table, partition * table.replicas + copy));
}

/** Rendezvous: for each partition every disk draws a number that only the two of them decide; the highest comes first. */
function ranking(disks: readonly PlacedDisk[]): (partition: number) => (a: number, b: number) => number {
  const seeds = disks.map(({ id }) => bitsOf(id));
  return (partition) => {
    const drawn = (disk: number) => scramble(seeds[disk]! ^ Math.imul(partition + 1, 0x9e3779b1));
    return (a, b) => drawn(b) - drawn(a) || a - b;
  };
}

function keepOwners(draft: Draft, previous: Table, disks: readonly PlacedDisk[]): void {
  const indexes = new Map(disks.map(({ id }, index) => [id, index]));
  const now = previous.disks.map(({ id }) => indexes.get(id));
  for (let partition = 0; partition < draft.rules.partitions; partition++) {
    const owners = ownersOfPartition(previous, partition).map((disk) => now[disk]);
    draft.keep(
      partition,
      owners.filter((disk) => disk !== undefined),
    );
  }
}

function encode(draft: Draft, disks: readonly PlacedDisk[]): Uint8Array {
  const { partitions, replicas } = draft.rules;
  const bytes = new DataView(new ArrayBuffer(partitions * replicas * 2));
  const rank = ranking(disks);
  for (let partition = 0; partition < partitions; partition++) {
    const first = partition * replicas;
    const owners = draft.owners.subarray(first, first + replicas).toSorted(rank(partition));
    owners.forEach((disk, copy) => bytes.setUint16((first + copy) * 2, disk, true));
  }
  return new Uint8Array(bytes.buffer);
}
