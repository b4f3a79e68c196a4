/** Makes tables on a thread of their own: thousands of partitions on hundreds of disks take seconds, in which this process has others to answer. */
import { once } from "node:events";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import type { PlacedDisk, Table } from "../domain/placement.ts";

/** `rebalance`, checked. */
export async function nextTable(previous: Table, disks: readonly PlacedDisk[]): Promise<Table> {
  const { partitionBits, replicas, owners } = previous;
  const workerData = { previous: { partitionBits, replicas, owners, disks: previous.disks.map(place) }, disks: disks.map(place) };
  const worker = new Worker(join(import.meta.dirname, "main.ts"), { workerData });
  // `once` rejects when the thread fails instead.
  const [table] = (await once(worker, "message")) as [Table];
  return table;
}

/** What placement asks for, and nothing else that would have to be copied from thread to thread. */
function place({ id, zone, weight }: PlacedDisk): PlacedDisk {
  return { id, zone, weight };
}
