/**
 * Other ways to say where a chunk lives, for `npm run bench:ring`: written for this comparison from their descriptions, except hashring, which is the
 * package of that name. Each answers the ids of three disks for the name of a chunk.
 */
import { createHash } from "node:crypto";
import Ketama from "hashring";
import type { PlacedDisk } from "../../services/ring/domain/placement.ts";
import { bitsOf, scramble } from "../../services/ring/domain/random.ts";

export type Lookup = (chunk: string) => readonly string[];

export interface Placement {
  readonly name: string;
  /** `before` is what this placement made of the disks of before, for those that remember it. */
  build(disks: readonly PlacedDisk[], before?: Lookup): Lookup;
}

const COPIES = 3;

/** Consistent hashing with many points a disk (Karger et al. 1997), as the best known package does it. */
export const hashring: Placement = {
  name: "hashring 3.2.0",
  build(disks) {
    const ring = new Ketama(Object.fromEntries(disks.map(({ id, weight }) => [id, { weight }])), "md5", { "max cache size": 1 });
    return (chunk) => ring.range(chunk, COPIES, true);
  },
};

/** Weighted rendezvous hashing (Thaler and Ravishankar 1998; Schindelhauer and Schomaker 2005): the disks that score highest for the chunk. */
export const rendezvous: Placement = {
  name: "rendezvous",
  build(disks) {
    const drawn = draws(disks);
    return (chunk) => highest(drawn(seedOf(chunk)), COPIES).map((index) => disks[index]!.id);
  },
};

/** straw2 in two levels, as CRUSH uses it (Weil et al. 2006): three zones by their weights, and in each a disk. */
export const straw2: Placement = {
  name: "straw2, zone and disk",
  build(disks) {
    const zones = [...Map.groupBy(disks, ({ zone }) => zone)].map(([id, members]) => ({
      id,
      weight: members.reduce((sum, { weight }) => sum + weight, 0),
      members,
      drawn: draws(members),
    }));
    const drawnZones = draws(zones);
    return (chunk) => {
      const seed = seedOf(chunk);
      return highest(drawnZones(seed), COPIES).map((zone) => {
        const { members, drawn } = zones[zone]!;
        return members[highest(drawn(seed), 1)[0]!]!.id;
      });
    };
  },
};

/** The first TritonTube: one point a disk on a circle of 64 bits, and one copy on the next one. */
export const firstTritonTube: Placement = {
  name: "the first TritonTube",
  build(disks) {
    const points = disks.map(({ id }) => ({ id, at: pointOf(id) })).toSorted((a, b) => (a.at < b.at ? -1 : 1));
    return (chunk) => {
      const at = BigInt(`0x${chunk.slice(0, 16)}`);
      return [(points.find((point) => point.at >= at) ?? points[0]!).id];
    };
  },
};

function pointOf(id: string): bigint {
  return createHash("sha256").update(id).digest().readBigUInt64BE();
}

function seedOf(chunk: string): number {
  return Number.parseInt(chunk.slice(0, 8), 16) | 0;
}

/** For each item a draw in proportion to its weight, the same for the same seed: ln(u) / weight. */
function draws(items: readonly { readonly id: string; readonly weight: number }[]): (seed: number) => Float64Array {
  const seeds = Int32Array.from(items, ({ id }) => bitsOf(id));
  const weights = Float64Array.from(items, ({ weight }) => weight);
  const drawn = new Float64Array(items.length);
  return (seed) => {
    for (let index = 0; index < seeds.length; index++) {
      drawn[index] = Math.log((scramble(seeds[index]! ^ Math.imul(seed, 0x9e3779b1)) + 0.5) / 2 ** 32) / weights[index]!;
    }
    return drawn;
  };
}

/** The indexes of the highest draws. */
function highest(drawn: Float64Array, count: number): number[] {
  const found: number[] = [];
  for (let index = 0; index < drawn.length; index++) {
    if (found.length === count && drawn[index]! <= drawn[found.at(-1)!]!) continue;
    let place = found.length < count ? found.length : count - 1;
    while (place > 0 && drawn[found[place - 1]!]! < drawn[index]!) place--;
    found.splice(place, 0, index);
    if (found.length > count) found.pop();
  }
  return found;
}
