/**
 * Transcoders that are killed in the middle of their work, again and again: no video is lost by it, none has another frame, and nothing is left
 * behind. `npm run test:kill` kills 20 times over 10 videos; SEED=… makes the choices of a run again.
 */
import { fork, type ChildProcess } from "node:child_process";
import { randomInt, randomUUID } from "node:crypto";
import { once } from "node:events";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { childEnvironment, loadConfig } from "../../config/index.ts";
import { one, rows } from "../../mixins/database/sql.ts";
import jobsService from "../../services/jobs/jobs.service.ts";
import { SEGMENT_BATCH_MAX } from "../../services/kernel/limits.ts";
import { onlyPerson } from "../../services/kernel/principal.ts";
import { call } from "../../services/kernel/rpc.ts";
import { randomFrom } from "../../services/ring/domain/random.ts";
import { videos } from "../../services/videos/contract.ts";
import videosService from "../../services/videos/videos.service.ts";
import { eventually } from "../support/eventually.ts";
import { another } from "../support/media.ts";
import { describeWith } from "../support/neighbours.ts";
import { Sources } from "../support/sources.ts";
import { removeFolder, temporaryFolder } from "../support/tritontube.ts";
import { startQuietCluster, type QuietCluster } from "../support/upkeep.ts";
import { watch } from "../support/watch.ts";

const VIDEOS = Number(process.env["VIDEOS"] ?? 2);
const KILLS = Number(process.env["KILLS"] ?? 4);
const SEED = process.env["SEED"] ?? String(randomInt(1_000_000_000));
const TRANSCODERS = 2;
/** Before a kill up to so many jobs come to their end: each attempt that dies counts, and a job is given up after five. */
const JOBS_PER_KILL = 4;
/** And then somewhere in the middle of the next. */
const MOMENT_MS = 700;
const PATIENCE_MS = 400_000;

/** Many spans, one span, with and without sound, of several kinds. */
const kinds = [
  "one-keyframe.mp4",
  "starts-at-1.4-s.ts",
  "portrait.mp4",
  "many-b-frames.mp4",
  "vp9-opus.webm",
  "starts-at-5-s.mkv",
  "no-audio.mp4",
];

const NEEDED = `select encode(id, 'hex') as id from (
  select source_blob from videos union select thumbnail_blob from videos union select storyboard_blob from videos
  union select init_blob from renditions union select blob from segments) as named (id) where id is not null order by 1`;

class Transcoder {
  readonly #environment: Record<string, string>;
  #child: ChildProcess | undefined;

  constructor(environment: Record<string, string>) {
    this.#environment = environment;
  }

  async start(): Promise<void> {
    const child = fork(join(import.meta.dirname, "../support/transcoder.ts"), { env: this.#environment, execArgv: [] });
    this.#child = child;
    await once(child, "message", { signal: AbortSignal.timeout(PATIENCE_MS) });
  }

  async end(how: "kill" | "ask"): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    if (how === "kill") child.kill("SIGKILL");
    else child.send("stop");
    await exit;
  }
}

describeWith(["ffmpeg", "ffprobe"], "transcoders that are killed", () => {
  let folder: string;
  let cluster: QuietCluster;
  let transcoders: readonly Transcoder[];
  let sources: Sources;

  beforeAll(async () => {
    process.stdout.write(`SEED=${SEED}\n`);
    folder = await temporaryFolder("tritontube-kill-");
    sources = new Sources(folder, "http://127.0.0.1:9");
    cluster = await startQuietCluster({ services: [jobsService, videosService] });
    const { DATABASE_URL, DISK_SECRET } = loadConfig();
    const environment = childEnvironment({
      DATABASE_URL,
      DISK_SECRET,
      DATABASE_POOL: "4",
      TMPDIR: folder,
      X264_PRESET: "ultrafast",
      NODE_OPTIONS: "",
    });
    transcoders = Array.from({ length: TRANSCODERS }, () => new Transcoder(environment));
    await Promise.all(transcoders.map(async (transcoder) => await transcoder.start()));
  }, PATIENCE_MS);
  afterAll(async () => {
    await Promise.all(transcoders.map(async (transcoder) => await transcoder.end("kill")));
    await cluster.stop();
    await removeFolder(folder);
  }, PATIENCE_MS);

  const count = async (what: string) => (await one<{ count: number }>(cluster.db, `select count(*)::integer as count ${what}`))!.count;
  const unfinished = "from jobs where state in ('queued', 'running')";

  async function upload(name: string): Promise<string> {
    const id = randomUUID();
    const source = await cluster.write(another(await readFile(await sources.path(name))));
    await call(cluster.broker, videos.create, { as: onlyPerson, id, title: name, filename: name, source });
    return id;
  }

  async function assembled(id: string): Promise<string> {
    const { revision, renditions } = await call(cluster.broker, videos.playback, { id });
    const { name, init } = renditions.filter(({ kind }) => kind === "video").toSorted((a, b) => a.height - b.height)[0]!;
    const range = { id, revision, rendition: name, from: 1, count: SEGMENT_BATCH_MAX };
    const segments = await call(cluster.broker, videos.segments, range);
    const path = join(folder, `${id}.mp4`);
    const parts = [];
    for (const { blob } of [init, ...segments]) parts.push(await cluster.read(blob));
    await writeFile(path, Buffer.concat(parts));
    return path;
  }

  it(`leave ${VIDEOS} videos whole after ${KILLS} kills, and nothing else: no blob, no process`, async () => {
    const random = randomFrom(SEED);
    const chosen = Array.from({ length: VIDEOS }, (_, index) => kinds[(index + Math.floor(random() * kinds.length)) % kinds.length]!);
    const uploaded: { id: string; name: string }[] = [];
    for (let kills = 0; kills < KILLS; kills++) {
      const due = Math.ceil(((kills + 1) * VIDEOS) / KILLS);
      for (const name of chosen.slice(uploaded.length, due)) uploaded.push({ id: await upload(name), name });
      const done = (await count("from jobs where state = 'done'")) + Math.floor(random() * JOBS_PER_KILL) + 1;
      const worked = async () => (await count("from jobs where state = 'done'")) >= done || (await count(unfinished)) === 0;
      await eventually(worked, { timeoutMs: PATIENCE_MS, what: "some jobs to be done" });
      const at = performance.now() + random() * MOMENT_MS;
      await eventually(() => performance.now() >= at, { what: "the moment of the kill" });
      const victim = transcoders[Math.floor(random() * TRANSCODERS)]!;
      await victim.end("kill");
      await victim.start();
    }
    await eventually(async () => (await count(unfinished)) === 0, { timeoutMs: PATIENCE_MS, what: "the end of all work" });
    for (const { id, name } of uploaded) await expectWhole(id, name);

    await Promise.all(transcoders.map(async (transcoder) => await transcoder.end("ask")));
    await eventually(async () => (await programsIn(folder)).length === 0, { what: "the end of every ffmpeg" });
    const stored = (await cluster.blobs()).length;
    await cluster.collectAll();
    const needed = await rows<{ id: string }>(cluster.db, NEEDED);
    expect((await cluster.blobs()).toSorted()).toEqual(needed.map(({ id }) => id));
    process.stdout.write(`${KILLS} kills, ${uploaded.length} videos, ${stored - needed.length} blobs of dead work collected\n`);
    await eventually(async () => await cluster.isTidy(), { timeoutMs: PATIENCE_MS, what: "disks that hold what the rows say" });
  }, 1_200_000);

  async function expectWhole(id: string, name: string): Promise<void> {
    const { status, error } = await call(cluster.broker, videos.get, { as: onlyPerson, id });
    expect([name, status, error]).toEqual([name, "ready", null]);
    const original = await watch(await sources.path(name), { hasSound: false });
    const made = await watch(await assembled(id), { hasSound: false });
    expect(made.frames.map(({ number }) => number)).toEqual(original.frames.map(({ number }) => number));
    const step = (original.frames.at(-1)!.time - original.frames[0]!.time) / (original.frames.length - 1);
    for (const [index, { time }] of made.frames.entries()) expect(Math.abs(time - index * step)).toBeLessThan(step / 2);
  }
});

/** Processes that name this folder in their command line. */
async function programsIn(folder: string): Promise<string[]> {
  const ids = (await readdir("/proc")).filter((name) => /^[0-9]+$/.test(name));
  const commands = await Promise.all(ids.map(async (id) => await readFile(`/proc/${id}/cmdline`, "utf8").catch(() => "")));
  return commands.filter((command) => command.includes(folder));
}
