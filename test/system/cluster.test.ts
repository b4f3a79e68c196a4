/** `npm run cluster` as a developer starts it: processes that find each other, and others that come and go while videos are made. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { rows } from "../../mixins/database/sql.ts";
import { openDatabase, closeDatabase, type Database } from "../../mixins/database/connection.ts";
import { startPostgres } from "../../deploy/local/postgres.ts";
import { getVideo, untilStatus, uploadFile } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import { countFrames, decodeFrames, makeSource } from "../support/media.ts";
import { describeWith } from "../support/neighbours.ts";
import { isAlive, removeFolder, startTritonTube, temporaryFolder, type TritonTube } from "../support/tritontube.ts";

/** Many spans, so that there is work for who comes later. */
const SECONDS = 30;
const PATIENCE_MS = 240_000;
const OPERATOR = join(import.meta.dirname, "../../deploy/operator/main.ts");

/** `npm run repl -- …` beside the launcher. */
async function askOperator(dataDir: string, command: string): Promise<string> {
  const env = { ...process.env, DATA_DIR: dataDir, NODE_OPTIONS: "", NATS_URL: "" };
  return (await promisify(execFile)(process.execPath, [OPERATOR, command], { env })).stdout;
}

describeWith(["nats-server", "ffmpeg", "ffprobe"], "a cluster of processes", () => {
  let folder: string;
  let cluster: TritonTube;
  let gateways: readonly string[];
  let db: Database;

  beforeAll(async () => {
    folder = await temporaryFolder("tritontube-cluster-");
    const wishes = ["--gateways", "2", "--transcoders", "1", "--videos", "1"];
    cluster = await startTritonTube({
      launcher: "cluster.ts",
      wishes,
      env: { TRANSCODER_SLOTS: "1", X264_PRESET: "ultrafast", LOG_LEVEL: "warn" },
    });
    gateways = [...(/ready: open (.*) \(data/.exec(cluster.output())?.[1] ?? "").matchAll(/http:\/\/[0-9.:]+/g)].map(([url]) => url);
    const { serviceUrl } = await startPostgres({ dataDir: cluster.dataDir, log: () => {} });
    db = openDatabase(serviceUrl, { connectionsMax: 2 });
  }, PATIENCE_MS);
  afterAll(async () => {
    await closeDatabase();
    await cluster.kill();
    await Promise.all([removeFolder(cluster.dataDir), removeFolder(folder)]);
  }, PATIENCE_MS);

  const ask = async (command: string): Promise<string> => await askOperator(cluster.dataDir, command);

  /** Process ids, as the launcher has told them. */
  const told = (): number[] => [...cluster.output().matchAll(/: process ([0-9]+)/g)].map(([, pid]) => Number(pid));

  it(
    "shows through each gateway what came in by the other",
    async () => {
      expect(gateways).toHaveLength(2);
      const source = await makeSource(folder, { seconds: 4 });
      const { id } = await uploadFile(gateways[0]!, source);
      await untilStatus(gateways[1]!, id, ["ready"], PATIENCE_MS);
      expect(await decodeFrames(`${gateways[1]}/api/v1/videos/${id}/master.m3u8`)).toBe(await countFrames(source));
    },
    PATIENCE_MS,
  );

  it("is seen whole by an operator: its nodes, its work, its videos", async () => {
    const status = JSON.parse(await ask("status --json")) as Record<string, string>;
    expect(status).toMatchObject({
      disks: "4 up",
      ring: "epoch 1",
      videos: "1",
      transcoders: expect.stringMatching(/^1, \d of 1 slots busy$/) as unknown,
    });
    const { nodes } = JSON.parse(await ask("nodes --json")) as { nodes: { id: string; up: boolean; services: string[] }[] };
    expect(nodes.map(({ id }) => id)).toEqual(["gateway-1", "gateway-2", "launcher", "ring-1", "transcoder-1", "videos-1"]);
    expect(nodes.find(({ id }) => id === "transcoder-1")).toMatchObject({ up: true, services: ["storage", "transcoder"] });
    const { videos } = JSON.parse(await ask("videos --json")) as { videos: { id: string }[] };
    expect(await ask("videos")).toContain(videos[0]!.id);
    const video = await ask(`video ${videos[0]!.id}`);
    expect(video).toMatch(/^source-1280x720-4s.mp4: ready, (\d+) of \1 spans\n/);
    expect(video).toMatch(/zone1 +1$/m);
    expect(Number(/^processors: ([0-9.]+) s, [0-9.]+ for each second of the video$/m.exec(video)?.[1])).toBeGreaterThan(0.5);
    expect(await ask("jobs")).toMatch(/^video\.span +0 +0 +0 +–$/m);
    expect(await ask("transcoders")).toMatch(/^transcoder-1 +0 +1 +ffmpeg version/m);
    expect(await ask("config")).not.toContain("postgres://");
  }, 240_000);

  it(
    "gives a transcoder that joins work, and loses no span when it is asked to end",
    async () => {
      const source = await makeSource(folder, { seconds: SECONDS });
      const { id } = await uploadFile(gateways[0]!, source);
      const joined = await startTritonTube({
        dataDir: cluster.dataDir,
        env: {
          SERVICES: "transcoder,storage",
          NODE_ID: "late",
          NATS_URL_FILE: `${cluster.dataDir}/nats/url`,
          DISK_SECRET_FILE: `${cluster.dataDir}/secrets/disk`,
          TRANSCODER_SLOTS: "1",
          X264_PRESET: "ultrafast",
        },
      });
      const began = performance.now();
      const spans = async () =>
        await rows<{ state: string; worker: string | null }>(
          db,
          "select state, worker from jobs where video_id = $1 and kind = 'video.span'",
          [id],
        );
      const its = async () => (await spans()).filter(({ worker, state }) => worker === "late/transcoder" && state === "running");
      await eventually(async () => (await its()).length > 0, { timeoutMs: PATIENCE_MS, what: "the late transcoder to have work" });
      process.stdout.write(`${Math.round(performance.now() - began)} ms after it was there, the late transcoder had work\n`);
      expect(await joined.stop()).toBe(0);
      await untilStatus(gateways[1]!, id, ["ready"], PATIENCE_MS);
      const done = await spans();
      expect(new Set(done.map(({ state }) => state))).toEqual(new Set(["done"]));
      expect(await decodeFrames(`${gateways[0]}/api/v1/videos/${id}/manifest.mpd`)).toBe(await countFrames(source));
    },
    2 * PATIENCE_MS,
  );

  it(
    "starts again what was killed, and leaves nothing behind when it is stopped",
    async () => {
      const before = told();
      expect(before.length).toBeGreaterThanOrEqual(10);
      const gateway = Number(/gateway-1: process ([0-9]+)/.exec(cluster.output())?.[1]);
      process.kill(gateway, "SIGKILL");
      const videos = async () => await fetch(`${gateways[0]}/api/v1/videos`);
      await eventually(async () => !(await isAlive(gateway)) && (await videos()).ok, { what: "another process in its place" });
      const { data } = (await (await videos()).json()) as { data: { id: string }[] };
      expect(data).toHaveLength(2);
      expect(await getVideo(gateways[0]!, data[0]!.id)).toMatchObject({ status: "ready" });
      await closeDatabase();
      expect(await cluster.stop()).toBe(0);
      expect((await Promise.all(before.map(async (pid) => await isAlive(pid)))).filter((alive) => alive)).toEqual([]);
    },
    PATIENCE_MS,
  );
});
