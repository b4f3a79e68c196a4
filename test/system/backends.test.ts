/** A whole installation in one folder, then on a bucket alone, then on disks: what was uploaded in one place is played in the next. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { untilStatus, uploadFile } from "../support/client.ts";
import { decodeFrames, makeSource } from "../support/media.ts";
import { describeWith } from "../support/neighbours.ts";
import { startS3, type TestS3 } from "../support/s3.ts";
import { childrenOf, removeFolder, startTritonTube, temporaryFolder, type TritonTube } from "../support/tritontube.ts";

const SECONDS = 3;
const FRAMES = SECONDS * 30;
const BUCKET = "s3://videos/tube";
/** 4096 partitions of which most are empty, on a machine that others use, too. */
const PATIENCE_MS = 600_000;
const MOVE_MS = 300_000;

/** `npm run storage:move`: what it said, and its exit code. */
function storageMove(dataDir: string, ...targets: readonly string[]) {
  const child = spawn(process.execPath, [join(import.meta.dirname, "../../deploy/operator/move.ts"), ...targets], {
    env: { ...process.env, NODE_OPTIONS: "", DATA_DIR: dataDir },
    stdio: ["ignore", "pipe", "pipe"],
    // One that hangs says by its last words where.
    timeout: MOVE_MS,
  });
  /** Some partitions are there, and others are not. */
  const halfway = new Promise<void>((resolve) =>
    child.stdout.on("data", (told: Buffer) => /moving: [1-9]/.test(told.toString()) && resolve()),
  );
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const words = Promise.all([text(child.stdout), text(child.stderr)]);
  return { halfway, ended: ended.then(async (code) => ({ code, said: (await words).join("") })) };
}

describeWith("moto", "an installation", () => {
  let s3: TestS3;
  let folder: string;
  let source: string;
  let dataDir: string;
  let tube: TritonTube;
  const videos: string[] = [];

  const start = async (backend: string, withBucket = true): Promise<void> => {
    const { endpoint, region, credentials } = s3.access;
    const bucket = {
      S3_BUCKET: "videos",
      S3_PREFIX: "tube",
      S3_ENDPOINT: endpoint,
      S3_REGION: region,
      S3_ACCESS_KEY_ID: credentials.accessKeyId,
      S3_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    };
    // The bytes have to come from where they are kept.
    tube = await startTritonTube({ dataDir, env: { STORAGE_BACKEND: backend, SEGMENT_CACHE_BYTES: "0", ...(withBucket ? bucket : {}) } });
  };
  const restart = async (backend: string, withBucket?: boolean): Promise<void> => {
    expect(await tube.stop()).toBe(0);
    await start(backend, withBucket);
  };
  const upload = async (): Promise<void> => {
    const { id } = await uploadFile(tube.url, source);
    await untilStatus(tube.url, id, ["ready"], PATIENCE_MS);
    videos.push(id);
  };
  const allPlay = async (): Promise<void> => {
    for (const id of videos) expect(await decodeFrames(`${tube.url}/api/v1/videos/${id}/manifest.mpd`)).toBe(FRAMES);
  };
  const disksOf = async (): Promise<number> =>
    (await childrenOf(tube.pid)).filter(({ command }) => command.includes("services/disk/main.ts")).length;

  beforeAll(async () => {
    [s3, folder, dataDir] = await Promise.all([startS3(), temporaryFolder("tritontube-source-"), temporaryFolder("tritontube-backends-")]);
    await s3.bucket("videos");
    source = await makeSource(folder, { seconds: SECONDS, size: "320x240" });
    await start("folder");
  }, PATIENCE_MS);
  afterAll(async () => {
    await tube.stop();
    await s3.stop();
    await Promise.all([removeFolder(folder), removeFolder(dataDir)]);
  }, PATIENCE_MS);

  it(
    "uploads, converts and plays in one folder",
    async () => {
      expect(await disksOf()).toBe(1);
      await upload();
      await allPlay();
    },
    PATIENCE_MS,
  );

  it(
    "moves to a bucket by one command, which goes on after everything was killed",
    async () => {
      const cut = storageMove(dataDir, BUCKET);
      await Promise.race([cut.halfway, cut.ended]);
      await tube.kill();
      expect((await cut.ended).code).toBe(1);
      await start("folder");
      await allPlay();
      const { code, said } = await storageMove(dataDir, BUCKET).ended;
      expect([code, said]).toEqual([0, expect.stringContaining("everything is where it was to go")]);
      await allPlay();
    },
    PATIENCE_MS,
  );

  it(
    "uploads, converts and plays on that bucket alone",
    async () => {
      await restart("s3");
      expect(await disksOf()).toBe(0);
      await upload();
      await allPlay();
    },
    PATIENCE_MS,
  );

  it(
    "moves to the disks that the settings name, and needs the bucket no more",
    async () => {
      await restart("disks");
      expect(await disksOf()).toBe(3);
      await allPlay();
      expect(await storageMove(dataDir).ended).toMatchObject({ code: 0 });
      await restart("disks", false);
      await allPlay();
    },
    PATIENCE_MS,
  );
});
