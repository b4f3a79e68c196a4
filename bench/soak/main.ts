/**
 * `npm run test:soak [-- --minutes 10] [-- --seed N]`: a cluster of two storage nodes on NATS, five disks and a PostgreSQL, each a process of its own.
 * People write, read and delete; disks are killed, stopped, added and drained, nodes and the database are killed. With a time of grace of seconds,
 * so that what nobody names goes while everything else happens.
 *
 * At the end everything is made good and left alone, until the disks are equal to the rows. Then every blob that was acknowledged must read back
 * intact, none that was deleted may be there, and the disks hold nothing that they do not own. Needs nats-server.
 */
import { randomInt } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Pool } from "pg";
import { randomFrom } from "../../services/ring/domain/random.ts";
import type { RingView } from "../../services/ring/contract.ts";
import { startDisks } from "../../test/support/disks.ts";
import { startNats } from "../../test/support/nats.ts";
import { unsettled } from "../settled.ts";
import { Load } from "./load.ts";
import { Nemesis } from "./nemesis.ts";
import { SoakDatabase, SoakNode } from "./processes.ts";

const DISKS = 5;
const NODES = 2;
const SETTINGS = { COLLECT_GRACE_SECONDS: "20", COMPARE_SECONDS: "20", LOG_LEVEL: "info" };
/** From the end of the faults until the disks are equal to the rows: grace for blobs, grace for chunks, moves, and rounds of comparing. */
const SETTLE_MS = 300_000;

const { values } = parseArgs({ options: { minutes: { type: "string", default: "10" }, seed: { type: "string" } } });
const seed = values.seed ?? String(randomInt(2 ** 31));
const say = (line: string): void => void process.stdout.write(`${line}\n`);

say(`soak of ${values.minutes} minutes with seed ${seed}`);
const logs = await mkdtemp(join(tmpdir(), "tritontube-soak-logs-"));
const [nats, database, started] = await Promise.all([
  startNats(),
  SoakDatabase.start(),
  startDisks(DISKS, { zones: ["a", "b", "c"], settings: { DISK_TRASH_SECONDS: "60" } }),
]);
const nodes = Array.from({ length: NODES }, (_, n) => {
  const settings = {
    ...SETTINGS,
    NODE_ID: `soak-${n + 1}`,
    NATS_URL: nats.url,
    DATABASE_URL: database.url,
    DISKS: started.disks.map(({ address }) => address).join(","),
    DISK_SECRET: started.secret,
  };
  return new SoakNode(settings, join(logs, `node-${n + 1}.log`));
});
await Promise.all(nodes.map(async (node) => await node.start()));
const pool = new Pool({ connectionString: database.url, max: 8 });
// Lost connections are made anew; the statement that was on its way fails, and is repeated.
pool.on("error", () => {});

const load = new Load(nodes, pool, randomFrom(`${seed} load`));
const nemesis = new Nemesis({ nodes, disks: started.disks, database }, randomFrom(`${seed} nemesis`));
load.start();
nemesis.start();
await sleep(Number(values.minutes) * 60_000);
await nemesis.stop();
await load.stop();
say("everything runs again; waiting until the disks are equal to the rows");
const seconds = await settle();
await load.verify();
load.violations.push(...(await leftovers()));
report();
await pool.end();
await Promise.all(nodes.map(async (node) => await node.kill()));
await Promise.all([started.stop(), nats.stop(), database.stop()]);
if (load.violations.length === 0) await rm(logs, { recursive: true, force: true });
else say(`the logs of the nodes are in ${logs}`);
process.exit(load.violations.length === 0 ? 0 : 1);

/** How long it took, s; NaN when it did not come to pass. */
async function settle(): Promise<number> {
  const began = performance.now();
  while (performance.now() - began < SETTLE_MS) {
    await sleep(3000);
    if ((await open()).length === 0) return Math.round((performance.now() - began) / 1000);
    await ask("upkeep.compare", {}).catch(() => undefined);
    await ask("upkeep.collect", {}).catch(() => undefined);
  }
  load.violations.push(...(await open()).map((what) => `after ${SETTLE_MS / 1000} s there are still ${what}`));
  return Number.NaN;
}

async function ask<R>(action: string, params: object): Promise<R> {
  return await nodes[0]!.ask<R>({ ask: "call", action, params });
}

async function open(): Promise<string[]> {
  return await unsettled({
    pool,
    disks: started.disks,
    ring: async () => await ask<RingView>("ring.get", {}),
    named: "select source_blob from videos",
  });
}

/** What the rows must say of the blobs that are kept, and of no others. */
async function leftovers(): Promise<string[]> {
  const kept = new Set([...load.kept.values()].map(({ blob }) => blob));
  const blobs = (await pool.query<{ id: string }>("select encode(id, 'hex') as id from blobs")).rows.map(({ id }) => id);
  const miscounted = await pool.query(
    `select 1 from chunks where refs <> (select count(*) from blobs where position(chunks.sha256 in blobs.chunks) % 32 = 1)`,
  );
  const lost = await pool.query("select 1 from partitions where chunks_lost > 0");
  return [
    ...blobs.filter((blob) => !kept.has(blob)).map((blob) => `blob ${blob} was deleted, and is there`),
    ...(lost.rows.length > 0 ? [`${lost.rows.length} partitions have moved without chunks that were taken for lost`] : []),
    ...(miscounted.rows.length > 0 ? [`${miscounted.rows.length} chunks are counted wrongly`] : []),
  ];
}

function report(): void {
  const rows: [string, string | number][] = [
    ...Object.entries(load.counts),
    ...Object.entries(nemesis.counts).toSorted(([a], [b]) => a.localeCompare(b)),
    ["blobs kept", load.kept.size],
    ["seconds until the disks were equal to the rows", seconds],
    ["violations", load.violations.length],
  ];
  for (const [what, count] of rows) say(`${what.padEnd(50)}${String(count).padStart(14)}`);
  for (const violation of load.violations.slice(0, 50)) say(`VIOLATION: ${violation}`);
}
