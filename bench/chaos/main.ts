/**
 * `npm run chaos [-- --minutes 15] [-- --seed N]`: a whole cluster of processes, as `npm run cluster` starts it. People upload, watch and delete; meanwhile
 * gateways, transcoders, nodes that decide, the node of the ring, disks, NATS and PostgreSQL are killed, frozen and cut off, one after the other.
 *
 * Nearly every upload is a file of its own, and is converted; most videos are looked at whole before they are deleted. At the end all is mended and left
 * alone. Then every video that is kept must become ready and show every frame of its source, there is one of each, none that was deleted, no job that waits,
 * and the disks hold what the rows say. Needs nats-server and ffmpeg; cuts the network where it is root and has nftables.
 */
import { randomInt } from "node:crypto";
import { copyFile, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Pool } from "pg";
import { call } from "../../services/kernel/rpc.ts";
import { ring } from "../../services/ring/contract.ts";
import { randomFrom } from "../../services/ring/domain/random.ts";
import { upkeep } from "../../services/upkeep/contract.ts";
import { countFrames, decodeFrames, makeSource } from "../../test/support/media.ts";
import { startProcesses, type Processes } from "../../test/support/processes.ts";
import { removeFolder, temporaryFolder } from "../../test/support/tritontube.ts";
import { whenEnding } from "../freeze.ts";
import { unsettled, type DiskFolder } from "../settled.ts";
import { faultsOf, mendNetwork, Nemesis } from "./faults.ts";
import { People, type KeptVideo, type Source } from "./people.ts";

/** From the end of the faults until everything is ready, and the disks are equal to the rows: the queue, the graces, and rounds of comparing. */
const SETTLE_MS = 420_000;
/** After a fault people must be served again within this. */
const WELL_MS = 120_000;
const SETTINGS = { COLLECT_GRACE_SECONDS: "60", COMPARE_SECONDS: "30", DISK_TRASH_SECONDS: "60" };
const NAMED = `select source_blob from videos union all select thumbnail_blob from videos union all select storyboard_blob from videos
  union all select init_blob from renditions union all select blob from segments union all select blob from captions union all select blob from upload_parts`;

const { values } = parseArgs({ options: { minutes: { type: "string", default: "15" }, seed: { type: "string" } } });
const seed = values.seed ?? String(randomInt(2 ** 31));
const say = (line: string): void => void process.stdout.write(`${line}\n`);

whenEnding(mendNetwork);
say(`chaos of ${values.minutes} minutes with seed ${seed}`);
const folder = await temporaryFolder("tritontube-chaos-");
const sources = await sourcesIn(folder);
const cluster = await startProcesses({ nodes: { videos: 2, gateway: 2, transcoder: 2 }, disks: 4, settings: SETTINGS });
const pool = new Pool({ connectionString: cluster.database.environment["DATABASE_OWNER_URL"], max: 4 });
// Lost connections are made anew.
pool.on("error", () => {});
const violations: string[] = [];
const people = new People(cluster.urls, sources, randomFrom(`${seed} people`));
const nemesis = new Nemesis(faultsOf(cluster), randomFrom(`${seed} nemesis`), well);
people.start();
await well();
nemesis.start();
await sleep(Number(values.minutes) * 60_000);
await nemesis.stop();
await people.stop();
// Whoever comes after all of it is served, too.
await people.upload();
say("everything runs again; waiting until every video is ready and the disks are equal to the rows");
const seconds = await settle(cluster);
await verify();
const wrong = [...people.violations, ...violations];
report();
await pool.end();
if (wrong.length > 0) await copyFile(cluster.logFile, join(tmpdir(), `tritontube-chaos-${seed}.log`));
await cluster.stop();
await removeFolder(folder);
if (wrong.length > 0) say(`the log of all processes is ${join(tmpdir(), `tritontube-chaos-${seed}.log`)}`);
process.exit(wrong.length === 0 ? 0 : 1);

async function sourcesIn(into: string): Promise<readonly Source[]> {
  const made = [];
  for (const secs of [2, 5, 9]) {
    const path = await makeSource(into, { seconds: secs, size: "320x180" });
    made.push({ bytes: await readFile(path), frames: await countFrames(path) });
  }
  return made;
}

/** Every gateway answers a question that takes the database. */
async function well(): Promise<void> {
  const until = Date.now() + WELL_MS;
  for (let turn = 0; Date.now() < until; turn++) {
    // Another question each time: answers are given again for a moment.
    const asked = cluster.urls.map(
      async (url) => await fetch(`${url}/api/v1/videos?q=${seed}-${turn}`, { signal: AbortSignal.timeout(5000) }),
    );
    const answers = await Promise.all(asked).catch(() => []);
    for (const { status } of answers) if (status >= 500 && status !== 503) violations.push(`a search answered ${status}`);
    if (answers.length > 0 && answers.every(({ ok }) => ok)) return;
    await sleep(100);
  }
  violations.push(`people were not served for ${WELL_MS / 1000} s after everything was mended`);
}

/** How long it took, s. */
async function settle(of: Processes): Promise<number> {
  const began = performance.now();
  let left: readonly string[] = [];
  while (performance.now() - began < SETTLE_MS) {
    await sleep(3000);
    left = await open(of).catch((error: unknown) => [String(error)]);
    if (left.length === 0) return Math.round((performance.now() - began) / 1000);
    await call(of.broker, upkeep.compare, {}).catch(() => undefined);
    await call(of.broker, upkeep.collect, {}).catch(() => undefined);
  }
  violations.push(...left.map((what) => `after ${SETTLE_MS / 1000} s there are still ${what}`));
  return Number.NaN;
}

async function open(of: Processes): Promise<readonly string[]> {
  const { rows } = await pool.query<{ kind: string; state: string; count: string }>(
    `select kind, state, count(*) from jobs where (video_id is not null or kind in ('upload.finish', 'partition.move'))
       and state in ('queued', 'running') group by 1, 2`,
  );
  const jobs = rows.map(({ kind, state, count }) => `${count} jobs ${kind} that are ${state}`);
  const known = await call(of.broker, ring.disks, {});
  const disks: DiskFolder[] = of.disks.map(({ address }, index) => ({
    id: known.find((disk) => disk.address === address)?.id ?? "",
    dir: join(of.dataDir, `disk${index + 1}`),
  }));
  return [...jobs, ...(await unsettled({ pool, disks, ring: async () => await call(of.broker, ring.get, {}), named: NAMED }))];
}

async function verify(): Promise<void> {
  const { rows } = await pool.query<{ id: string; title: string; status: string; error: unknown; deleted: boolean }>(
    "select id, title, status, error_message as error, deleted_at is not null as deleted from videos",
  );
  for (const what of ["uploads acknowledged", "videos watched", "videos looked at whole before their deletion"])
    if ((people.counts[what] ?? 0) === 0) violations.push(`there were no ${what}: this shows nothing`);
  const titles = Map.groupBy(rows, ({ title }) => title);
  for (const [title, all] of titles) if (all.length > 1) violations.push(`there are ${all.length} videos of "${title}"`);
  const found = new Map(rows.map((row) => [row.id, row]));
  for (const id of people.deleted) if (found.has(id)) violations.push(`${id} was deleted, and is there`);
  for (const { id, title } of rows)
    if (!people.kept.has(id) && !people.unknown.has(title)) violations.push(`${id} ("${title}") is there, and nobody was told of it`);
  for (const video of people.kept.values()) {
    const { status, error } = found.get(video.id) ?? { status: "lost" };
    if (status === "ready") await compare(video);
    else violations.push(`${video.id} was acknowledged, and is ${status}: ${JSON.stringify(error)}`);
  }
}

async function compare({ id, source }: KeptVideo): Promise<void> {
  const frames = await decodeFrames(`${cluster.urls[0]}/api/v1/videos/${id}/master.m3u8`).catch((problem: unknown) => String(problem));
  if (frames !== source.frames) violations.push(`${id} shows ${frames} of ${source.frames} frames`);
}

function report(): void {
  say(`\n| What happened | Times | People were served again after at most |\n| --- | ---: | ---: |`);
  for (const [name, { times, slowestMs }] of [...nemesis.survived].toSorted(([a], [b]) => a.localeCompare(b)))
    say(`| ${name} | ${times} | ${(slowestMs / 1000).toFixed(1)} s |`);
  const figures: [string, number][] = [
    ...Object.entries(people.counts).toSorted(([a], [b]) => a.localeCompare(b)),
    ["videos kept", people.kept.size],
    ["uploads whose end nobody was told", people.unknown.size],
    ["seconds until all was ready and the disks equal to the rows", seconds],
    ["violations", wrong.length],
  ];
  say("");
  for (const [what, count] of figures) say(`${what.padEnd(62)}${String(count).padStart(10)}`);
  for (const violation of wrong.slice(0, 50)) say(`VIOLATION: ${violation}`);
}
