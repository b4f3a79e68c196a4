/**
 * `npm run test:endurance [-- --minutes 10] [-- --seed N]`: what three days would show, asked of ten minutes. A server as `npm start` makes it is used
 * and misused in rounds; after each it comes to rest, collects its garbage and is looked at. What it holds must then be what it held before: figures
 * that certainly grow, by more than 5 % an hour, are a leak. At the end all videos go, and nothing of them may be left.
 */
import { randomInt } from "node:crypto";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Pool } from "pg";
import { startPostgres } from "../../deploy/local/postgres.ts";
import { randomFrom } from "../../services/ring/domain/random.ts";
import { eventually } from "../../test/support/eventually.ts";
import { makeSource } from "../../test/support/media.ts";
import { removeFolder, startTritonTube, temporaryFolder, type TritonTube } from "../../test/support/tritontube.ts";
import { Crowd, type Person, type Stage } from "./crowd.ts";
import { COMPILED, inspect, look, type Figures, type Watched } from "./figures.ts";
import { Http } from "./http.ts";
import { expireUploads, leftovers } from "./leftovers.ts";
import { slopeOf, type Slope } from "./slope.ts";

const ROUND_MS = 12_000;
/** Caches fill, pools open, code is compiled: what is seen in this share of the run is no measure of the rest. */
const WARM_UP = 0.3;
/** A share of itself that a figure may grow by in an hour: what is less cannot be told from a cache that fills, and is no trouble for weeks. */
const GROWTH_MAX = 0.05;
/** Small caches fill within the warm-up; what is let go goes within the run, not within a day. */
const SETTINGS = {
  AUTH_MODE: "token",
  RATE_LIMITS: "false",
  LOG_LEVEL: "warn",
  X264_PRESET: "ultrafast",
  SEGMENT_CACHE_BYTES: String(1024 * 1024),
  UPLOAD_IDLE_SECONDS: "3",
  UPLOADS_OPEN_MAX: "10000",
  WRITE_BUFFERS: "6",
  UPLOADS_AT_ONCE: "4",
  COLLECT_GRACE_SECONDS: "20",
  DISK_TRASH_SECONDS: "5",
  // Where the inspector listens when it is asked for.
  NODE_OPTIONS: "--inspect-port=127.0.0.1:0",
};
const FILM_MS = 120_000;
const NAME = "ann";
const PASSWORD = "correct horse battery";

const { values } = parseArgs({ options: { minutes: { type: "string", default: "10" }, seed: { type: "string" } } });
const seed = values.seed ?? String(randomInt(2 ** 31));
const say = (line: string): void => void process.stdout.write(`${line}\n`);

interface Sample {
  /** Hours from the first one. */
  readonly at: number;
  readonly figures: Figures;
}

async function main(): Promise<boolean> {
  say(`endurance of ${values.minutes} minutes with seed ${seed}`);
  const [dataDir, temporary, films] = await Promise.all(
    ["data", "tmp", "films"].map(async (each) => await temporaryFolder(`tritontube-endurance-${each}-`)),
  );
  const tube = await startTritonTube({ dataDir: dataDir!, env: { ...SETTINGS, TMPDIR: temporary! } });
  const postgres = await startPostgres({ dataDir: dataDir!, log: () => {} });
  const db = new Pool({ connectionString: postgres.url, max: 2, application_name: "endurance" });
  const watched = await inspect(tube);
  try {
    const stage = await prepare(tube, dataDir!, films!);
    return await endure({ tube, ...watched, db, temporary: temporary! }, stage);
  } finally {
    for (const { inspector } of [watched, ...watched.disks]) inspector.close();
    await db.end();
    await tube.stop();
    await Promise.all([dataDir!, temporary!, films!].map(removeFolder));
  }
}

/** Somebody who may do everything to videos, a film to watch, and a clip to upload again and again. */
async function prepare({ url }: TritonTube, dataDir: string, folder: string): Promise<Stage> {
  await addUser(dataDir);
  const http = new Http(url);
  const page = { "Content-Type": "application/json", Origin: url };
  const signedIn = await http.ask("POST", "/api/v1/session", { headers: page, body: JSON.stringify({ name: NAME, password: PASSWORD }) });
  const cookie = signedIn.headers["set-cookie"]?.[0]?.split(";")[0] ?? "";
  const made = await http.ask("POST", "/api/v1/tokens", {
    headers: { ...page, cookie },
    body: JSON.stringify({ name: "endurance", days: 1 }),
  });
  const { secret } = dataOf(made.body) as { secret: string };
  const person: Person = { name: NAME, password: PASSWORD, headers: { Authorization: `Bearer ${secret}` } };
  const [film, tiny] = await Promise.all(
    [
      { seconds: 24, size: "640x360" },
      { seconds: 1, size: "128x72" },
    ].map(async (of) => await readFile(await makeSource(folder, of))),
  );
  const taken = await http.ask("POST", "/api/v1/videos/upload?title=film", {
    headers: { ...person.headers, "Content-Type": "video/mp4" },
    body: film!,
  });
  const { id } = dataOf(taken.body) as { id: string };
  const ready = async (): Promise<boolean> =>
    (dataOf((await http.ask("GET", `/api/v1/videos/${id}`)).body) as { status: string }).status === "ready";
  await eventually(ready, { timeoutMs: FILM_MS, what: "the film" });
  return { http, person, film: id, tiny: tiny! };
}

async function addUser(dataDir: string): Promise<void> {
  const script = join(import.meta.dirname, "../../deploy/local/user-add.ts");
  const child = spawn(process.execPath, [script, "--name", NAME, "--role", "uploader"], {
    env: { ...process.env, DATA_DIR: dataDir },
    stdio: ["pipe", "ignore", "inherit"],
  });
  child.stdin.end(PASSWORD);
  await once(child, "exit");
}

function dataOf(body: Buffer): unknown {
  return (JSON.parse(body.toString()) as { data: unknown }).data;
}

async function endure(watched: Watched, stage: Stage): Promise<boolean> {
  const crowd = new Crowd(stage, randomFrom(seed));
  const samples: Sample[] = [];
  const began = performance.now();
  while (performance.now() - began < Number(values.minutes) * 60_000) {
    await crowd.round(ROUND_MS);
    await expireUploads(watched.db);
    samples.push({ at: (performance.now() - began) / 3_600_000, figures: await look(watched) });
    tellRound(samples);
  }
  await crowd.end();
  await stage.http.ask("DELETE", `/api/v1/videos/${stage.film}?purge=true`, { headers: stage.person.headers });
  const left = await leftovers(watched);
  const grown = tellGrowth(samples);
  tellCrowd(crowd);
  const faults = [...grown.map((what) => `it grows: ${what}`), ...left, ...crowd.mistakes];
  for (const fault of faults.slice(0, 50)) say(`FAULT: ${fault}`);
  say(`${faults.length} faults`);
  return faults.length === 0;
}

function tellRound(samples: readonly Sample[]): void {
  const { at, figures } = samples.at(-1)!;
  const short = Object.entries(figures).map(([what, value]) => `${what} ${rounded(value)}`);
  say(`${String(Math.round(at * 3600)).padStart(5)} s: ${short.join(" · ")}`);
}

/** Names what has grown. */
function tellGrowth(samples: readonly Sample[]): string[] {
  const warm = samples.slice(Math.floor(samples.length * WARM_UP));
  say(`${warm.length} looks after the warm-up; the line through them, and its growth in an hour with an interval of 95 %:`);
  return Object.keys(warm[0]!.figures).filter((what) => {
    const slope = slopeOf(warm.map(({ at, figures }) => [at, figures[what]!] as const));
    say(`${what.padEnd(32)}${inWords(slope)}`);
    return what !== COMPILED && slope.low > GROWTH_MAX * slope.from;
  });
}

function inWords({ from, to, slope, low, high }: Slope): string {
  const line = `${rounded(from)} to ${rounded(to)}`.padEnd(22);
  return `${line}${rounded(slope)} an hour (${rounded(low)} to ${rounded(high)})`;
}

function tellCrowd({ counts, statuses }: Crowd): void {
  for (const [what, count] of Object.entries(counts).toSorted(([a], [b]) => a.localeCompare(b)))
    say(`${what.padEnd(44)}${String(count).padStart(8)}`);
  say(`statuses ${JSON.stringify(statuses)}`);
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

process.exit((await main()) ? 0 : 1);
