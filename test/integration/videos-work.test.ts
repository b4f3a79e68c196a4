import { enqueue } from "../../mixins/database/enqueue.ts";
import { execute, one, rows, transaction } from "../../mixins/database/sql.ts";
import { jobs } from "../../services/jobs/contract.ts";
import { onlyPerson } from "../../services/kernel/principal.ts";
import { call } from "../../services/kernel/rpc.ts";
import { videos } from "../../services/videos/contract.ts";
import { eventually } from "../support/eventually.ts";
import { plan, refOf, startCatalogue, typeOf, type TestCatalogue } from "../support/videos.ts";

let here: TestCatalogue;

beforeAll(async () => {
  here = await startCatalogue();
});
afterAll(async () => {
  await here.stop();
});
beforeEach(async () => {
  await here.empty();
});

describe("the work on a video", () => {
  it("goes from the plan over its segments to ready, and tells the truth on the way", async () => {
    const id = await here.newVideo();
    const [first, second, audio, picture] = await here.convert();
    const thumbnail = await here.blob(300);
    await call(here.broker, videos.publishThumbnail, { job: refOf(picture), ...thumbnail });

    const during = await call(here.broker, videos.status, { as: onlyPerson, id });
    expect(during).toMatchObject({ status: "processing", playable: true, spansDone: 0, spansTotal: 2, attempts: 1, error: null });
    expect(during.renditions.map(({ name, segmentsDone, segmentsTotal }) => [name, segmentsDone, segmentsTotal])).toEqual([
      ["360p", 3, 3],
      ["720p", 3, 3],
      ["audio", 2, 2],
    ]);
    expect(during.progress).toBeCloseTo(0.99);
    for (const job of [first, second, audio]) await call(here.broker, videos.finish, { job: refOf(job) });
    expect(await here.statusOf(id)).toBe("processing");
    await call(here.broker, videos.finish, { job: refOf(picture) });
    expect(await call(here.broker, videos.get, { as: onlyPerson, id })).toMatchObject({
      status: "ready",
      playable: true,
      progress: 1,
      duration: 8.4,
      width: 1280,
      frameRate: 30_000 / 1001,
      audioCodec: "aac",
      hasThumbnail: true,
      renditions: [
        { name: "360p", width: 640, height: 360, bitrate: 200_000, codecs: "avc1.64001f" },
        { name: "720p", width: 1280, height: 720, bitrate: 200_000, codecs: "avc1.64001f" },
      ],
    });
    expect(await call(here.broker, videos.status, { as: onlyPerson, id })).toMatchObject({ progress: 1, secondsLeft: 0, spansDone: 2 });
    expect(await call(here.broker, videos.thumbnail, { id })).toEqual({ id, owner: null, visibility: "public", ...thumbnail });
    expect(here.told.filter((line) => line.startsWith(id))).toEqual([`${id} queued`, `${id} processing`, `${id} ready`]);
  });

  it("becomes ready exactly once when its last jobs end at the same time", async () => {
    const id = await here.newVideo();
    const held = await here.convert();
    await Promise.all(held.map((job) => call(here.broker, videos.finish, { job: refOf(job) })));
    expect(await here.statusOf(id)).toBe("ready");
    expect(here.told.filter((line) => line === `${id} ready`)).toHaveLength(1);
  });

  it("is done again harmlessly: what was published stays as it was, whatever the next attempt makes of it", async () => {
    const id = await here.newVideo();
    const [span] = await here.convert();
    const sql = "select encode(blob, 'hex') as blob, size, start, duration from segments where rendition = '720p' and number = 1";
    const before = await one(here.db, sql);
    const { renditions } = await call(here.broker, videos.get, { as: onlyPerson, id });
    const again = await here.segment(1, 200_000);
    const init = await here.init(id, "720p");
    await call(here.broker, videos.publish, {
      job: refOf(span),
      rendition: "720p",
      timescale: 30_000,
      codecs: "avc1.64001f",
      init,
      segments: [again],
    });
    expect(before).toBeDefined();
    expect(await one(here.db, sql)).toEqual(before);
    expect((await call(here.broker, videos.get, { as: onlyPerson, id })).renditions).toEqual(renditions);
  });

  it("refuses a part that was not encoded like the others, and a rendition that was not planned", async () => {
    await here.newVideo();
    const [span] = await here.convert();
    const part = { job: refOf(span), timescale: 30_000, codecs: "avc1.64001f", init: await here.blob(), segments: [await here.segment(1)] };
    expect(await typeOf(call(here.broker, videos.publish, { ...part, rendition: "720p" }))).toBe("TRANSCODE_FAILED");
    expect(await typeOf(call(here.broker, videos.publish, { ...part, rendition: "1080p" }))).toBe("INVALID_REQUEST");
  });

  it("starts a rendition over that only one job makes, when another attempt of it is encoded otherwise", async () => {
    const id = await here.newVideo();
    const held = await here.convert();
    const head = { rendition: "audio", timescale: 48_000, codecs: "mp4a.40.2", init: await here.blob() };
    const segments = [await here.segment(1), await here.segment(2)];
    for (const [before, segment] of segments.entries()) {
      await call(here.broker, videos.publish, { job: refOf(held[2]), ...head, segments: [segment] });
      const stored = await rows(here.db, "select encode(blob, 'hex') as blob from segments where rendition = 'audio' order by number");
      expect(stored).toEqual(segments.slice(0, before + 1).map(({ blob }) => ({ blob })));
    }
    await here.finish(...held);
    const { renditions } = await call(here.broker, videos.playback, { id });
    expect(renditions[1]).toMatchObject({ name: "720p", init: await here.init(id, "720p"), runs: { length: 2 } });
    expect(renditions[2]).toMatchObject({ name: "audio", timescale: 48_000, codecs: "mp4a.40.2", init: head.init });
  });

  it("changes nothing for a worker that has lost its job", async () => {
    const id = await here.newVideo();
    const lost = await here.claim("video.inspect");
    await execute(here.db, "update jobs set fence = fence + 1");
    const job = refOf(lost);
    const failure = { type: "TRANSCODE_FAILED", message: "late" };
    const attempts = [
      call(here.broker, videos.begin, { job }),
      call(here.broker, videos.applyPlan, { job, ...plan }),
      call(here.broker, videos.publishThumbnail, { job, ...(await here.blob()) }),
      call(here.broker, videos.finish, { job }),
      call(here.broker, videos.fail, { job, failure, final: true }),
    ];
    expect(await Promise.all(attempts.map(typeOf))).toEqual(Array.from({ length: 5 }, () => "JOB_LOST"));
    expect(await here.statusOf(id)).toBe("queued");
    expect(await rows(here.db, "select 1 from renditions")).toEqual([]);
  });

  it("takes one segment more or less than planned as the real number", async () => {
    const id = await here.newVideo();
    const held = await here.convert();
    await here.publish(held[2], "audio", 3);
    await here.finish(...held);
    const { status, renditions: stored } = await call(here.broker, videos.status, { as: onlyPerson, id });
    expect(status).toBe("ready");
    expect(stored.at(-1)).toEqual({ name: "audio", segmentsDone: 3, segmentsTotal: 3, progress: 1 });
  });

  it("fails a video that has a gap, and says where", async () => {
    const id = await here.newVideo();
    const held = await here.convert();
    await execute(here.db, "delete from segments where rendition = '360p' and number = 2");
    await here.finish(...held);
    expect((await call(here.broker, videos.get, { as: onlyPerson, id })).error).toEqual({
      code: "TRANSCODE_FAILED",
      message: "The rendition 360p has a gap: 2 segments, and the last is number 3.",
    });
    expect(here.told.at(-2)).toBe(`${id} failed`);
  });

  it("is tried again after a failure, and fails the video after the last one, with what is left of its jobs", async () => {
    const id = await here.newVideo();
    const [span] = await here.convert();
    const failure = { type: "TRANSCODE_FAILED", message: "ffmpeg ended early", log: "x264 [error]" };
    await call(here.broker, videos.fail, { job: refOf(span), failure, final: false });
    expect(await here.statusOf(id)).toBe("processing");
    await execute(here.db, "update jobs set run_at = now()");
    const again = await here.claim("video.span");
    expect(again.attempts).toBe(2);
    await call(here.broker, videos.fail, { job: refOf(again), failure, final: true });
    const after = await call(here.broker, videos.status, { as: onlyPerson, id });
    expect(after).toMatchObject({ status: "failed", error: { code: "TRANSCODE_FAILED", message: "ffmpeg ended early" }, attempts: 2 });
    expect(JSON.stringify(after)).not.toContain("x264");
    expect(await rows(here.db, "select 1 from jobs where state in ('queued', 'running')")).toEqual([]);
    expect(here.told.slice(-2)).toEqual([`${id} failed`, `cancelled ${id}`]);
  });

  it("outlives failures that are not its own, however many there are", async () => {
    const id = await here.newVideo();
    const failure = { type: "NOT_ENOUGH_DISKS", message: "" };
    for (let round = 0; round < 7; round++) {
      const inspection = await here.claim("video.inspect");
      await call(here.broker, videos.fail, { job: refOf(inspection), failure, final: false, excused: true });
      await execute(here.db, "update jobs set run_at = now()");
    }
    expect(await call(here.broker, videos.status, { as: onlyPerson, id })).toMatchObject({ status: "queued", error: null, attempts: 0 });
  });

  it("can do without a picture, and without captions", async () => {
    const id = await here.newVideo();
    const held = await here.convert();
    await transaction(here.db, async (tx) => await enqueue(tx, [{ kind: "video.captions", videoId: id, payload: {} }]));
    const needless = [held.pop()!, await here.claim("video.captions")];
    await here.finish(...held);
    const failure = { type: "TRANSCODE_FAILED", message: "black" };
    for (const job of needless) await call(here.broker, videos.fail, { job: refOf(job), failure, final: true });
    expect(await here.statusOf(id)).toBe("ready");
    expect(await typeOf(call(here.broker, videos.thumbnail, { id }))).toBe("PICTURE_NOT_FOUND");
  });

  it("is ready before its captions are, and gets them later, also when it has lain in the trash meanwhile", async () => {
    const id = await here.newVideo();
    const held = await here.convert();
    await transaction(here.db, async (tx) => await enqueue(tx, [{ kind: "video.captions", videoId: id, payload: {} }]));
    const before = await here.claim("video.captions");
    await here.finish(...held);
    expect(await here.statusOf(id)).toBe("ready");
    await call(here.broker, videos.remove, { as: onlyPerson, id });
    await call(here.broker, videos.restore, { as: onlyPerson, id });
    const captions = { language: "de", ...(await here.blob()) };
    expect(await typeOf(call(here.broker, videos.publishCaptions, { job: refOf(before), ...captions }))).toBe("JOB_LOST");
    const again = await here.claim("video.captions");
    await call(here.broker, videos.publishCaptions, { job: refOf(again), ...captions });
    await here.finish(again);
    expect(await call(here.broker, videos.get, { as: onlyPerson, id })).toMatchObject({ status: "ready", captions: ["de"] });
  });

  it("stays ready when its captions fail later", async () => {
    const id = await here.newVideo();
    const held = await here.convert();
    await transaction(here.db, async (tx) => await enqueue(tx, [{ kind: "video.captions", videoId: id, payload: {} }]));
    await here.finish(...held);
    const failure = { type: "TRANSCODE_FAILED", message: "no" };
    await call(here.broker, videos.fail, { job: refOf(await here.claim("video.captions")), failure, final: true });
    expect(await here.statusOf(id)).toBe("ready");
    expect((await call(here.broker, videos.playback, { id })).renditions).toHaveLength(3);
    expect(await rows(here.db, "select state from jobs where kind = 'video.captions'")).toEqual([{ state: "failed" }]);
  });

  it("is planned anew from the source when its plan is of no use any more, under addresses of its own", async () => {
    const id = await here.newVideo();
    const [span, , audio] = await here.convert();
    await here.finish(audio);
    await call(here.broker, videos.planAnew, { job: refOf(span) });
    expect(await rows(here.db, "select kind, state from jobs where video_id = $1", [id])).toEqual([
      { kind: "video.inspect", state: "queued" },
    ]);
    expect(await rows(here.db, "select 1 from segments where video_id = $1", [id])).toEqual([]);
    expect(await typeOf(here.publish(span, "720p", 1))).toBe("JOB_LOST");
    expect(await typeOf(call(here.broker, videos.planAnew, { job: refOf(span) }))).toBe("JOB_LOST");
    await eventually(() => here.told.includes(`cancelled ${id}`), { what: "the workers to be told" });
    await here.finish(...(await here.convert()));
    expect(await here.statusOf(id)).toBe("ready");
    expect((await call(here.broker, videos.playback, { id })).revision).toBe(2);
  });

  it("that is ready keeps all that it has when a poster that has no use for its plan any more is tried again", async () => {
    const id = await here.newVideo();
    const held = await here.convert();
    const picture = held.pop()!;
    await here.finish(...held);
    await call(here.broker, videos.fail, { job: refOf(picture), failure: { type: "TRANSCODE_FAILED", message: "black" }, final: true });
    const before = await call(here.broker, videos.playback, { id });
    await call(here.broker, videos.retryJob, { as: onlyPerson, id, job: picture.id });
    await call(here.broker, videos.planAnew, { job: refOf(await here.claim("video.picture")) });
    expect(await here.statusOf(id)).toBe("ready");
    expect(await call(here.broker, videos.playback, { id })).toEqual(before);
    expect(await rows(here.db, "select state, failure ->> 'message' as said from jobs where kind = 'video.picture'")).toEqual([
      { state: "failed", said: expect.stringMatching(/converted anew/) },
    ]);
    expect(await rows(here.db, "select 1 from jobs where kind = 'video.inspect' and state <> 'done'")).toEqual([]);
  });

  it("never waits for itself: cancelling, renewing and ending the jobs of a video at the same time ends", async () => {
    for (let round = 0; round < 5; round++) {
      const id = await here.newVideo();
      const held = await here.convert();
      const beats = Array.from({ length: 6 }, () =>
        call(here.broker, jobs.beat, { leaseMs: 3000, held: held.toReversed().map((job) => ({ ...refOf(job), progress: 0.5 })) }),
      );
      const ends = held.map((job) => typeOf(call(here.broker, videos.finish, { job: refOf(job) })));
      const outcomes = await Promise.all([...ends, typeOf(call(here.broker, videos.remove, { as: onlyPerson, id }))]);
      await Promise.all(beats);
      expect(outcomes.filter((type) => type !== undefined && type !== "JOB_LOST")).toEqual([]);
    }
  });
});

const wanted = (id: string, number: number, about: object = {}) => ({ id, revision: 1, rendition: "720p", number, ...about });

describe("a segment that somebody waits for", () => {
  it("moves its job to the front of the whole queue, once, and is answered when it is stored", async () => {
    const older = await here.newVideo();
    await call(here.broker, videos.applyPlan, { job: refOf(await here.claim("video.inspect")), ...plan });
    await here.newVideo();
    await call(here.broker, videos.applyPlan, { job: refOf(await here.claim("video.inspect")), ...plan });
    here.told.length = 0;
    expect(await call(here.broker, videos.want, wanted(older, 3))).toBeNull();
    expect(await call(here.broker, videos.want, wanted(older, 3))).toBeNull();
    expect(here.told).toEqual(["waiting video.span"]);
    const span = await here.claim("video.span");
    expect([span.videoId, span.payload]).toEqual([older, { part: 2, wanted: "720p", from: 3, planned: 0 }]);
    expect(await call(here.broker, videos.want, wanted(older, 3))).toBeNull();
    await here.publish(span, "720p", 3);
    expect(await call(here.broker, videos.want, wanted(older, 3))).toMatchObject({ number: 3, start: 240_000, duration: 12_000 });
  });

  it("is made alone: then its job waits in its old place for the others, unless somebody waits for one of those", async () => {
    const id = await here.newVideo();
    await call(here.broker, videos.applyPlan, { job: refOf(await here.claim("video.inspect")), ...plan });
    await call(here.broker, videos.want, wanted(id, 3));
    const span = await here.claim("video.span");
    here.told.length = 0;
    await call(here.broker, videos.defer, { job: refOf(span), made: "720p" });
    expect(here.told).toEqual(["waiting video.span"]);
    expect(await typeOf(call(here.broker, videos.defer, { job: refOf(span), made: "720p" }))).toBe("JOB_LOST");
    await call(here.broker, videos.want, wanted(id, 3, { rendition: "360p" }));
    const again = await here.claim("video.span");
    expect([again.id, again.attempts, again.payload]).toEqual([
      span.id,
      1,
      { part: 2, made: ["720p"], wanted: "360p", from: 3, planned: 0 },
    ]);
    await call(here.broker, videos.defer, { job: refOf(again), made: "360p" });
    expect((await here.claim("video.span")).payload).toEqual({ part: 1 });
    expect((await here.claim("video.span")).payload).toEqual({ part: 2, made: ["720p", "360p"] });
  });

  it("is said not to exist when nothing will make it", async () => {
    const id = await here.newVideo();
    const held = await here.convert();
    const outcomes = async (): Promise<unknown[]> =>
      await Promise.all(
        [wanted(id, 4), wanted(id, 1, { rendition: "1080p" }), wanted(id, 1, { revision: 2 }), wanted(id, 3, { rendition: "audio" })].map(
          async (each) => await typeOf(call(here.broker, videos.want, each)),
        ),
      );
    const nothing = Array.from({ length: 4 }, () => "SEGMENT_NOT_FOUND");
    expect(await outcomes()).toEqual(nothing);
    await here.finish(...held);
    expect(await outcomes()).toEqual(nothing);
    expect(await call(here.broker, videos.want, wanted(id, 3))).toMatchObject({ number: 3 });
    await call(here.broker, videos.remove, { as: onlyPerson, id });
    expect(await typeOf(call(here.broker, videos.want, wanted(id, 3)))).toBe("VIDEO_NOT_FOUND");
  });

  it("is not waited for when the video has failed", async () => {
    const id = await here.newVideo();
    const [span] = await here.convert();
    await call(here.broker, videos.fail, { job: refOf(span), failure: { type: "TRANSCODE_FAILED", message: "no" }, final: true });
    expect(await typeOf(call(here.broker, videos.want, wanted(id, 1)))).toBe("VIDEO_NOT_PLAYABLE");
  });
});

describe("playback", () => {
  it("begins when the first segment of every rendition is stored, and promises what is planned", async () => {
    const id = await here.newVideo();
    const inspection = { job: refOf(await here.claim("video.inspect")) };
    await call(here.broker, videos.applyPlan, { ...inspection, ...plan });
    const [span, audio] = [await here.claim("video.span"), await here.claim("video.audio")];
    const isPlayable = async (): Promise<boolean> => {
      const { playable } = await call(here.broker, videos.get, { as: onlyPerson, id });
      expect((await call(here.broker, videos.status, { as: onlyPerson, id })).playable).toBe(playable);
      expect(await typeOf(call(here.broker, videos.playback, { id }))).toBe(playable ? undefined : "VIDEO_NOT_PLAYABLE");
      return playable;
    };
    expect(await isPlayable()).toBe(false);
    await here.publish(span, "720p", 1);
    await here.publish(audio, "audio", 1);
    expect(await isPlayable()).toBe(false);
    await here.publish(span, "360p", 2);
    expect(await isPlayable()).toBe(false);
    await here.publish(span, "360p", 1);
    expect(await isPlayable()).toBe(true);

    const during = await call(here.broker, videos.playback, { id });
    expect(during.renditions.map(({ name, bitrate, runs }) => [name, bitrate, runs])).toEqual([
      [
        "360p",
        200_000,
        [
          [2, 120_000],
          [1, 12_000],
        ],
      ],
      [
        "720p",
        200_000,
        [
          [2, 120_000],
          [1, 12_000],
        ],
      ],
      ["audio", 200_000, [[2, 120_000]]],
    ]);
    expect((await call(here.broker, videos.segments, { id, revision: 1, rendition: "720p", from: 1, count: 500 })).length).toBe(1);
  });

  it("promises of a rendition that is finished what is there of it", async () => {
    const id = await here.newVideo();
    const [, , audio] = await here.convert();
    await here.publish(audio, "audio", 3);
    await here.finish(audio);
    const { renditions } = await call(here.broker, videos.playback, { id });
    expect(renditions.at(-1)?.runs).toEqual([
      [2, 120_000],
      [1, 12_000],
    ]);
  });

  it("describes each rendition by what is stored of it", async () => {
    const id = await here.newVideo();
    await here.finish(...(await here.convert()));
    const playback = await call(here.broker, videos.playback, { id });
    expect(playback).toMatchObject({ id, revision: 1, visibility: "public", frameRate: [30_000, 1001] });
    expect(playback.renditions.map(({ name }) => name)).toEqual(["360p", "720p", "audio"]);
    expect(playback.renditions[1]).toEqual({
      name: "720p",
      kind: "video",
      width: 1280,
      height: 720,
      timescale: 30_000,
      codecs: "avc1.64001f",
      init: await here.init(id, "720p"),
      // The short last segment has ten times the rate, and is no peak.
      bitrate: 200_000,
      averageBitrate: Math.ceil((300_000 * 8 * 30_000) / 252_000),
      runs: [
        [2, 120_000],
        [1, 12_000],
      ],
    });
    const found = await call(here.broker, videos.segments, { id, revision: 1, rendition: "720p", from: 2, count: 500 });
    expect(found.map(({ number, start, duration }) => [number, start, duration])).toEqual([
      [2, 120_000, 120_000],
      [3, 240_000, 12_000],
    ]);
    expect(await call(here.broker, videos.segments, { id, revision: 2, rendition: "720p", from: 1, count: 1 })).toEqual([]);
  });
});
