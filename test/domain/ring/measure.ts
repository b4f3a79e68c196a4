/** What a table does, read from its bytes by the words of the contract and by nothing else. */
import type { Table } from "../../../services/ring/domain/placement.ts";

/** The ids of the owners of each partition. */
export function partitionsOf({ partitionBits, replicas, owners, disks }: Table): string[][] {
  const view = new DataView(owners.buffer, owners.byteOffset, owners.byteLength);
  return Array.from({ length: 2 ** partitionBits }, (_, partition) =>
    Array.from({ length: replicas }, (_unused, copy) => disks[view.getUint16((partition * replicas + copy) * 2, true)]!.id),
  );
}

/** How many partitions each disk owns. */
export function counts(table: Table): number[] {
  const owned = Map.groupBy(partitionsOf(table).flat(), (id) => id);
  return table.disks.map(({ id }) => owned.get(id)?.length ?? 0);
}

/** Copies that have to be made to come from one table to the next. */
export function moved(before: Table, after: Table): number {
  const had = partitionsOf(before);
  return partitionsOf(after).flatMap((owners, partition) => owners.filter((id) => !had[partition]!.includes(id))).length;
}

/** The least number of copies that can lead from one table's counts to the other's: what disks own more than before. */
export function movesNeeded(before: Table, after: Table): number {
  const had = new Map(counts(before).map((count, n) => [before.disks[n]!.id, count]));
  return counts(after).reduce((sum, count, n) => sum + Math.max(0, count - (had.get(after.disks[n]!.id) ?? 0)), 0);
}
