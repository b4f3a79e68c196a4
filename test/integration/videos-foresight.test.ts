/** Work on a video whose bytes are on their way, as rows: what waits for which byte, and what becomes of it. */
import { randomUUID } from "node:crypto";
import { enqueue } from "../../mixins/database/enqueue.ts";
import { one, transaction } from "../../mixins/database/sql.ts";
import { jobs, type Job } from "../../services/jobs/contract.ts";
import { onlyPerson as as } from "../../services/kernel/principal.ts";
import { call } from "../../services/kernel/rpc.ts";
import { videos } from "../../services/videos/contract.ts";
import { plan, refOf, startCatalogue, typeOf, type TestCatalogue } from "../support/videos.ts";

let catalogue: TestCatalogue;
beforeAll(async () => {
  catalogue = await startCatalogue();
});
afterAll(() => catalogue.stop());
beforeEach(() => catalogue.empty());

const SIZE = 1000;
const upload = randomUUID();
const source = { upload, size: SIZE };
/** The first span and the sound need half of the bytes, all else all of them. */
const foreseen = {
  ...plan,
  tasks: plan.tasks.map((task, index) => ({
    ...task,
    payload: { ...task.payload, source },
    needsBytes: index === 0 || task.kind === "video.audio" ? SIZE / 2 : SIZE,
  })),
};

async function reserved(): Promise<string> {
  const id = randomUUID();
  await call(catalogue.broker, videos.reserve, { as, id, title: "A day", filename: "day.mp4", size: SIZE });
  return id;
}

const grow = async (id: string, offset: number, begins = false): Promise<unknown> =>
  await call(catalogue.broker, videos.grew, { id, upload, offset, length: SIZE, begins });

/** With a plan of its first bytes. */
async function planned(offset = 100): Promise<string> {
  const id = await reserved();
  await grow(id, 100, true);
  await call(catalogue.broker, videos.foresee, { job: refOf(await catalogue.claim("video.foresee")), offset, plan: foreseen });
  return id;
}

const claimed = async (): Promise<Job | null> =>
  await call(catalogue.broker, jobs.claim, { kind: "video.span", worker: "test", leaseMs: 60_000 });
const arrive = async (id: string): Promise<string> => {
  const stored = await catalogue.blob(SIZE);
  await call(catalogue.broker, videos.arrive, { id, source: stored });
  return stored.blob;
};
const renditions = async (id: string): Promise<number | undefined> =>
  (await one<{ count: number }>(catalogue.db, "select count(*)::integer as count from renditions where video_id = $1", [id]))?.count;

it("waits with each job until the bytes that it needs have come", async () => {
  const id = await planned();
  expect(await claimed()).toBeNull();
  await grow(id, SIZE / 2 - 1);
  expect(await claimed()).toBeNull();
  await grow(id, SIZE / 2);
  const first = await claimed();
  expect(first?.payload).toMatchObject({ part: 1, source });
  expect(await claimed()).toBeNull();
  expect(catalogue.told).toContain("waiting video.audio video.span");
});

it("looks at a source again when as many bytes have come as it needs, and costs no attempt until then", async () => {
  const id = await reserved();
  await grow(id, 100, true);
  const wait = async (offset: number, needsBytes: number): Promise<unknown> =>
    await call(catalogue.broker, videos.foresee, { job: refOf(await catalogue.claim("video.foresee")), offset, plan: null, needsBytes });
  const look = { kind: "video.foresee", worker: "test", leaseMs: 60_000 } as const;
  await wait(100, 300);
  await grow(id, 299);
  expect(await call(catalogue.broker, jobs.claim, look)).toBeNull();
  await grow(id, 300);
  // They had come while it was told that they had not.
  await wait(400, 350);
  await call(catalogue.broker, videos.foresee, { job: refOf(await catalogue.claim("video.foresee")), offset: 400, plan: foreseen });
  expect(await one(catalogue.db, "select state, attempts from jobs where kind = 'video.foresee'")).toEqual({ state: "done", attempts: 1 });
});

it("begins at once what has its bytes when the plan is made", async () => {
  await planned(SIZE / 2);
  expect((await claimed())?.payload["part"]).toBe(1);
  expect(await claimed()).toBeNull();
});

it("keeps what needs the last byte until its source is there, also when all bytes had come before the plan", async () => {
  const id = await planned(SIZE);
  expect((await claimed())?.payload["part"]).toBe(1);
  expect(await claimed()).toBeNull();
  await arrive(id);
  expect((await claimed())?.payload["part"]).toBe(2);
});

it("can be watched while it is uploaded, from the first segment of each rendition on", async () => {
  const id = await planned(SIZE / 2);
  const span = (await claimed())!;
  const sound = await catalogue.claim("video.audio");
  await catalogue.publish(span, "720p", 1, 2);
  await catalogue.publish(span, "360p", 1, 2);
  expect(await typeOf(call(catalogue.broker, videos.playback, { id }))).toBe("VIDEO_NOT_PLAYABLE");
  await catalogue.publish(sound, "audio", 1);
  expect(await call(catalogue.broker, videos.get, { as, id })).toMatchObject({ status: "uploading", playable: true });
  expect((await call(catalogue.broker, videos.playback, { id })).renditions).toHaveLength(3);
});

it("goes on with its plan when its last byte has come, from the source that it has then", async () => {
  const id = await planned(SIZE / 2);
  const running = (await claimed())!;
  const blob = await arrive(id);
  expect(await catalogue.statusOf(id)).toBe("processing");
  expect((await claimed())?.payload).toMatchObject({ part: 2, source: { blob, size: SIZE } });
  expect((await catalogue.claim("video.picture")).payload["source"]).toEqual({ blob, size: SIZE });
  // What runs is given back, and goes on from the source, too.
  await call(catalogue.broker, jobs.release, { job: refOf(running) });
  expect((await claimed())?.payload).toMatchObject({ part: 1, source: { blob } });
  expect(await one(catalogue.db, "select 1 from jobs where kind = 'video.inspect'")).toBeUndefined();
});

it("is inspected when its last byte has come before there was a plan, and takes none that comes later", async () => {
  const id = await reserved();
  await grow(id, 100, true);
  const look = await catalogue.claim("video.foresee");
  await arrive(id);
  expect(await typeOf(call(catalogue.broker, videos.foresee, { job: refOf(look), offset: SIZE, plan: foreseen }))).toBe("JOB_LOST");
  expect([await catalogue.statusOf(id), await renditions(id)]).toEqual(["queued", 0]);
  await catalogue.finish(...(await catalogue.convert()));
  expect(await catalogue.statusOf(id)).toBe("ready");
});

it("is looked at once, whatever is told twice", async () => {
  const id = await planned();
  await grow(id, 100, true);
  expect(await call(catalogue.broker, jobs.claim, { kind: "video.foresee", worker: "test", leaseMs: 60_000 })).toBeNull();
});

it("drops what it has made when that fails, and is made anew of the whole source", async () => {
  const id = await planned(SIZE / 2);
  const span = (await claimed())!;
  await catalogue.publish(span, "720p", 1);
  const failure = { type: "SOURCE_DAMAGED", message: "Nothing could be read." };
  await call(catalogue.broker, videos.fail, { job: refOf(span), failure, final: true });
  expect([await catalogue.statusOf(id), await renditions(id)]).toEqual(["uploading", 0]);
  expect(catalogue.told).toContain(`cancelled ${id}`);
  await arrive(id);
  await catalogue.finish(...(await catalogue.convert()));
  expect(await call(catalogue.broker, videos.playback, { id })).toMatchObject({ revision: 2 });
});

it("keeps what it has made when it fails to make what it can do without", async () => {
  const id = await planned(SIZE / 2);
  await catalogue.publish((await claimed())!, "720p", 1);
  await transaction(catalogue.db, async (tx) => await enqueue(tx, [{ kind: "video.captions", videoId: id, payload: {} }]));
  const failure = { type: "TRANSCODE_FAILED", message: "Too many words." };
  await call(catalogue.broker, videos.fail, { job: refOf(await catalogue.claim("video.captions")), failure, final: true });
  expect([await catalogue.statusOf(id), await renditions(id)]).toEqual(["uploading", 3]);
  expect(catalogue.told).not.toContain(`cancelled ${id}`);
});

it("that lies in the trash when its last byte comes is made anew when it is taken out", async () => {
  const id = await planned(SIZE / 2);
  await call(catalogue.broker, videos.remove, { as, id });
  await arrive(id);
  expect(await renditions(id)).toBe(0);
  await call(catalogue.broker, videos.restore, { as, id });
  await catalogue.finish(...(await catalogue.convert()));
  expect(await catalogue.statusOf(id)).toBe("ready");
});

it("drops what it has made when it goes to the trash, and is made anew of the whole source when it was taken out before", async () => {
  const id = await planned(SIZE / 2);
  const cutOff = (await claimed())!;
  await call(catalogue.broker, videos.remove, { as, id });
  await call(catalogue.broker, videos.restore, { as, id });
  expect(await typeOf(call(catalogue.broker, videos.finish, { job: refOf(cutOff) }))).toBe("JOB_LOST");
  expect([await catalogue.statusOf(id), await renditions(id)]).toEqual(["uploading", 0]);
  await arrive(id);
  await catalogue.finish(...(await catalogue.convert()));
  expect(await catalogue.statusOf(id)).toBe("ready");
  expect(await call(catalogue.broker, videos.playback, { id })).toMatchObject({ revision: 2 });
});

it("is gone with all its work when its upload is given up", async () => {
  const id = await planned(SIZE / 2);
  await claimed();
  await call(catalogue.broker, videos.abandon, { id });
  expect(await one(catalogue.db, "select 1 from jobs")).toBeUndefined();
  expect(catalogue.told.slice(-2)).toEqual([`${id} deleted`, `cancelled ${id}`]);
});
