import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { errorType } from "../../../services/kernel/errors.ts";
import { check, EMPTY, rebalance, type Table } from "../../../services/ring/domain/placement.ts";
import { planOf, type Plan, type Unfinished } from "../../../services/ring/domain/plan.ts";
import { afterChanges, stateAfter, type Change, type DiskState, type KnownDisk } from "../../../services/ring/domain/states.ts";
import { encodeFormer, formerOwnersOf } from "../../../services/ring/domain/view.ts";
import { moved, movesNeeded, partitionsOf } from "./measure.ts";

const SMALL: Table = { ...EMPTY, partitionBits: 5 };
const PARTITIONS = 32;

const known = (n: number, state: DiskState = "in", zone = `zone-${n % 3}`): KnownDisk => ({
  id: `disk-${n}`,
  address: `127.0.0.1:${n + 1}`,
  zone,
  weight: 10_000,
  capacityBytes: 10_000,
  state,
});
const change = (disk: string, what: Change["change"], weight: number | null = null): Change => ({ disk, change: what, weight });
const tableOf = (before: Table, disks: readonly KnownDisk[]) =>
  rebalance(
    before,
    disks.filter(({ state }) => state === "in"),
  );
const content = new Map(Array.from({ length: PARTITIONS }, (_, partition) => [partition, { chunks: 10, bytes: 100 }]));

/** A cluster whose rings follow one another. */
class Cluster {
  disks: readonly KnownDisk[];
  table: Table;
  unfinished: readonly Unfinished[] = [];
  /** Whether an operator allows fewer copies than there are disks for. */
  fewer = false;

  constructor(disks: readonly KnownDisk[]) {
    this.disks = disks;
    this.table = tableOf(SMALL, disks);
  }

  plan(...changes: Change[]): { plan: Plan; after: Table; disks: readonly KnownDisk[] } {
    const disks = afterChanges(this.disks, changes);
    const after = tableOf(this.table, disks);
    const input = { before: this.table, after, disksBefore: this.disks, disksAfter: disks, unfinished: this.unfinished };
    return { plan: planOf({ ...input, contents: content, down: new Set(), fewer: this.fewer }), after, disks };
  }

  apply(...changes: Change[]): void {
    const { plan, after, disks } = this.plan(...changes);
    this.unfinished = plan.moves.map(({ partition, former }) => ({ partition, former, verified: false }));
    [this.table, this.disks] = [after, disks];
  }
}

/** Three disks, and a spare one in a zone of its own. */
const four = () => new Cluster([known(0), known(1), known(2), known(3, "spare", "zone-3")]);

const refusal = (attempt: () => unknown): string | undefined => {
  try {
    attempt();
  } catch (error) {
    return errorType(error);
  }
  return undefined;
};

describe("a plan", () => {
  it("says how many chunks and bytes a new disk gets, and that it cannot be fewer", () => {
    const { plan } = four().plan(change("disk-3", "add"));
    expect(plan).toMatchObject({ copies: 24, minimum: 24, chunks: 240, bytes: 2400, warnings: [] });
    expect(plan.disks.map(({ before, after }) => [before.partitions, after.partitions])).toEqual([
      [32, 24],
      [32, 24],
      [32, 24],
      [0, 24],
    ]);
    expect(plan.disks[3]).toMatchObject({ before: { state: "spare", bytes: 0 }, after: { state: "in", bytes: 2400 } });
  });

  it("counts what the tables say, for any disks and changes", () => {
    const kinds = fc.constantFrom<Change["change"]>("add", "drain", "remove", "weight");
    const changes = fc.uniqueArray(fc.tuple(fc.nat({ max: 7 }), kinds, fc.integer({ min: 100, max: 5000 })), {
      selector: ([disk]) => disk,
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(changes, (all) => {
        const cluster = new Cluster(Array.from({ length: 8 }, (_, n) => known(n, n < 6 ? "in" : "spare")));
        const wanted = all.map(([disk, what, weight]) => change(`disk-${disk}`, what, weight));
        fc.pre(refusal(() => cluster.plan(...wanted)) === undefined);
        const { plan, after } = cluster.plan(...wanted);
        expect(check(after)).toEqual([]);
        expect(plan.copies).toBe(moved(cluster.table, after));
        expect(plan.minimum).toBe(movesNeeded(cluster.table, after));
        expect(plan.copies).toBeGreaterThanOrEqual(plan.minimum);
        expect(plan.moves.length).toBeLessThanOrEqual(PARTITIONS);
      }),
      { numRuns: Number(process.env["RUNS"] ?? 200) },
    );
  });

  it("refuses a ring that would keep fewer copies than the present one", () => {
    expect(refusal(() => four().plan(change("disk-0", "drain")))).toBe("RING_CHANGE_REFUSED");
    expect(refusal(() => four().plan(change("disk-0", "drain"), change("disk-3", "add")))).toBeUndefined();
  });

  it("keeps fewer copies when an operator says so, and warns of it", () => {
    const cluster = four();
    cluster.fewer = true;
    const { plan, after } = cluster.plan(...["disk-0", "disk-1", "disk-2"].map((disk) => change(disk, "drain")), change("disk-3", "add"));
    expect([after.replicas, plan.copies, plan.minimum]).toEqual([1, PARTITIONS, PARTITIONS]);
    expect(plan.warnings[0]).toContain("Copies of each chunk: 1 instead of 3");
    for (const { former, gaining } of plan.moves) expect([former.length, gaining]).toEqual([3, ["disk-3"]]);
  });

  it("refuses to give up the only copy of anything", () => {
    const cluster = new Cluster([known(0), known(1, "spare")]);
    expect(refusal(() => cluster.plan(change("disk-0", "remove"), change("disk-1", "add")))).toBe("RING_CHANGE_REFUSED");
    expect(refusal(() => cluster.plan(change("disk-0", "drain"), change("disk-1", "add")))).toBeUndefined();
  });

  it("warns of zones that go, of disks that get too much, and of those that do not answer", () => {
    const cluster = new Cluster([known(0), known(1), known(2), known(3, "in", "zone-0"), known(4, "in", "zone-1")]);
    const input = { before: cluster.table, disksBefore: cluster.disks, unfinished: [], down: new Set(["disk-1"]), fewer: false };
    const disksAfter = afterChanges(cluster.disks, [change("disk-2", "drain")]);
    const full = new Map([...content].map(([partition, { chunks }]) => [partition, { chunks, bytes: 400 }]));
    const { warnings } = planOf({ ...input, disksAfter, after: tableOf(cluster.table, disksAfter), contents: full });
    expect(warnings.join("\n")).toContain("The disks are in 2 zones instead of 3");
    expect(warnings.join("\n")).toMatch(/disk-0 .*would own 9\d % of its capacity/);
    expect(warnings.join("\n")).toContain("disk-1 at 127.0.0.1:2 does not answer");
  });

  it("takes only changes that make sense for the state of a disk", () => {
    const kinds = ["add", "drain", "remove", "weight", "out"] as const;
    const possible = (state: DiskState) =>
      kinds.filter((what) => refusal(() => stateAfter({ id: "x", state }, { change: what })) === undefined);
    expect(possible("spare")).toEqual(["add", "remove", "weight"]);
    expect(possible("in")).toEqual(["drain", "remove", "weight", "out"]);
    expect(possible("draining")).toEqual(["add", "remove", "weight"]);
    expect(possible("out")).toEqual(["add", "remove", "weight"]);
    expect(possible("removed")).toEqual(["add"]);
    expect(refusal(() => afterChanges([known(0)], [change("disk-7", "drain")]))).toBe("DISK_NOT_FOUND");
  });
});

describe("partitions on the way", () => {
  it("are asked for where they are, whatever changes before they have arrived", () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.tuple(fc.nat({ max: 6 }), fc.boolean()), { minLength: 1, maxLength: 2 }), { maxLength: 6 }),
        fc.nat(),
        (rounds, seed) => {
          const cluster = new Cluster(Array.from({ length: 7 }, (_, n) => known(n, n < 4 ? "in" : "spare")));
          const pieces = new Pieces(cluster, seed);
          for (const round of rounds) {
            const wanted = [...new Map(round).keys()]
              .map((n) => cluster.disks[n]!)
              .map(({ id, state }) => change(id, state === "in" ? "drain" : "add"));
            if (refusal(() => cluster.plan(...wanted)) !== undefined) continue;
            cluster.apply(...wanted);
            pieces.write();
            pieces.progress();
            expect(pieces.hidden()).toEqual([]);
          }
        },
      ),
      { numRuns: Number(process.env["RUNS"] ?? 300) },
    );
  });

  it("are named by the view as the rows name them", () => {
    const cluster = new Cluster([known(0), known(1), known(2), known(3, "spare")]);
    const before = partitionsOf(cluster.table);
    cluster.apply(change("disk-3", "add"), change("disk-0", "drain"));
    const leaving = [known(0)];
    const former = encodeFormer(5, cluster.unfinished, [...cluster.table.disks, ...leaving]);
    const view = { ...(cluster.table as Table<KnownDisk>), former, leaving };
    for (let n = 0; n < 300; n++) {
      const chunk = createHash("sha256").update(String(n)).digest("hex");
      const partition = parseInt(chunk.slice(0, 2), 16) >> 3;
      const ids = formerOwnersOf(view, chunk).map(({ id }) => id);
      expect(ids).toEqual(cluster.unfinished.some((one) => one.partition === partition) ? before[partition] : []);
    }
    expect(formerOwnersOf({ ...view, former: new Uint8Array(0) }, "ff".repeat(32))).toEqual([]);
  });
});

/** Who has what, by the rules of the protocol: a write is on two owners; who verifies has copied from those who are named; who clears deletes elsewhere. */
class Pieces {
  readonly #cluster: Cluster;
  readonly #held: { partition: number; disks: Set<string> }[] = [];
  #state: number;

  constructor(cluster: Cluster, seed: number) {
    this.#cluster = cluster;
    this.#state = seed + 1;
    this.write();
  }

  write(): void {
    partitionsOf(this.#cluster.table).forEach((owners, partition) => {
      const skipped = this.#chance(owners.length);
      this.#held.push({ partition, disks: new Set(owners.filter((_, copy) => owners.length < 3 || copy !== skipped)) });
    });
  }

  /** Some partitions arrive, some of them are cleared, the others stay on the way. */
  progress(): void {
    const owners = partitionsOf(this.#cluster.table);
    this.#cluster.unfinished = this.#cluster.unfinished.flatMap((one) => {
      const fate = one.verified ? this.#chance(2) + 1 : this.#chance(3);
      const mine = this.#held.filter(({ partition }) => partition === one.partition);
      if (fate > 0) for (const { disks } of mine) for (const id of owners[one.partition]!) disks.add(id);
      if (fate < 2) return [{ ...one, verified: fate === 1 || one.verified }];
      for (const { disks } of mine) for (const id of one.former) if (!owners[one.partition]!.includes(id)) disks.delete(id);
      return [];
    });
  }

  /** Pieces that nobody has who would be asked. */
  hidden(): number[] {
    const owners = partitionsOf(this.#cluster.table);
    const former = new Map(this.#cluster.unfinished.map((one) => [one.partition, one.verified ? [] : one.former]));
    return this.#held
      .filter(({ partition, disks }) => ![...owners[partition]!, ...(former.get(partition) ?? [])].some((id) => disks.has(id)))
      .map(({ partition }) => partition);
  }

  #chance(below: number): number {
    this.#state = (Math.imul(this.#state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (this.#state >> 8) % below;
  }
}
