/** The thread of table.ts: makes one table and ends. */
import { parentPort, workerData } from "node:worker_threads";
import { check, rebalance, type PlacedDisk, type Table } from "../domain/placement.ts";

const { previous, disks } = workerData as { previous: Table; disks: readonly PlacedDisk[] };
const table = rebalance(previous, disks);
const wrong = check(table);
if (wrong.length > 0) throw new Error(`The new table breaks ${wrong.length} rules: ${wrong[0]}`);
parentPort?.postMessage(table, [table.owners.buffer as ArrayBuffer]);
