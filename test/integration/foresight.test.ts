/** Videos that are watched while they are still being uploaded: real uploads, disks, queue and ffmpeg. */
import { randomUUID } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { one } from "../../mixins/database/sql.ts";
import { onlyPerson as as } from "../../services/kernel/principal.ts";
import { call } from "../../services/kernel/rpc.ts";
import { SEGMENT_BATCH_MAX } from "../../services/kernel/limits.ts";
import transcoderService from "../../services/transcoder/transcoder.service.ts";
import { uploads, type UploadHold } from "../../services/uploads/contract.ts";
import uploadsService from "../../services/uploads/uploads.service.ts";
import { videos, type Video } from "../../services/videos/contract.ts";
import videosService from "../../services/videos/videos.service.ts";
import { startCluster, type Cluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { runningPrograms } from "../support/ffmpeg.ts";
import { describeWith } from "../support/neighbours.ts";
import { Sources } from "../support/sources.ts";
import { removeFolder, temporaryFolder } from "../support/tritontube.ts";
import { typeOf } from "../support/videos.ts";
import { watch } from "../support/watch.ts";

/** A conversion of a minute of small pictures, on a machine that others use. */
const WORK_MS = 240_000;
const PART_BYTES = 100_000;

let folder: string;
let sources: Sources;
let cluster: Cluster;

interface Sending {
  readonly upload: string;
  readonly video: string;
  /** Sends what is missing of so many bytes. */
  readonly until: (bytes: number) => Promise<void>;
}

async function begin(bytes: Buffer): Promise<Sending> {
  const [upload, video] = [randomUUID(), randomUUID()];
  await call(cluster.broker, videos.reserve, { as, id: video, title: "A film", filename: "film.mp4", size: bytes.length });
  await call(cluster.broker, uploads.create, { id: upload, as, madeBy: "test", metadata: "", video, length: bytes.length });
  let sent = 0;
  return {
    upload,
    video,
    until: async (end) => {
      const hold: UploadHold = { id: upload, fence: (await call(cluster.broker, uploads.hold, { as, id: upload })).fence };
      for (; sent < end; sent = Math.min(end, sent + PART_BYTES)) {
        const part = await cluster.write(bytes.subarray(sent, Math.min(end, sent + PART_BYTES)));
        await call(cluster.broker, uploads.append, { hold, start: sent, parts: [{ blob: part.blob, size: part.size }] });
      }
      await call(cluster.broker, uploads.release, { hold });
    },
  };
}

const read = async (id: string): Promise<Video> => await call(cluster.broker, videos.get, { as, id });
const count = async (what: string, id: string): Promise<number> =>
  (await one<{ count: number }>(cluster.db, `select count(*)::integer as count from ${what} where video_id = $1`, [id]))?.count ?? -1;

async function until(id: string, what: string, condition: (video: Video) => boolean): Promise<Video> {
  return await eventually(
    async () => {
      const video = await read(id);
      if (video.status === "failed") throw new Error(JSON.stringify(video.error));
      return condition(video) ? video : undefined;
    },
    { timeoutMs: WORK_MS, what },
  );
}

/** The numbers of the frames of a rendition, as a player gets them. */
async function framesOf(id: string, name: string): Promise<number[]> {
  const { revision, renditions } = await call(cluster.broker, videos.playback, { id });
  const { init } = renditions.find((each) => each.name === name)!;
  const range = { id, revision, rendition: name, from: 1, count: SEGMENT_BATCH_MAX };
  const segments = await call(cluster.broker, videos.segments, range);
  const path = join(folder, `${id}.mp4`);
  await writeFile(path, Buffer.concat(await Promise.all([init, ...segments].map(async ({ blob }) => await cluster.read(blob)))));
  return (await watch(path, { hasSound: false })).frames.map(({ number }) => number);
}

describeWith(["ffmpeg", "ffprobe"], "a video that is still being uploaded", () => {
  beforeAll(async () => {
    folder = await temporaryFolder("tritontube-foresight-");
    sources = new Sources(folder, "http://127.0.0.1:9");
    cluster = await startCluster({ services: [videosService, uploadsService, transcoderService] });
  }, 120_000);
  afterAll(async () => {
    await cluster.stop();
    expect(await runningPrograms()).toEqual([]);
    await removeFolder(folder);
  });

  it("plays as far as it has come, where its index comes first, and has every frame once when it is ready", async () => {
    const bytes = await readFile(await sources.path("long-faststart.mp4"));
    const { video, until: send } = await begin(bytes);
    await send(Math.floor(bytes.length * 0.6));
    const playing = await until(video, "the first seconds", ({ playable }) => playable);
    expect(playing).toMatchObject({ status: "uploading", duration: 40, width: 320, videoCodec: "h264", audioCodec: "aac" });
    // Spans are made side by side: there may be a gap for a while.
    const first = Array.from({ length: 300 }, (_, number) => number);
    const middle = async () => {
      const frames = await framesOf(video, "240p");
      return first.every((number) => frames[number] === number);
    };
    await eventually(middle, { timeoutMs: WORK_MS, what: "what can be made of 60 %" });
    // The end is promised, and cannot be there.
    const { revision, renditions } = await call(cluster.broker, videos.playback, { id: video });
    const last = renditions[0]!.runs.reduce((sum, [segments]) => sum + segments, 0);
    expect(await call(cluster.broker, videos.want, { id: video, revision, rendition: renditions[0]!.name, number: last })).toBeNull();
    expect((await read(video)).status).toBe("uploading");

    await send(bytes.length);
    await until(video, "the end", ({ status }) => status === "ready");
    expect(await one(cluster.db, "select 1 from jobs where video_id = $1 and kind = 'video.inspect'", [video])).toBeUndefined();
    expect((await call(cluster.broker, videos.playback, { id: video })).revision).toBe(revision);
    expect(await framesOf(video, "240p")).toEqual(Array.from({ length: 1200 }, (_, number) => number));
    expect((await call(cluster.broker, videos.source, { as, id: video })).size).toBe(bytes.length);
  }, 600_000);

  it("leaves nothing when its upload is ended", async () => {
    const bytes = await readFile(await sources.path("long-faststart.mp4"));
    const { video, upload, until: send } = await begin(bytes);
    await send(Math.floor(bytes.length * 0.6));
    await until(video, "the first seconds", ({ playable }) => playable);
    await call(cluster.broker, uploads.remove, { as, id: upload });
    expect(await Promise.all(["jobs", "renditions", "segments"].map(async (table) => await count(table, video)))).toEqual([0, 0, 0]);
    await eventually(async () => (await runningPrograms()).length === 0, { timeoutMs: WORK_MS, what: "the end of ffmpeg" });
    // Nothing names what was made, or what had come.
    expect(await one(cluster.db, "select 1 from upload_parts where upload_id = $1", [upload])).toBeUndefined();
    expect(await typeOf(read(video))).toBe("VIDEO_NOT_FOUND");
  }, 600_000);

  it("waits for its last byte where its index comes last", async () => {
    const bytes = await readFile(await sources.path("plain.mp4"));
    const { video, until: send } = await begin(bytes);
    await send(bytes.length - 1);
    const looked = async () =>
      (await one(cluster.db, "select 1 from jobs where video_id = $1 and kind = 'video.foresee' and state = 'done'", [video])) !==
      undefined;
    await eventually(looked, { timeoutMs: WORK_MS, what: "the look at what has come" });
    expect(await read(video)).toMatchObject({ status: "uploading", playable: false, duration: null });
    await send(bytes.length);
    await until(video, "the end", ({ status }) => status === "ready");
  }, 600_000);
});
