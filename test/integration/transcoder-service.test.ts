/** The transcoder with the real catalogue, the real queue and real ffmpeg; only the disks are a map in memory. */
import { createHash, randomUUID } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import type { ServiceBroker, ServiceSchema } from "moleculer";
import { openDatabase } from "../../mixins/database/connection.ts";
import { execute, one, type Database, rows } from "../../mixins/database/sql.ts";
import jobsService from "../../services/jobs/jobs.service.ts";
import { failure } from "../../services/kernel/errors.ts";
import { onlyPerson } from "../../services/kernel/principal.ts";
import { call, implement } from "../../services/kernel/rpc.ts";
import { storage, type StoredBlob } from "../../services/storage/contract.ts";
import { transcoder } from "../../services/transcoder/contract.ts";
import transcoderService from "../../services/transcoder/transcoder.service.ts";
import { videos, type Video, type VideoStatus } from "../../services/videos/contract.ts";
import videosService from "../../services/videos/videos.service.ts";
import { eventually } from "../support/eventually.ts";
import { ffprobe, runningPrograms } from "../support/ffmpeg.ts";
import { another } from "../support/media.ts";
import { describeWith } from "../support/neighbours.ts";
import { testDatabase, type TestDatabase } from "../support/postgres.ts";
import { startServices } from "../support/services.ts";
import { Sources } from "../support/sources.ts";
import { removeFolder, temporaryFolder } from "../support/tritontube.ts";
import { typeOf } from "../support/videos.ts";
import { watch } from "../support/watch.ts";

/** A conversion of seconds of small pictures, on a busy machine. */
const WORK_MS = 150_000;

let folder: string;
let sources: Sources;
let database: TestDatabase;
let db: Database;
let broker: ServiceBroker;
const blobs = new Map<string, Uint8Array>();
/** What the next reads or writes of the storage are to fail with. */
const faults: Error[] = [];

async function store(bytes: Uint8Array): Promise<StoredBlob> {
  const blob = createHash("sha256").update(bytes).digest("hex");
  blobs.set(blob, bytes);
  await execute(db, "insert into blobs (id, size, chunks) values (decode($1, 'hex'), $2, decode($1, 'hex')) on conflict do nothing", [
    blob,
    bytes.length,
  ]);
  return { blob, size: bytes.length };
}

function bytesOf(blob: string): Uint8Array {
  const fault = faults.shift();
  if (fault) throw fault;
  const bytes = blobs.get(blob);
  if (!bytes) throw failure("BLOB_NOT_FOUND", blob);
  return bytes;
}

const unused = async (): Promise<never> => await Promise.reject(failure("INTERNAL", "The transcoder has no business with this action."));

const memoryStorage: ServiceSchema = {
  name: "storage",
  actions: implement()(storage, {
    read: async ({ blob, start, end }) => Readable.from([bytesOf(blob).subarray(start, end)]),
    put: async ({ bytes }) => await store(bytes),
    write: unused,
    fetch: unused,
    stat: unused,
    copy: unused,
    holds: unused,
    list: unused,
    digests: unused,
    erase: unused,
  }),
};

async function upload(name: string): Promise<string> {
  const id = randomUUID();
  const source = await store(another(await readFile(await sources.path(name))));
  await call(broker, videos.create, { as: onlyPerson, id, title: name, filename: name, source });
  return id;
}

/** A video of which the first segments are stored, and many are not. */
async function halfMade(): Promise<string> {
  const id = await upload("long.mp4");
  const begun = async () =>
    (await call(broker, videos.status, { as: onlyPerson, id })).renditions.some(({ segmentsDone }) => segmentsDone > 0);
  await eventually(begun, { timeoutMs: WORK_MS, what: "the first segment" });
  return id;
}

async function until(id: string, status: VideoStatus): Promise<Video> {
  return await eventually<Video | undefined>(
    async () => {
      const video = await call(broker, videos.get, { as: onlyPerson, id });
      if (video.status !== status && ["ready", "failed"].includes(video.status))
        throw new Error(JSON.stringify(video.error ?? video.status));
      return video.status === status ? video : undefined;
    },
    { timeoutMs: WORK_MS, what: `the status ${status}` },
  );
}

describeWith(["ffmpeg", "ffprobe"], "the transcoder service", () => {
  beforeAll(async () => {
    folder = await temporaryFolder("tritontube-transcoder-");
    sources = new Sources(folder, "http://127.0.0.1:9");
    database = await testDatabase();
    db = openDatabase(database.url, { connectionsMax: 8 });
    broker = await startServices(database.url, jobsService, videosService, memoryStorage, transcoderService);
  });
  afterAll(async () => {
    await broker.stop();
    expect(await runningPrograms()).toEqual([]);
    await database.drop();
    await removeFolder(folder);
  });

  it("makes a video ready: facts, segments of every rendition, a poster", async () => {
    const id = await upload("plain.mp4");
    const video = await until(id, "ready");
    expect(video).toMatchObject({
      width: 640,
      height: 360,
      frameRate: 30,
      container: "mp4",
      videoCodec: "h264",
      audioCodec: "aac",
      hasThumbnail: true,
      error: null,
    });
    const { renditions, frameRate } = await call(broker, videos.playback, { id });
    expect(frameRate).toEqual([30, 1]);
    expect(renditions.map(({ name, codecs, timescale, runs }) => [name, codecs.slice(0, 5), timescale, runs.length])).toEqual(
      expect.arrayContaining([
        ["240p", "avc1.", 15_360, 1],
        ["360p", "avc1.", 15_360, 1],
        ["audio", "mp4a.", 48_000, 2],
      ]),
    );
    const { blob } = await call(broker, videos.thumbnail, { id });
    expect(Buffer.from(bytesOf(blob)).toString("hex", 0, 3)).toBe("ffd8ff");
  }, 300_000);

  it.each([
    ["several-tracks.mkv", "de"],
    ["time-code.mov", "und"],
  ])("makes captions of the lines of text that %s brings along", async (name, language) => {
    const id = await upload(name);
    await until(id, "ready");
    const captions = async (): Promise<readonly string[]> => (await call(broker, videos.get, { as: onlyPerson, id })).captions;
    await eventually(async () => (await captions()).length > 0, { timeoutMs: WORK_MS, what: "its captions" });
    expect(await captions()).toEqual([language]);
    const { blob } = await call(broker, videos.captions, { id, language });
    expect(Buffer.from(bytesOf(blob)).toString()).toBe("WEBVTT\n\n00:00:00.500 --> 00:00:02.000\nA line.\n");
  });

  it("takes exactly the frame that is asked for, several at once and not too many", async () => {
    const id = await upload("plain.mp4");
    await until(id, "ready");
    const { revision, renditions } = await call(broker, videos.playback, { id });
    const { init, name } = renditions.find(({ height }) => height === 360)!;
    const [third] = await call(broker, videos.segments, { id, revision, rendition: name, from: 3, count: 1 });
    const segment = { blob: third!.blob, size: third!.size };
    const still = async (frame: number): Promise<StoredBlob> =>
      // How long people wait is not what is measured here: a starved machine may take its time.
      await broker.call<StoredBlob, object>(transcoder.still.name, { init, segment, frame }, { timeout: WORK_MS });
    const path = join(folder, "still.jpg");
    for (const frame of [0, 7, 29]) {
      await writeFile(path, bytesOf((await still(frame)).blob));
      expect((await watch(path, { hasSound: false })).frames.map(({ number }) => number)).toEqual([60 + frame]);
    }
    expect(await typeOf(still(30))).toBe("TRANSCODE_FAILED");
    const crowd = await Promise.all(Array.from({ length: 25 }, async (_, frame) => (await typeOf(still(frame))) ?? "taken"));
    expect(crowd.filter((end) => end === "TOO_BUSY")).toHaveLength(25 - 18);
    expect(crowd.filter((end) => end === "taken")).toHaveLength(18);
  }, 300_000);

  it("makes a storyboard when a video is ready, with a picture of each segment", async () => {
    const id = await upload("plain.mp4");
    await until(id, "ready");
    await eventually(async () => (await call(broker, videos.get, { as: onlyPerson, id })).hasStoryboard, {
      timeoutMs: WORK_MS,
      what: "a storyboard",
    });
    const { blob, starts, ...about } = await call(broker, videos.storyboard, { id });
    expect({ starts, ...about }).toMatchObject({ columns: 5, width: 160, height: 90, starts: [0, 1, 2, 3, 4], duration: 5 });
    const path = join(folder, "storyboard.jpg");
    await writeFile(path, bytesOf(blob));
    expect(await ffprobe(path, "v", "codec_name,width,height")).toEqual({ codec_name: "mjpeg", width: "800", height: "90" });
    expect((await call(broker, videos.status, { as: onlyPerson, id })).stages.map(({ name }) => name)).toEqual([
      "inspect",
      "video",
      "audio",
      "picture",
    ]);
  }, 300_000);

  it.each([
    ["text.mp4", "SOURCE_NOT_MEDIA", undefined],
    ["pixel-bomb.mp4", "SOURCE_TOO_BIG", expect.stringContaining("max pixel count")],
    ["audio-only.m4a", "SOURCE_WITHOUT_PICTURE", undefined],
    ["gap-bomb.mp4", "SOURCE_TOO_COMPLEX", undefined],
  ])("fails %s at the first attempt as %s, and keeps ffmpeg's words for operators", async (name, type, log) => {
    const id = await upload(name);
    const { error } = await until(id, "failed");
    expect(error?.code).toBe(type);
    expect(error?.message).not.toMatch(/0x[0-9a-f]{4}/);
    const job = await one<{ attempts: number; failure: { log?: string } }>(db, "select attempts, failure from jobs where video_id = $1", [
      id,
    ]);
    expect(job).toMatchObject({ attempts: 1, failure: { type } });
    expect(job?.failure.log).toEqual(log);
  });

  it("tries again when the disks fail, and then makes the video without loss of an attempt", async () => {
    faults.push(failure("DISK_UNAVAILABLE", "as the test wants it"));
    const id = await upload("tiny.mp4");
    await eventually(async () => (await one<{ failure: unknown }>(db, "select failure from jobs where video_id = $1", [id]))?.failure, {
      what: "the failure",
    });
    await execute(db, "update jobs set run_at = now() where video_id = $1", [id]);
    expect((await until(id, "ready")).error).toBeNull();
    expect((await call(broker, videos.status, { as: onlyPerson, id })).attempts).toBe(1);
  }, 300_000);

  it("ends ffmpeg when the video is deleted, and goes on with others", async () => {
    const id = await halfMade();
    expect(await call(broker, transcoder.info, {})).toMatchObject({ ffmpeg: expect.stringMatching(/^ffmpeg version/), slots: 2 });
    await call(broker, videos.remove, { as: onlyPerson, id });
    await eventually(async () => (await runningPrograms()).length === 0, { what: "the end of ffmpeg" });
    await until(await upload("tiny.mp4"), "ready");
  }, 300_000);

  it("plans a video anew that an older program has planned, and loses none of it", async () => {
    const id = await halfMade();
    await execute(db, "update jobs set payload = payload || '{\"version\": 1}' where video_id = $1 and state = 'queued'", [id]);
    await until(id, "ready");
    const { revision, renditions } = await call(broker, videos.playback, { id });
    expect(revision).toBe(2);
    expect(renditions.map(({ runs }) => runs.reduce((sum, [segments]) => sum + segments, 0))).toEqual([18]);
  }, 300_000);

  it("leaves what a newer program has planned to that program", async () => {
    const id = await halfMade();
    const shift = async (by: number, where: string) =>
      await execute(
        db,
        `update jobs set run_at = now(), payload = payload || jsonb_build_object('version', (payload ->> 'version')::integer + $2)
         where video_id = $1 and kind = 'video.span' and ${where}`,
        [id, by],
      );
    const ahead = await shift(1, "state = 'queued'");
    expect(ahead).toBeGreaterThan(0);
    const refused = async () =>
      await rows<{ attempts: number }>(db, "select attempts from jobs where video_id = $1 and failure ->> 'type' = 'SERVICE_UNAVAILABLE'", [
        id,
      ]);
    await eventually(async () => (await refused()).length === ahead, { timeoutMs: WORK_MS, what: "all of them to be looked at" });
    expect((await refused()).every(({ attempts }) => attempts === 0)).toBe(true);
    // Also those that are just being looked at once more.
    await shift(-1, "failure is not null");
    await until(id, "ready");
    expect((await call(broker, videos.playback, { id })).revision).toBe(1);
  }, 300_000);

  it("gives its work back when it stops, and another takes it up without loss of an attempt", async () => {
    const id = await halfMade();
    await broker.stop();
    expect(await runningPrograms()).toEqual([]);
    const left = await rows<{ state: string; attempts: number }>(
      db,
      "select distinct state, attempts from jobs where video_id = $1 and kind = 'video.span' and state <> 'done'",
      [id],
    );
    expect(left).toEqual([{ state: "queued", attempts: 0 }]);
    broker = await startServices(database.url, jobsService, videosService, memoryStorage, transcoderService);
    await until(id, "ready");
  }, 300_000);
});
