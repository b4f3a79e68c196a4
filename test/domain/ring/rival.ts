/** Weighted rendezvous hashing with zones: what one would write first. It knows no quotas and no table before it. */
import { createHash } from "node:crypto";
import type { PlacedDisk, Table } from "../../../services/ring/domain/placement.ts";
import { zoneLimit } from "../../../services/ring/domain/quotas.ts";

export function rendezvous(previous: Table, disks: readonly PlacedDisk[]): Table {
  const sorted = disks.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const replicas = Math.min(3, sorted.length);
  const limit = zoneLimit(sorted, replicas);
  const owners = Array.from({ length: 2 ** previous.partitionBits }, (_, partition) => {
    const scores = sorted.map((disk) => score(disk, partition));
    const ranked = [...sorted.keys()].toSorted((a, b) => scores[b]! - scores[a]!);
    const taken: number[] = [];
    for (const n of ranked) {
      const inZone = taken.filter((other) => sorted[other]!.zone === sorted[n]!.zone).length;
      if (inZone < limit && taken.length < replicas) taken.push(n);
    }
    return taken;
  });
  return { ...previous, replicas, disks: sorted, owners: new Uint8Array(Uint16Array.from(owners.flat()).buffer) };
}

function score({ id, weight }: PlacedDisk, partition: number): number {
  const drawn = createHash("sha256").update(`${id}/${partition}`).digest().readUInt32BE(0);
  return -weight / Math.log((drawn + 0.5) / 2 ** 32);
}
