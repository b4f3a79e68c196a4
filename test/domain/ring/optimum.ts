/**
 * The least number of copies that can lead from a table to one for other disks, exactly: a flow of minimal cost over the whole table, where
 * every owner that was there before is free and every other costs one. Far too slow for a real ring; the judge of the search that is not.
 */
import type { PlacedDisk, Table } from "../../../services/ring/domain/placement.ts";
import { quotasOf, zoneLimit } from "../../../services/ring/domain/quotas.ts";
import { partitionsOf } from "./measure.ts";

export function fewestMoves(before: Table, disks: readonly PlacedDisk[]): number {
  const partitions = 2 ** before.partitionBits;
  const replicas = Math.min(3, disks.length);
  const zones = [...new Set(disks.map(({ zone }) => zone))];
  const quotas = quotasOf(disks, partitions, replicas);
  const had = partitionsOf(before);
  const graph = new Flow(2 + partitions * (1 + zones.length) + disks.length);
  const diskVertex = (n: number) => 2 + partitions * (1 + zones.length) + n;
  for (let partition = 0; partition < partitions; partition++) {
    graph.arc(SOURCE, 2 + partition, replicas, 0);
    zones.forEach((zone, n) => {
      const zoneNode = 2 + partitions + partition * zones.length + n;
      graph.arc(2 + partition, zoneNode, zoneLimit(disks, replicas), 0);
      disks.forEach((disk, index) => {
        if (disk.zone === zone) graph.arc(zoneNode, diskVertex(index), 1, had[partition]!.includes(disk.id) ? 0 : 1);
      });
    });
  }
  disks.forEach((_, index) => graph.arc(diskVertex(index), SINK, quotas[index]!, 0));
  return graph.cheapest(partitions * replicas);
}

const SOURCE = 0;
const SINK = 1;

/** Arcs stand in pairs, there and back: the partner of arc n is n ^ 1. */
class Flow {
  readonly #arcsOf: number[][];
  readonly #to: number[] = [];
  readonly #room: number[] = [];
  readonly #cost: number[] = [];

  constructor(nodes: number) {
    this.#arcsOf = Array.from({ length: nodes }, () => []);
  }

  arc(from: number, to: number, room: number, cost: number): void {
    this.#half(from, to, room, cost);
    this.#half(to, from, 0, -cost);
  }

  #half(from: number, to: number, room: number, cost: number): void {
    this.#arcsOf[from]!.push(this.#to.length);
    this.#to.push(to);
    this.#room.push(room);
    this.#cost.push(cost);
  }

  /** The cost of the cheapest flow of this size: one unit after the other along the cheapest path that is left (Bellman and Ford). */
  cheapest(size: number): number {
    let total = 0;
    for (let unit = 0; unit < size; unit++) {
      const { cost, path } = this.#cheapestPath();
      total += cost;
      for (const arc of path) {
        this.#room[arc]!--;
        this.#room[arc ^ 1]!++;
      }
    }
    return total;
  }

  #cheapestPath(): { cost: number; path: number[] } {
    const costs = this.#arcsOf.map(() => Infinity);
    const by: number[] = [];
    const waiting = [SOURCE];
    costs[SOURCE] = 0;
    for (const node of waiting) {
      for (const arc of this.#arcsOf[node]!) {
        const next = this.#to[arc]!;
        if (this.#room[arc] === 0 || costs[node]! + this.#cost[arc]! >= costs[next]!) continue;
        costs[next] = costs[node]! + this.#cost[arc]!;
        by[next] = arc;
        waiting.push(next);
      }
    }
    if (costs[SINK] === Infinity) throw new Error("The quotas cannot be met.");
    const path: number[] = [];
    for (let node = SINK; node !== SOURCE; node = this.#to[by[node]! ^ 1]!) path.push(by[node]!);
    return { cost: costs[SINK]!, path };
  }
}
