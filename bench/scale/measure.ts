/**
 * `npm run bench:scale [-- --films FOLDER] [-- --seconds 24] [-- --parts claims,bytes,conversions]`: the service times that `npm run sim:scale` counts with (bench/scale/measured.ts): what each kind of
 * job takes of a processor for 1080p and for 480p, what PostgreSQL takes for it, and what it takes to ask the queue for work when there is none.
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Client } from "pg";
import { loadConfig } from "../../config/index.ts";
import { openDatabase } from "../../mixins/database/connection.ts";
import { execute } from "../../mixins/database/sql.ts";
import { jobs } from "../../services/jobs/contract.ts";
import jobsService from "../../services/jobs/jobs.service.ts";
import { call } from "../../services/kernel/rpc.ts";
import { startCluster } from "../../test/support/cluster.ts";
import { testDatabase } from "../../test/support/postgres.ts";
import { startServices } from "../../test/support/services.ts";
import { removeFolder, temporaryFolder } from "../../test/support/tritontube.ts";
import { cpuSeconds, family } from "../processes.ts";
import { filmOf } from "../transcode/films.ts";
import { Fleet, type Converted } from "../transcode/fleet.ts";
import { runFfmpeg } from "../transcode/program.ts";

const CORES = [0, 1] as const;
const HEIGHTS = [1080, 480] as const;
const CLAIMS = 2000;
const WAITING = 100_000;
const BYTES = 256 * 1024 * 1024;

const { values } = parseArgs({
  options: {
    films: { type: "string", default: "" },
    seconds: { type: "string", default: "24" },
    parts: { type: "string", default: "claims,bytes,conversions" },
  },
});
const parts = new Set(values.parts.split(","));
const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** CPU of PostgreSQL, whose processes this one has started, s. */
async function databaseSeconds(): Promise<number> {
  const all = (await family(process.pid)).filter(({ command }) => command.includes("postgres"));
  return await cpuSeconds(all.map(({ pid }) => pid));
}

/** The same of the disks, s. */
async function diskSeconds(): Promise<number> {
  const all = (await family(process.pid)).filter(({ command }) => command.includes("services/disk/"));
  return await cpuSeconds(all.map(({ pid }) => pid));
}

const perGB = (seconds: number): string => (seconds / (BYTES / 1e9)).toFixed(2);

/** All that were committed on this server, the single statements too. */
async function transactions(): Promise<number> {
  const client = new Client({ connectionString: loadConfig().DATABASE_URL });
  await client.connect();
  const { rows } = await client.query<{ all: string }>("select sum(xact_commit) as all from pg_stat_database");
  await client.end();
  return Number(rows[0]!.all);
}

/** What it takes of a node that decides, and of PostgreSQL, to say that there is no work. */
async function claims(): Promise<void> {
  const database = await testDatabase();
  const db = openDatabase(database.ownerUrl, { connectionsMax: 2 });
  const broker = await startServices(database.url, jobsService);
  const claim = { kind: "video.span", worker: "bench", leaseMs: 3000, priorityMin: 2000 } as const;
  const measure = async (what: string): Promise<void> => {
    for (let n = 0; n < 200; n++) await call(broker, jobs.claim, claim);
    const [before, own] = [await databaseSeconds(), process.cpuUsage()];
    for (let n = 0; n < CLAIMS; n++) await call(broker, jobs.claim, claim);
    const { user, system } = process.cpuUsage(own);
    const ms = (((await databaseSeconds()) - before) * 1000) / CLAIMS;
    say(
      `a claim of nothing, ${what}: PostgreSQL ${ms.toFixed(3)} ms of CPU, the node that decides ${((user + system) / 1000 / CLAIMS).toFixed(3)} ms`,
    );
  };
  await measure("no job waits");
  const insert = `insert into jobs (kind, priority, payload) select 'video.span', 1000 - n % 200, '{}' from generate_series(1, ${WAITING}) n`;
  await execute(db, insert);
  await execute(db, "analyze jobs");
  await measure(`${WAITING} of lower priority wait`);
  await broker.stop();
  await database.drop();
}

async function costOf(what: string, work: () => Promise<unknown>): Promise<void> {
  const [before, own] = [await diskSeconds(), process.cpuUsage()];
  await work();
  const { user, system } = process.cpuUsage(own);
  say(`${what} a GB: the process ${perGB((user + system) / 1e6)} s of CPU, the disks together ${perGB((await diskSeconds()) - before)} s`);
}

/** What bytes cost on their way to three disks and back: of the process that cuts, names and sends them, and of the disks together. */
async function bytes(): Promise<void> {
  const cluster = await startCluster();
  const content = randomBytes(BYTES);
  let blob = "";
  await costOf("writing", async () => ({ blob } = await cluster.write(content)));
  await costOf("reading", async () => await cluster.read(blob));
  await cluster.stop();
}

async function conversion(film: string, height: number, seconds: number): Promise<void> {
  const fleet = await Fleet.start();
  try {
    const [cpu, committed] = [await databaseSeconds(), await transactions()];
    const done = await fleet.convert(film, [CORES]);
    tell(`${height}p`, done, seconds);
    const segments = done.jobs.length;
    say(
      `${height}p: PostgreSQL ${((await databaseSeconds()) - cpu).toFixed(2)} s of CPU, ${(await transactions()) - committed} transactions, ${segments} jobs`,
    );
  } finally {
    await fleet.stop();
  }
}

/** What the transcoder took, shared out by how long each job was held: where jobs overlap, they slow each other down alike. */
function tell(name: string, { jobs: done, cpuS, seconds }: Converted, filmS: number): void {
  const held = done.reduce((sum, job) => sum + job.seconds, 0);
  say(`${name}: ${cpuS.toFixed(1)} s of CPU for ${filmS} s (${(cpuS / filmS).toFixed(2)} a second), ${seconds.toFixed(1)} s in all`);
  for (const [size, some] of Map.groupBy(done, ({ kind, payload }) => `${kind} ${sizeOf(payload)}`)) {
    const each = some.map((job) => ((job.seconds * cpuS) / held).toFixed(2));
    say(`${name}: ${size}: ${each.join(", ")} s of CPU`);
  }
}

function sizeOf(payload: Readonly<Record<string, unknown>>): string {
  const { span } = payload as { span?: { frames?: number; segments?: number } };
  return span?.frames === undefined ? `${span?.segments ?? ""}` : `${span.frames} frames`;
}

const folder = await temporaryFolder("tritontube-bench-scale-");
try {
  if (parts.has("claims")) await claims();
  if (parts.has("bytes")) await bytes();
  const seconds = Number(values.seconds);
  const minute = await filmOf(values.films === "" ? folder : values.films, 1);
  for (const height of parts.has("conversions") ? HEIGHTS : []) {
    const film = join(folder, `film-${height}.mp4`);
    const picture =
      height === 1080 ? ["-c", "copy"] : ["-vf", `scale=-2:${height}`, "-c:v", "libx264", "-preset", "veryfast", "-c:a", "copy"];
    await runFfmpeg(["-i", minute, "-t", String(seconds), ...picture, film]);
    await conversion(film, height, seconds);
  }
} finally {
  await removeFolder(folder);
}
process.exit(0);
