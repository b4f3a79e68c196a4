import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { check, EMPTY, handoffsOf, ownersOf, rebalance, type PlacedDisk, type Table } from "../../../services/ring/domain/placement.ts";
import { quotasOf } from "../../../services/ring/domain/quotas.ts";
import { rendezvous } from "./rival.ts";
import { fewestMoves } from "./optimum.ts";
import { counts, moved, movesNeeded, partitionsOf } from "./measure.ts";

/** Small tables find the same mistakes sooner: what they say of 256 partitions holds for 4096, which the tests without chance use. */
const SMALL: Table = { ...EMPTY, partitionBits: 8 };
const RUNS = { numRuns: Number(process.env["RUNS"] ?? 300) };

const disk = (n: number, zone: string, weight = 1): PlacedDisk => ({ id: `disk-${String(n).padStart(3, "0")}`, zone, weight });
const equalDisks = (count: number, zones: number) => Array.from({ length: count }, (_, n) => disk(n, `zone-${n % zones}`));
const sha256 = (n: number) => createHash("sha256").update(String(n)).digest("hex");

/** How far the fullest disk is above what its weight entitles it to. */
const peak = (table: Table) => {
  const quotas = quotasOf(table.disks, 2 ** table.partitionBits, table.replicas);
  return Math.max(...counts(table).map((count, n) => count / quotas[n]!));
};

const anyDisks = (zones: number, { least = 1, weightMax = 20 } = {}) =>
  fc
    .array(fc.record({ zone: fc.nat({ max: zones - 1 }), weight: fc.integer({ min: 1, max: weightMax }) }), {
      minLength: least,
      maxLength: 16,
    })
    .map((all) => all.map(({ zone, weight }, n) => disk(n, `zone-${zone}`, weight)));

/** Two states of one cluster: disks stay, come, go, move to another zone, or change their weight. */
const anyChange = (zones: number) =>
  fc.tuple(anyDisks(zones), anyDisks(zones), fc.nat()).map(([before, after, gone]) => ({
    before,
    after: after.length === 1 ? after : after.filter((_, n) => n !== gone % after.length),
  }));

describe("the ring", () => {
  it("keeps its promises for any disks", () => {
    fc.assert(
      fc.property(anyDisks(6), (disks) => expect(check(rebalance(SMALL, disks))).toEqual([])),
      RUNS,
    );
  });

  it("keeps its promises through any change of disks, zones and weights", () => {
    fc.assert(
      fc.property(anyChange(5), ({ before, after }) => expect(check(rebalance(rebalance(SMALL, before), after))).toEqual([])),
      RUNS,
    );
  });

  it("moves what a newcomer gets or a lost disk had, and nothing else, while no disk is nearly full", () => {
    fc.assert(
      fc.property(anyDisks(1, { least: 8, weightMax: 3 }), fc.nat(), (disks, pick) => {
        const all = rebalance(SMALL, disks);
        const fewer = rebalance(
          all,
          disks.filter((_, n) => n !== pick % disks.length),
        );
        const again = rebalance(fewer, disks);
        fc.pre(Math.max(...counts(fewer)) < 192);
        expect(moved(all, fewer)).toBeLessThanOrEqual(1.02 * movesNeeded(all, fewer));
        expect(moved(fewer, again)).toBeLessThanOrEqual(1.02 * movesNeeded(fewer, again));
      }),
      RUNS,
    );
  });

  it("comes within one in a hundred of the fewest moves that are possible, also where zones and full disks stand in the way", () => {
    const sum = { moved: 0, fewest: 0 };
    fc.assert(
      fc.property(anyChange(4), ({ before, after }) => {
        const table = rebalance({ ...EMPTY, partitionBits: 5 }, before);
        const [done, fewest] = [moved(table, rebalance(table, after)), fewestMoves(table, after)];
        expect(done).toBeLessThanOrEqual(1.25 * fewest + 2);
        sum.moved += done;
        sum.fewest += fewest;
      }),
      { numRuns: 150, endOnFailure: true },
    );
    expect(sum.moved).toBeLessThanOrEqual(1.01 * sum.fewest);
  });

  it("changes nothing when nothing has changed", () => {
    fc.assert(
      fc.property(anyDisks(4), (disks) => {
        const table = rebalance(SMALL, disks);
        expect(rebalance(table, disks)).toEqual(table);
      }),
      RUNS,
    );
  });

  it("is balanced at least as well as rendezvous hashing, its naive rival", () => {
    fc.assert(
      fc.property(anyDisks(4), (disks) => expect(peak(rebalance(SMALL, disks))).toBeLessThanOrEqual(peak(rendezvous(SMALL, disks)))),
      RUNS,
    );
  });

  it("gives no disk a partition that another deserves more", () => {
    fc.assert(
      fc.property(anyDisks(1), (disks) => {
        const replicas = Math.min(3, disks.length);
        const quotas = quotasOf(disks, 256, replicas);
        const mayTakeMore = [...quotas.keys()].filter((n) => quotas[n]! < 256);
        const hunger = Math.min(...mayTakeMore.map((n) => (2 * quotas[n]! + 1) / disks[n]!.weight));
        expect(quotas.reduce((sum, quota) => sum + quota)).toBe(256 * replicas);
        quotas.forEach((quota, n) => expect((2 * quota - 1) / disks[n]!.weight).toBeLessThanOrEqual(hunger));
      }),
      RUNS,
    );
  });

  it.each([
    [3, 1],
    [3, 3],
    [10, 5],
    [30, 3],
    [100, 10],
  ])("gives each of %i equal disks in %i zones its share within one in a hundred", (count, zones) => {
    const table = rebalance(EMPTY, equalDisks(count, zones));
    const share = (4096 * 3) / count;
    expect(Math.max(...counts(table)) / share).toBeLessThanOrEqual(1.01);
  });

  it("weighs disks by their capacity", () => {
    const table = rebalance(EMPTY, [...equalDisks(9, 3), disk(9, "zone-0", 2), disk(10, "zone-1", 2), disk(11, "zone-2", 2)]);
    const [small, big] = [counts(table)[0]!, counts(table)[11]!];
    expect(big / small).toBeCloseTo(2, 1);
  });

  it("lets each disk own everything while there are fewer disks than copies", () => {
    for (const count of [1, 2, 3]) {
      const table = rebalance(EMPTY, equalDisks(count, 1));
      expect(table.replicas).toBe(count);
      expect(counts(table)).toEqual(Array.from({ length: count }, () => 4096));
    }
  });

  it("grows from one disk to four, and moves only what the newcomer gets", () => {
    const tables = [1, 2, 3, 4]
      .map((count) => equalDisks(count, 4))
      .reduce<Table[]>((all, disks) => [...all, rebalance(all.at(-1) ?? EMPTY, disks)], []);
    expect(tables.flatMap(check)).toEqual([]);
    expect(tables.slice(1).map((table, n) => moved(tables[n]!, table))).toEqual([4096, 4096, 3072]);
  });

  it("has the same bytes in every process, in whatever order the disks are named", () => {
    const disks = equalDisks(12, 4);
    const table = rebalance(EMPTY, disks);
    expect(rebalance(EMPTY, disks.toReversed())).toEqual(table);
    // Written down on the first day: another checksum means that every cluster would move its content at the next change.
    expect(createHash("sha256").update(table.owners).digest("hex")).toBe(
      "7c27da1acc18d376bd484ed55e96d252ac69b310a2943948f12fd7733ec482a9",
    );
  });

  it("finds the owners by the first bits of the hash", () => {
    const table = rebalance(EMPTY, equalDisks(7, 3));
    const partitions = partitionsOf(table);
    for (let n = 0; n < 1000; n++) {
      const hash = sha256(n);
      expect(ownersOf(table, hash).map(({ id }) => id)).toEqual(partitions[parseInt(hash.slice(0, 3), 16)]);
    }
  });

  it("lets every disk be the first of its share, and every other one stand in for it", () => {
    const table = rebalance(EMPTY, equalDisks(6, 1));
    const hashes = Array.from({ length: 6000 }, (_, n) => sha256(n));
    const first = Map.groupBy(hashes, (hash) => ownersOf(table, hash)[0]!.id);
    expect(first.size).toBe(6);
    for (const mine of first.values()) expect(mine.length).toBeGreaterThan(800);
    const standIns = Map.groupBy(first.get("disk-000")!, (hash) => handoffsOf(table, hash)[0]!.id);
    expect([...standIns.keys()].toSorted()).toEqual(["disk-001", "disk-002", "disk-003", "disk-004", "disk-005"]);
  });

  it("names each disk once among owners and stand-ins", () => {
    const table = rebalance(EMPTY, equalDisks(9, 3));
    for (let n = 0; n < 100; n++) {
      const all = [...ownersOf(table, sha256(n)), ...handoffsOf(table, sha256(n))];
      expect(all.map(({ id }) => id).toSorted()).toEqual(table.disks.map(({ id }) => id));
    }
  });

  it("is told what is wrong with a table, in sentences", () => {
    const table = rebalance(SMALL, equalDisks(6, 3));
    const spoilt = (change: (owners: DataView) => void) => {
      const owners = table.owners.slice();
      change(new DataView(owners.buffer));
      return check({ ...table, owners }).join(" ");
    };
    expect(spoilt((owners) => owners.setUint16(0, 99, true))).toContain("Partition 0 belongs to a disk that is not in the ring.");
    expect(spoilt((owners) => owners.setUint16(0, owners.getUint16(2, true), true))).toContain("Partition 0 has an owner twice.");
    expect(spoilt((owners) => owners.setUint16(0, (owners.getUint16(2, true) + 3) % 6, true))).toContain(
      "Partition 0 has too many copies in one zone.",
    );
    expect(spoilt((owners) => owners.setUint16(0, (owners.getUint16(0, true) + 3) % 6, true))).toMatch(
      /Disk disk-00. owns 127 partitions instead of 128\./,
    );
    expect(check({ ...table, owners: table.owners.slice(2) })).toEqual(["1534 bytes do not name 256 × 3 owners."]);
    expect(check({ ...table, replicas: 2 })).toEqual(["There are 2 copies on 6 disks."]);
  });
});
