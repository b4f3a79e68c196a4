/**
 * `npm run bench:ring [-- --chunks 1000000]`: the ring beside other placements, in one run: how even the disks are filled, how much more than the least a
 * change moves, and how fast the owners of a chunk are found. Ends with an error when a promise is broken.
 */
import { hash } from "node:crypto";
import { parseArgs } from "node:util";
import { EMPTY, ownersOf, rebalance, type PlacedDisk, type Table } from "../services/ring/domain/placement.ts";
import { firstTritonTube, hashring, rendezvous, straw2, type Lookup, type Placement } from "./placements/rivals.ts";
import { median } from "./statistics.ts";

const DISKS = 100;
const ZONES = 10;
/** Look-ups of one measurement: long enough for the slowest to be measured, short enough to take turns. */
const LOOKUPS = 100_000;
const ROUNDS = 9;

/** What the ring promises. */
const PROMISED = { peak: 1.05, moved: 1.02, lookupsPerSecond: 10_000_000, timesHashring: 20 };

const tables = new WeakMap<Lookup, Table>();

const tritonTube: Placement = {
  name: "TritonTube",
  build(disks, before) {
    const table = rebalance((before && tables.get(before)) ?? EMPTY, disks);
    const lookup: Lookup = (chunk) => ownersOf(table, chunk).map(({ id }) => id);
    tables.set(lookup, table);
    return lookup;
  },
};

const disk = (n: number, weight = 4): PlacedDisk => ({ id: `disk-${String(n).padStart(3, "0")}`, zone: `zone-${n % ZONES}`, weight });
const hundred = Array.from({ length: DISKS }, (_, n) => disk(n));
const CHANGES = {
  add: [...hundred, disk(DISKS)],
  remove: hundred.filter((_, n) => n !== 37),
  "weigh twice": hundred.map((one, n) => (n === 37 ? disk(n, 8) : one)),
} as const;

/** Copies of these chunks on each disk. */
function countsOf(lookup: Lookup, chunks: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const chunk of chunks) for (const id of lookup(chunk)) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
}

/** Copies that have to be made when one look-up takes the place of another. */
function copiesMade(before: Lookup, after: Lookup, chunks: readonly string[]): number {
  let copies = 0;
  for (const chunk of chunks) {
    const had = before(chunk);
    for (const id of after(chunk)) if (!had.includes(id)) copies++;
  }
  return copies;
}

/** Copies that have to be made in any case: what a disk had that is gone; else what the weights give to disks above what they gave before. */
function leastCopies(counts: ReadonlyMap<string, number>, before: readonly PlacedDisk[], after: readonly PlacedDisk[]): number {
  const gone = before.filter(({ id }) => !after.some((one) => one.id === id));
  if (gone.length > 0) return gone.reduce((sum, { id }) => sum + (counts.get(id) ?? 0), 0);
  const all = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const had = sharesOf(before);
  return all * [...sharesOf(after)].reduce((total, [id, part]) => total + Math.max(0, part - (had.get(id) ?? 0)), 0);
}

function sharesOf(disks: readonly PlacedDisk[]): Map<string, number> {
  const sum = disks.reduce((total, { weight }) => total + weight, 0);
  return new Map(disks.map(({ id, weight }) => [id, weight / sum]));
}

interface Row {
  readonly placement: Placement;
  readonly lookup: Lookup;
  readonly peak: number;
  readonly least: number;
  /** Copies made by each change, by the least that it needs. */
  readonly moved: readonly number[];
}

function measure(placement: Placement, chunks: readonly string[]): Row {
  const lookup = placement.build(hundred);
  const loads = countsOf(lookup, chunks);
  const counts = [...loads.values()];
  const mean = (chunks.length * 3) / DISKS;
  const moved = Object.values(CHANGES).map(
    (after) => copiesMade(lookup, placement.build(after, lookup), chunks) / leastCopies(loads, hundred, after),
  );
  return { placement, lookup, peak: Math.max(...counts) / mean, least: Math.min(...counts) / mean, moved };
}

/** Look-ups a second, in turns: what else the machine does falls on all of them alike. */
function speeds(lookups: readonly Lookup[], chunks: readonly string[]): number[] {
  const taken = lookups.map((): number[] => []);
  let found = 0;
  for (let round = 0; round < ROUNDS; round++) {
    lookups.forEach((lookup, index) => {
      const began = performance.now();
      for (let n = 0; n < LOOKUPS; n++) found += lookup(chunks[n]!).length;
      taken[index]!.push((LOOKUPS / (performance.now() - began)) * 1000);
    });
  }
  if (found === 0) throw new Error("Nothing was found.");
  return taken.map(median);
}

function print(lines: readonly (readonly string[])[]): void {
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  for (const line of lines)
    console.log(line.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join("  "));
}

function sharesOfThree(placement: Placement, chunks: readonly string[]): string {
  const three = [8090, 8091, 8092].map((port, n) => ({ id: `localhost:${port}`, zone: `zone-${n}`, weight: 1 }));
  const counts = [...countsOf(placement.build(three), chunks).values()].toSorted((a, b) => b - a);
  const all = counts.reduce((sum, count) => sum + count, 0);
  return counts.map((count) => `${((100 * count) / all).toFixed(1)} %`).join(", ");
}

function main(): void {
  const { values } = parseArgs({ options: { chunks: { type: "string", default: "1000000" } } });
  const chunks = Array.from({ length: Number(values.chunks) }, (_, n) => hash("sha256", String(n)));
  const rows = [tritonTube, hashring, straw2, rendezvous].map((placement) => measure(placement, chunks));
  const table = tables.get(rows[0]!.lookup)!;
  // What storage calls: the owners, not their names.
  const lookups = [(chunk: string) => ownersOf(table, chunk), ...rows.slice(1).map(({ lookup }) => lookup)];
  const perSecond = speeds(lookups as Lookup[], chunks);
  console.log(`${DISKS} disks in ${ZONES} zones, ${chunks.length} chunks with 3 copies each\n`);
  print([
    ["", "peak/mean", "least/mean", ...Object.keys(CHANGES).map((change) => `${change}: moved/least`), "look-ups, M/s", "× hashring"],
    ...rows.map(({ placement, peak, least, moved }, index) => [
      placement.name,
      peak.toFixed(3),
      least.toFixed(3),
      ...moved.map((ratio) => ratio.toFixed(3)),
      (perSecond[index]! / 1e6).toFixed(2),
      (perSecond[index]! / perSecond[1]!).toFixed(1),
    ]),
  ]);
  console.log("\nshares of three equal disks:");
  print([firstTritonTube, tritonTube].map((placement) => [placement.name, sharesOfThree(placement, chunks)]));
  refuseBroken(rows[0]!, perSecond);
}

function refuseBroken({ peak, moved }: Row, [ours = 0, theirs = 0]: readonly number[]): void {
  const broken = [
    peak > PROMISED.peak && `peak/mean is ${peak}`,
    Math.max(...moved) > PROMISED.moved && `moved/least is ${Math.max(...moved)}`,
    ours < PROMISED.lookupsPerSecond && `${Math.round(ours)} look-ups a second`,
    ours < PROMISED.timesHashring * theirs && `only ${(ours / theirs).toFixed(1)} times hashring`,
  ].filter((one) => one !== false);
  if (broken.length === 0) return;
  console.error(`\nnot as promised: ${broken.join(", ")}`);
  process.exitCode = 1;
}

main();
