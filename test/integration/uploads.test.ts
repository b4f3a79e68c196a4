/** Uploads as rows on a real database, finished with real disks. */
import { ServiceBroker } from "moleculer";
import { createHash, randomUUID } from "node:crypto";
import { execute, one, rows } from "../../mixins/database/sql.ts";
import { jobs } from "../../services/jobs/contract.ts";
import { errorType } from "../../services/kernel/errors.ts";
import { CHUNK_BYTES_MAX } from "../../services/kernel/limits.ts";
import { onlyPerson, type Principal } from "../../services/kernel/principal.ts";
import { beat, claim, reap } from "../../services/jobs/store/queue.ts";
import { call } from "../../services/kernel/rpc.ts";
import { uploadProgressed, uploads, type Upload, type UploadHold } from "../../services/uploads/contract.ts";
import { tellVideo } from "../../services/uploads/growth.ts";
import { append as appendTo } from "../../services/uploads/store/uploads.ts";
import uploadsService from "../../services/uploads/uploads.service.ts";
import { videos } from "../../services/videos/contract.ts";
import videosService from "../../services/videos/videos.service.ts";
import { bytesOf, startCluster, type Cluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";

const as = onlyPerson;
const somebody: Principal = { id: randomUUID(), role: "uploader" };
const told: { id: string; state: string; offset: number }[] = [];
const listener = {
  name: "listener",
  events: { [uploadProgressed.name]: ({ params }: { params: (typeof told)[number] }) => void told.push(params) },
};

let cluster: Cluster;
beforeAll(async () => {
  const services = [videosService, uploadsService, listener];
  cluster = await startCluster({ services, settings: { UPLOADS_OPEN_MAX: "5", UPLOAD_EXPIRY_HOURS: "1" } });
}, 240_000);
afterAll(() => cluster.stop());
beforeEach(async () => {
  await execute(cluster.db, "truncate uploads, videos, jobs cascade");
  told.length = 0;
});

const typeOf = async (attempt: Promise<unknown>): Promise<string | undefined> =>
  errorType(
    await attempt.then(
      () => undefined,
      (error: unknown) => error,
    ),
  );

async function begin(about: Partial<Parameters<typeof reserve>[0]> = {}): Promise<Upload> {
  return await reserve({ length: 100, madeBy: "test", as, ...about });
}

async function reserve({
  length,
  madeBy,
  as: by,
  partial = false,
}: {
  length: number | null;
  madeBy: string;
  as: Principal;
  partial?: boolean;
}): Promise<Upload> {
  const video = partial ? null : randomUUID();
  if (video) await call(cluster.broker, videos.reserve, { as, id: video, title: "A film", filename: "film.mp4", size: length ?? 0 });
  return await call(cluster.broker, uploads.create, { id: randomUUID(), as: by, madeBy, metadata: "", video, length });
}

async function join(partials: string[], about: object = {}): Promise<Upload> {
  const video = randomUUID();
  await call(cluster.broker, videos.reserve, { as, id: video, title: "A film", filename: "film.mp4", size: 0 });
  const final = { id: randomUUID(), as, madeBy: "test", metadata: "", video, concat: "final;…", partials, bytesMax: 2 ** 30, ...about };
  return await call(cluster.broker, uploads.join, final);
}

async function completePartial(bytes: Buffer): Promise<string> {
  const upload = await begin({ length: bytes.length, partial: true, madeBy: randomUUID() });
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES_MAX) {
    const held = await hold(upload.id);
    await send(held, at, bytes.subarray(at, at + CHUNK_BYTES_MAX));
    await call(cluster.broker, uploads.release, { hold: held });
  }
  return upload.id;
}

async function hold(id: string): Promise<UploadHold> {
  return { id, fence: (await call(cluster.broker, uploads.hold, { as, id })).fence };
}

/** Stores the bytes as one part and appends it. */
async function send(held: UploadHold, start: number, bytes: Buffer): Promise<Upload> {
  const { blob, size } = await cluster.write(bytes);
  return await call(cluster.broker, uploads.append, { hold: held, start, parts: [{ blob, size }] });
}

const sourceOf = async (video: string | null) =>
  await one<{ status: string; blob: string }>(cluster.db, "select status, encode(source_blob, 'hex') as blob from videos where id = $1", [
    video,
  ]);
const stored = async (video: string | null) =>
  await eventually(async () => {
    const source = await sourceOf(video);
    return source?.status === "queued" ? source.blob : undefined;
  });
const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

const FAILED_FINISH = "select 1 from jobs where kind = 'upload.finish' and failure is not null";

describe("an upload", () => {
  it("makes its video wait, and then its source of the bytes as they came, with the first job beside it", async () => {
    const bytes = bytesOf(2 * CHUNK_BYTES_MAX + 1000);
    const upload = await begin({ length: bytes.length });
    expect((await call(cluster.broker, videos.get, { as: onlyPerson, id: upload.video ?? "" })).status).toBe("uploading");
    const held = await hold(upload.id);
    for (const [from, to] of [
      [0, CHUNK_BYTES_MAX],
      [CHUNK_BYTES_MAX, CHUNK_BYTES_MAX + 5],
      [CHUNK_BYTES_MAX + 5, 2 * CHUNK_BYTES_MAX],
      [2 * CHUNK_BYTES_MAX, bytes.length],
    ] as const) {
      await send(held, from, bytes.subarray(from, to));
    }
    const blob = await stored(upload.video);
    // The very name that the same bytes get in one request.
    expect(blob).toBe((await cluster.write(bytes)).blob);
    expect(sha256(await cluster.read(blob))).toBe(sha256(bytes));
    expect(await call(cluster.broker, jobs.claim, { kind: "video.inspect", worker: "test", leaseMs: 60_000 })).toMatchObject({
      videoId: upload.video,
    });
    await eventually(async () => (await call(cluster.broker, uploads.get, { as, id: upload.id })).state === "stored");
    expect(await rows(cluster.db, "select 1 from upload_parts")).toEqual([]);
    expect(told.map(({ state, offset }) => `${state} ${offset}`)).toEqual([
      `open ${CHUNK_BYTES_MAX}`,
      `open ${CHUNK_BYTES_MAX + 5}`,
      `open ${2 * CHUNK_BYTES_MAX}`,
      `complete ${bytes.length}`,
      `stored ${bytes.length}`,
    ]);
  }, 240_000);

  it("takes a part once, also when the call is repeated, and none at another offset or beyond its length", async () => {
    const upload = await begin({ length: 10 });
    const held = await hold(upload.id);
    const { blob, size } = await cluster.write(bytesOf(6));
    const append = (start: number) => call(cluster.broker, uploads.append, { hold: held, start, parts: [{ blob, size }] });
    expect([(await append(0)).offset, (await append(0)).offset]).toEqual([6, 6]);
    expect([await typeOf(append(6)), await typeOf(append(3)), await typeOf(append(7))]).toEqual(Array(3).fill("UPLOAD_OFFSET_CONFLICT"));
    expect((await call(cluster.broker, uploads.get, { as, id: upload.id })).offset).toBe(6);
  });

  it("is sent by one request at a time; whoever lost it changes nothing any more", async () => {
    const upload = await begin();
    const first = await hold(upload.id);
    expect(await typeOf(hold(upload.id))).toBe("UPLOAD_LOCKED");
    expect(await call(cluster.broker, uploads.beat, { hold: first, idle: true })).toEqual({ wanted: true });
    await execute(cluster.db, "update uploads set lease_until = now() - interval '1 s'");
    const second = await hold(upload.id);
    expect(await typeOf(send(first, 0, bytesOf(4)))).toBe("UPLOAD_LOCKED");
    expect(await typeOf(call(cluster.broker, uploads.beat, { hold: first, idle: false }))).toBe("UPLOAD_LOCKED");
    await call(cluster.broker, uploads.release, { hold: first });
    expect(await typeOf(hold(upload.id))).toBe("UPLOAD_LOCKED");
    await call(cluster.broker, uploads.release, { hold: second });
    expect((await send(await hold(upload.id), 0, bytesOf(4))).offset).toBe(4);
  });

  it("learns its length once, and not one that is less than what it has", async () => {
    const upload = await begin({ length: null });
    const held = await hold(upload.id);
    const bytes = bytesOf(50);
    await send(held, 0, bytes);
    const declare = (length: number) => call(cluster.broker, uploads.declare, { hold: held, length });
    expect(await typeOf(declare(49))).toBe("INVALID_REQUEST");
    expect(await declare(50)).toMatchObject({ length: 50, state: "complete" });
    expect(await typeOf(declare(51))).toBe("INVALID_REQUEST");
    expect(sha256(await cluster.read(await stored(upload.video)))).toBe(sha256(bytes));
  });

  it("belongs to whoever made it", async () => {
    const upload = await begin({ as: somebody });
    const other: Principal = { id: randomUUID(), role: "uploader" };
    const ask = (by: Principal) => call(cluster.broker, uploads.get, { as: by, id: upload.id });
    expect([await typeOf(ask(somebody)), await typeOf(ask(onlyPerson)), await typeOf(ask(other))]).toEqual([
      undefined,
      undefined,
      "UPLOAD_NOT_FOUND",
    ]);
    expect(await typeOf(call(cluster.broker, uploads.remove, { as: other, id: upload.id }))).toBe("UPLOAD_NOT_FOUND");
    expect(await typeOf(call(cluster.broker, uploads.hold, { as: other, id: upload.id }))).toBe("UPLOAD_NOT_FOUND");
  });

  it("is one of a limited number that a sender may leave open", async () => {
    const made = await Promise.all(Array.from({ length: 8 }, () => typeOf(begin({ madeBy: "greedy" }))));
    expect(made.filter((type) => type === "UPLOADS_TOO_MANY")).toHaveLength(3);
    expect(made.filter((type) => type === undefined)).toHaveLength(5);
    expect(await typeOf(begin({ madeBy: "modest" }))).toBeUndefined();
  });
});

describe("a node of videos that does not answer", () => {
  it("keeps no part of an upload waiting for as long as its sender waits", async () => {
    const upload: Upload = { ...(await begin()), offset: 60 };
    const broker = new ServiceBroker({ logger: false, skipProcessEventRegistration: true });
    broker.createService({ name: "videos", actions: { grew: async () => await new Promise<never>(() => {}) } });
    broker.createService({
      name: "part",
      actions: { append: async () => await tellVideo({ broker, logger: broker.logger } as never, upload, true) },
    });
    await broker.start();
    // Half of what whoever sends a part waits for its answer.
    expect(await broker.call("part.append", {}, { timeout: 5000 })).toBeUndefined();
    await broker.stop();
  });
});

describe("what is given up", () => {
  it("is gone with its bytes and its video when it is ended", async () => {
    const upload = await begin();
    await send(await hold(upload.id), 0, bytesOf(10));
    await call(cluster.broker, uploads.remove, { as, id: upload.id });
    expect(await typeOf(call(cluster.broker, uploads.get, { as, id: upload.id }))).toBe("UPLOAD_NOT_FOUND");
    expect([await rows(cluster.db, "select 1 from upload_parts"), await rows(cluster.db, "select 1 from videos")]).toEqual([[], []]);
  });

  it("expires when no byte comes for too long, and is known to have been there", async () => {
    const [kept, late] = [await begin(), await begin()];
    await send(await hold(late.id), 0, bytesOf(10));
    await execute(cluster.db, "update uploads set expires_at = now() - interval '1 s', lease_until = null where id = $1", [late.id]);
    expect(await typeOf(hold(late.id))).toBe("UPLOAD_EXPIRED");
    await (cluster.broker.getLocalService("uploads") as unknown as { sweep(): Promise<void> }).sweep();
    expect(await typeOf(call(cluster.broker, uploads.get, { as, id: late.id }))).toBe("UPLOAD_EXPIRED");
    expect(await rows(cluster.db, "select 1 from upload_parts")).toEqual([]);
    expect(await rows(cluster.db, "select id from videos")).toEqual([{ id: kept.video }]);
    await execute(cluster.db, "update uploads set expires_at = now() - interval '8 days' where id = $1", [late.id]);
    await (cluster.broker.getLocalService("uploads") as unknown as { sweep(): Promise<void> }).sweep();
    expect(await typeOf(call(cluster.broker, uploads.get, { as, id: late.id }))).toBe("UPLOAD_NOT_FOUND");
  });

  it("leaves a video that was purged meanwhile alone, and ends", async () => {
    const upload = await begin({ length: 10 });
    const held = await hold(upload.id);
    await execute(cluster.db, "delete from videos");
    await send(held, 0, bytesOf(10));
    await eventually(async () => (await call(cluster.broker, uploads.get, { as, id: upload.id })).state === "stored");
    expect(await rows(cluster.db, "select 1 from videos")).toEqual([]);
  });

  it("ends with its video, also when its bytes cannot be joined any more", async () => {
    await execute(cluster.db, "alter table blobs add constraint mistake check (size <> 21)");
    try {
      const upload = await begin({ length: 21 });
      const held = await hold(upload.id);
      await send(held, 0, bytesOf(10));
      await send(held, 10, bytesOf(11));
      await eventually(async () => await one(cluster.db, FAILED_FINISH), { what: "a first attempt" });
      await execute(cluster.db, "delete from videos");
      await eventually(async () => (await call(cluster.broker, uploads.get, { as, id: upload.id })).state === "stored");
      expect(await rows(cluster.db, "select 1 from upload_parts")).toEqual([]);
    } finally {
      await execute(cluster.db, "alter table blobs drop constraint mistake");
    }
  });

  it("is never given up when it is whole, however often the process died that was to make a video of it", async () => {
    const upload = await begin({ length: 10 });
    const held = await hold(upload.id);
    await cluster.broker.destroyService(cluster.broker.getLocalService("uploads"));
    try {
      const { blob, size } = await cluster.write(bytesOf(10));
      await appendTo(cluster.db, held, { start: 0, parts: [{ blob, size }] }, { openMax: 5, expiryHours: 1 });
      for (let death = 0; death < 8; death++) {
        const { id, fence } = (await claim(cluster.db, { kind: "upload.finish", worker: "dies", leaseMs: 1000 }))!;
        await beat(cluster.db, { leaseMs: 1000, held: [{ id, fence, progress: 0 }] });
        await execute(cluster.db, "update jobs set lease_until = now() - interval '1 second'");
        await reap(cluster.db);
        await execute(cluster.db, "update jobs set run_at = now()");
      }
    } finally {
      cluster.broker.createService(uploadsService);
    }
    expect(await stored(upload.video)).toMatch(/^[0-9a-f]{64}$/);
  });

  it("is never given up when it is whole, whatever mistake of the server's stood in its way", async () => {
    const upload = await begin({ length: 10 });
    const held = await hold(upload.id);
    await execute(cluster.db, "alter table videos add constraint mistake check (source_blob is null)");
    try {
      await send(held, 0, bytesOf(10));
      await eventually(async () => await one(cluster.db, FAILED_FINISH), { what: "a first attempt" });
    } finally {
      await execute(cluster.db, "alter table videos drop constraint mistake");
    }
    expect(await stored(upload.video)).toMatch(/^[0-9a-f]{64}$/);
  });
});

describe("partial uploads", () => {
  it("become one, in the order of the request, though no chunk begins where it should, and may be used again", async () => {
    const [one_, two] = [bytesOf(CHUNK_BYTES_MAX + 77), bytesOf(1000)];
    const ids = [await completePartial(one_), await completePartial(two)];
    for (const [order, bytes] of [
      [ids, Buffer.concat([one_, two])],
      [[...ids, ...ids], Buffer.concat([one_, two, one_, two])],
    ] as const) {
      const final = await join([...order]);
      expect(final).toMatchObject({ kind: "final", state: "complete", length: bytes.length, offset: bytes.length });
      expect(sha256(await cluster.read(await stored(final.video)))).toBe(sha256(bytes));
    }
  }, 240_000);

  it("are refused when one is not complete, not there, somebody else's, or all are too many bytes", async () => {
    const whole = await completePartial(bytesOf(10));
    const open = (await begin({ partial: true })).id;
    const foreign = await begin({ partial: true, as: somebody });
    expect(await typeOf(join([whole, open]))).toBe("UPLOAD_OFFSET_CONFLICT");
    expect(await typeOf(join([whole, randomUUID()]))).toBe("UPLOAD_NOT_FOUND");
    expect(await typeOf(join([foreign.id]))).toBe("UPLOAD_NOT_FOUND");
    expect(await typeOf(join([whole, whole], { bytesMax: 19 }))).toBe("UPLOAD_TOO_LARGE");
  });
});
