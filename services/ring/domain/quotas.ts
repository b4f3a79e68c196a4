/** How much each disk keeps. Quotas are whole partitions and are met exactly, so balance is decided here and nowhere else. */

interface Claim {
  readonly zone: string;
  readonly weight: number;
}

/**
 * Copies for each disk, `partitions × replicas` in all: dealt one by one, each to the disk that has the least for its weight (Sainte-Laguë),
 * among those that have room: a disk takes a partition once, a zone `zoneLimit` times. A method of divisors needs no rounding, so no slot is
 * left that no zone may take, and it is coherent: a disk that comes takes from the others and gives to none, one that goes gives and takes
 * from none. That is half of minimal movement; moves.ts is the other half.
 */
export function quotasOf(disks: readonly Claim[], partitions: number, replicas: number): Int32Array {
  const quotas = new Int32Array(disks.length);
  const turns = Float64Array.from(disks, ({ weight }) => 1 / weight);
  const zoneRoom = new Map<string, number>();
  const limit = partitions * zoneLimit(disks, replicas);
  for (let left = partitions * replicas; left > 0; left--) {
    const next = leastOf(turns);
    const { zone, weight } = disks[next]!;
    const quota = ++quotas[next]!;
    const room = (zoneRoom.get(zone) ?? limit) - 1;
    zoneRoom.set(zone, room);
    turns[next] = quota < partitions ? (2 * quota + 1) / weight : Infinity;
    if (room === 0) disks.forEach((disk, index) => disk.zone === zone && (turns[index] = Infinity));
  }
  return quotas;
}

/** The fewest copies of a partition that one zone may hold so that all copies find a place: 1 when there are as many zones as copies. */
export function zoneLimit(disks: readonly Pick<Claim, "zone">[], replicas: number): number {
  const sizes = [...Map.groupBy(disks, ({ zone }) => zone).values()].map((members) => members.length);
  const places = (limit: number) => sizes.reduce((sum, size) => sum + Math.min(limit, size), 0);
  let limit = 1;
  while (places(limit) < replicas) limit++;
  return limit;
}

/** The first of the smallest: ties go by the order of the disks, which is that of their ids. */
function leastOf(values: Float64Array): number {
  let least = 0;
  for (let index = 1; index < values.length; index++) {
    if (values[index]! < values[least]!) least = index;
  }
  return least;
}
