import { randomBytes, randomUUID } from "node:crypto";
import { execute, one, rows } from "../../mixins/database/sql.ts";
import { anonymous, onlyPerson, type Principal } from "../../services/kernel/principal.ts";
import { jobs, type Job } from "../../services/jobs/contract.ts";
import { call } from "../../services/kernel/rpc.ts";
import { videos } from "../../services/videos/contract.ts";
import { emptyTrash } from "../../services/videos/store/edits.ts";
import { forgetOldKeys } from "../../services/videos/store/idempotency.ts";
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

const as = onlyPerson;
const owner: Principal = { id: randomUUID(), role: "uploader" };
const stranger: Principal = { id: randomUUID(), role: "uploader" };
const formerOwner: Principal = { id: owner.id, role: "viewer" };

describe("an edit", () => {
  it("changes what is said and nothing else, and counts", async () => {
    const id = await here.newVideo({ title: "Before", description: "old", tags: ["a"] });
    const before = await call(here.broker, videos.get, { id, as });
    const after = await call(here.broker, videos.edit, { id, as, set: { title: "After", tags: [] } });
    expect(after).toEqual({ ...before, title: "After", tags: [], edition: 2, updatedAt: after.updatedAt });
    expect(here.told.at(-1)).toBe(`${id} queued`);
  });

  it("is refused when somebody was quicker, also when both come at the same moment", async () => {
    const id = await here.newVideo();
    const edits = ["one", "two", "three"].map((title) => call(here.broker, videos.edit, { id, as, set: { title }, editions: [1] }));
    const outcomes = await Promise.all(edits.map(typeOf));
    expect(outcomes.filter((outcome) => outcome === "VIDEO_CHANGED")).toHaveLength(2);
    expect(outcomes).toContain(undefined);
    expect(await typeOf(call(here.broker, videos.edit, { id, as, set: {}, editions: [] }))).toBe("VIDEO_CHANGED");
    expect((await call(here.broker, videos.edit, { id, as, set: {}, editions: [1, 2] })).edition).toBe(3);
  });

  it("is not made old by processing", async () => {
    const id = await here.newVideo();
    const [, , audio] = await here.convert();
    await here.publish(audio, "audio", 1, 2);
    expect((await call(here.broker, videos.edit, { id, as, set: { title: "Still" }, editions: [1] })).title).toBe("Still");
  });
});

describe("rights", () => {
  const changes = {
    edit: async (id: string, who: Principal) => await call(here.broker, videos.edit, { id, as: who, set: { title: "Mine now" } }),
    remove: async (id: string, who: Principal) => await call(here.broker, videos.remove, { id, as: who }),
    purge: async (id: string, who: Principal) => await call(here.broker, videos.purge, { id, as: who }),
    retry: async (id: string, who: Principal) => await call(here.broker, videos.retry, { id, as: who }),
    putCaptions: async (id: string, who: Principal) =>
      await call(here.broker, videos.putCaptions, { id, as: who, language: "de", ...(await here.blob(100)) }),
    removeCaptions: async (id: string, who: Principal) => await call(here.broker, videos.removeCaptions, { id, as: who, language: "de" }),
  };

  it.each(Object.keys(changes) as (keyof typeof changes)[])("to %s are the owner's alone", async (change) => {
    const id = await here.newVideo({ as: owner });
    const hidden = await here.newVideo({ as: owner, visibility: "private" });
    for (const who of [anonymous, stranger, formerOwner]) {
      expect(await typeOf(changes[change](id, who))).toBe("FORBIDDEN");
      expect(await typeOf(changes[change](hidden, who))).toBe("VIDEO_NOT_FOUND");
    }
    expect((await rows(here.db, "select 1 from videos where title = 'A day' and deleted_at is null and edition = 1")).length).toBe(2);
    expect(await typeOf(changes[change](id, owner))).not.toBe("FORBIDDEN");
  });

  it.each([
    ["public", [anonymous, stranger, owner]],
    ["unlisted", [anonymous, stranger, owner]],
    ["private", [owner]],
  ] as const)("to see a %s video by its id", async (visibility, seers) => {
    const id = await here.newVideo({ as: owner, visibility });
    for (const who of [anonymous, stranger, owner]) {
      const expected = (seers as readonly Principal[]).includes(who) ? undefined : "VIDEO_NOT_FOUND";
      expect(await typeOf(call(here.broker, videos.get, { id, as: who }))).toBe(expected);
      expect(await typeOf(call(here.broker, videos.status, { id, as: who }))).toBe(expected);
      expect(await typeOf(call(here.broker, videos.recommendations, { id, as: who, limit: 5 }))).toBe(expected);
    }
    expect((await call(here.broker, videos.playback, { id }).catch(() => null)) ?? { visibility }).toMatchObject({ visibility });
  });

  it("to the source are its owner's, whatever everybody may watch", async () => {
    const source = await here.blob(700);
    const id = await here.newVideo({ as: owner, source });
    for (const who of [anonymous, stranger, formerOwner]) {
      expect(await typeOf(call(here.broker, videos.source, { id, as: who }))).toBe("FORBIDDEN");
    }
    await call(here.broker, videos.edit, { id, as: owner, set: { visibility: "private" } });
    for (const who of [anonymous, stranger, formerOwner]) {
      expect(await typeOf(call(here.broker, videos.source, { id, as: who }))).toBe("VIDEO_NOT_FOUND");
    }
    expect(await call(here.broker, videos.source, { id, as: owner })).toMatchObject({ ...source, filename: "day.mp4" });
  });
});

describe("the trash", () => {
  it("gives a video back as it was, to whose it is", async () => {
    const id = await here.newVideo({ as: owner, title: "Lost" });
    await here.finish(...(await here.convert()));
    const before = await call(here.broker, videos.get, { id, as });
    await call(here.broker, videos.remove, { id, as: owner });
    const { items } = await call(here.broker, videos.list, { as: owner, trash: true });
    expect(items).toMatchObject([{ id, status: "deleted", progress: 1 }]);
    expect(await typeOf(call(here.broker, videos.edit, { id, as: owner, set: {} }))).toBe("VIDEO_NOT_FOUND");
    expect(await typeOf(call(here.broker, videos.restore, { id, as: stranger }))).toBe("VIDEO_NOT_FOUND");
    const after = await call(here.broker, videos.restore, { id, as: owner });
    expect(after).toEqual({ ...before, updatedAt: after.updatedAt });
    expect(here.told.slice(-2)).toEqual([`${id} ready`, "waiting video.storyboard"]);
  });

  it("takes, and lets go of, no other edition than the one that was meant", async () => {
    const id = await here.newVideo();
    await call(here.broker, videos.edit, { id, as, set: { title: "Twice" } });
    for (const action of [videos.remove, videos.purge]) {
      expect(await typeOf(call(here.broker, action, { id, as, editions: [1] }))).toBe("VIDEO_CHANGED");
      expect(await here.statusOf(id)).toBe("queued");
    }
    await call(here.broker, videos.remove, { id, as, editions: [1, 2] });
    expect(await typeOf(call(here.broker, videos.purge, { id, as, editions: [1] }))).toBe("VIDEO_CHANGED");
    await call(here.broker, videos.purge, { id, as, editions: [2] });
    expect(await rows(here.db, "select 1 from videos")).toHaveLength(0);
  });

  it("gives the work back that was cut off: what is stored stays, the rest goes on", async () => {
    const id = await here.newVideo();
    const [span, late, audio, picture] = await here.convert();
    await here.finish(span);
    await call(here.broker, videos.remove, { id, as });
    expect((await call(here.broker, videos.restore, { id, as })).status).toBe("processing");
    expect(await typeOf(call(here.broker, videos.finish, { job: refOf(late) }))).toBe("JOB_LOST");
    await here.finish(await here.claim("video.span"), await here.claim("video.audio"), await here.claim("video.picture"));
    expect(await here.statusOf(id)).toBe("ready");
    expect(audio.id).not.toBe(picture.id);
  });

  it("makes no work for a video that was restored twice", async () => {
    const id = await here.newVideo();
    await call(here.broker, videos.remove, { id, as });
    await Promise.all([1, 2].map(async () => await call(here.broker, videos.restore, { id, as })));
    expect(await rows(here.db, "select 1 from jobs where state = 'queued'")).toHaveLength(1);
  });

  it("begins anew where no work is known any more", async () => {
    const id = await here.newVideo();
    await here.convert();
    await call(here.broker, videos.remove, { id, as });
    await execute(here.db, "delete from jobs");
    await call(here.broker, videos.restore, { id, as });
    expect((await here.claim("video.inspect")).videoId).toBe(id);
    expect(await one(here.db, "select revision from videos where id = $1", [id])).toEqual({ revision: 2 });
  });

  it("is emptied of what has lain in it for too long, and of nothing else", async () => {
    const ids = [];
    for (let index = 0; index < 12; index++) ids.push(await here.newVideo());
    for (const id of ids.slice(2)) await call(here.broker, videos.remove, { id, as });
    await execute(here.db, "update videos set deleted_at = now() - interval '31 days' where id = any($1::uuid[])", [ids.slice(3)]);
    expect(await emptyTrash(here.db, 30)).toBe(9);
    expect((await rows<{ id: string }>(here.db, "select id from videos")).map(({ id }) => id).toSorted()).toEqual(
      ids.slice(0, 3).toSorted(),
    );
  });
});

describe("a purge", () => {
  it("leaves no row of the video, and none that names its blobs", async () => {
    const id = await here.newVideo();
    const held = await here.convert();
    await here.finish(...held);
    await call(here.broker, videos.putCaptions, { id, as, language: "de", ...(await here.blob(10)) });
    await execute(here.db, "update blobs set touched_at = null");
    await call(here.broker, videos.purge, { id, as });
    for (const table of ["videos", "renditions", "segments", "captions", "jobs", "video_views"]) {
      expect(await rows(here.db, `select 1 from ${table}`)).toEqual([]);
    }
    // Everything that it was made of may be collected from now on.
    const [kept] = await rows<{ count: number }>(here.db, "select count(*)::integer as count from blobs where touched_at is null");
    expect(kept).toEqual({ count: 0 });
    expect(here.told.slice(-2)).toEqual([`${id} deleted`, `cancelled ${id}`]);
    expect(await typeOf(call(here.broker, videos.purge, { id, as }))).toBe("VIDEO_NOT_FOUND");
    expect(await typeOf(call(here.broker, videos.restore, { id, as }))).toBe("VIDEO_NOT_FOUND");
  });

  it("ends the work on a video that is in its middle", async () => {
    const id = await here.newVideo();
    const [span] = await here.convert();
    await call(here.broker, videos.purge, { id, as });
    expect(await typeOf(call(here.broker, videos.finish, { job: refOf(span) }))).toBe("JOB_LOST");
  });
});

describe("a retry", () => {
  const failure = { type: "TRANSCODE_FAILED", message: "It broke." };

  it("goes on where the video failed, with all attempts", async () => {
    const id = await here.newVideo();
    const [span, late, audio, picture] = await here.convert();
    await here.finish(span, audio, picture);
    await call(here.broker, videos.fail, { job: refOf(late), failure, final: true });
    expect(await here.statusOf(id)).toBe("failed");
    expect(await call(here.broker, videos.retry, { id, as })).toMatchObject({ status: "processing", error: null });
    const again = await here.claim("video.span");
    expect([again.id, again.attempts]).toEqual([late.id, 1]);
    await here.finish(again);
    expect(await here.statusOf(id)).toBe("ready");
  });

  it("looks at the source again when that had failed", async () => {
    const id = await here.newVideo();
    const job = refOf(await here.claim("video.inspect"));
    await call(here.broker, videos.fail, { job, failure, final: true });
    expect((await call(here.broker, videos.retry, { id, as })).status).toBe("queued");
    const inspection = { job: refOf(await here.claim("video.inspect")) };
    await call(here.broker, videos.applyPlan, { ...inspection, ...plan });
    expect(await here.statusOf(id)).toBe("processing");
  });

  it("is for videos that have failed", async () => {
    const id = await here.newVideo();
    expect(await typeOf(call(here.broker, videos.retry, { id, as }))).toBe("VIDEO_NOT_FAILED");
  });
});

const again = async (id: string, job: { id: string }): Promise<unknown> =>
  await call(here.broker, videos.retryJob, { id, as: onlyPerson, job: job.id });

describe("a job that is tried again", () => {
  const failure = { type: "TRANSCODE_FAILED", message: "It broke." };
  const broken = async (job: Job): Promise<unknown> => await call(here.broker, videos.fail, { job: refOf(job), failure, final: true });

  it("may be the poster of a video that is ready, which has it then", async () => {
    const id = await here.newVideo();
    const [first, second, audio, picture] = await here.convert();
    await broken(picture);
    await here.finish(first, second, audio);
    expect(await here.statusOf(id)).toBe("ready");
    // Then nothing at all is left of the work on it.
    await call(here.broker, jobs.complete, { job: refOf(await here.claim("video.storyboard")) });
    await again(id, picture);
    const held = await here.claim("video.picture");
    expect([held.id, held.attempts]).toEqual([picture.id, 1]);
    await call(here.broker, videos.publishThumbnail, { job: refOf(held), ...(await here.blob()) });
    await here.finish(held);
    expect(await call(here.broker, videos.get, { id, as: onlyPerson })).toMatchObject({ status: "ready", hasThumbnail: true });
    expect(await typeOf(again(id, picture))).toBe("JOB_NOT_FAILED");
  });

  it("may be the storyboard, and fail again without harm", async () => {
    const id = await here.newVideo();
    await here.finish(...(await here.convert()));
    await broken(await here.claim("video.storyboard"));
    const { id: failed } = (await one<{ id: string }>(here.db, "select id from jobs where state = 'failed' and video_id = $1", [id]))!;
    await again(id, { id: failed });
    await broken(await here.claim("video.storyboard"));
    expect(await here.statusOf(id)).toBe("ready");
  });

  it("takes along what else is left of a video that failed with it", async () => {
    const id = await here.newVideo();
    const [first, second, audio, picture] = await here.convert();
    await here.finish(audio);
    await broken(second);
    expect(await here.statusOf(id)).toBe("failed");
    await again(id, second);
    expect(await here.statusOf(id)).toBe("processing");
    const claimed = [await here.claim("video.span"), await here.claim("video.span"), await here.claim("video.picture")];
    expect(new Set(claimed.map((job) => job.id))).toEqual(new Set([first.id, second.id, picture.id]));
  });

  it("has failed, and belongs to that video, which is not in the trash", async () => {
    const id = await here.newVideo();
    const [first, second] = await here.convert();
    expect(await typeOf(again(id, first))).toBe("JOB_NOT_FAILED");
    await broken(second);
    expect(await typeOf(again(id, first))).toBe("JOB_NOT_FAILED");
    expect(await typeOf(again(await here.newVideo(), second))).toBe("JOB_NOT_FAILED");
    await call(here.broker, videos.remove, { id, as: onlyPerson });
    expect(await typeOf(again(id, second))).toBe("VIDEO_NOT_FOUND");
  });
});

const digest = (): string => randomBytes(32).toString("hex");
const asked = async (request: object, who: Principal = owner, source = { blob: "", size: 0 }) =>
  (
    await call(here.broker, videos.create, {
      as: who,
      id: randomUUID(),
      title: "Once",
      filename: "once.mp4",
      source: source.size > 0 ? source : await here.blob(),
      request: request as { key: string; digest: string },
    })
  ).id;

describe("a request with a key", () => {
  it("makes one video, however often it is made", async () => {
    const request = { key: "k", digest: digest() };
    const first = await asked(request);
    expect(await asked(request)).toBe(first);
    expect(await rows(here.db, "select 1 from videos")).toHaveLength(1);
  });

  it("makes one video also when both come at the same moment", async () => {
    const request = { key: "k", digest: digest() };
    const outcomes = await Promise.allSettled([asked(request), asked(request), asked(request)]);
    const made = new Set(outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : [])));
    expect(made.size).toBe(1);
    expect(await rows(here.db, "select 1 from videos")).toHaveLength(1);
  });

  it("is refused when it says something else, and means nothing to others", async () => {
    await asked({ key: "k", digest: digest() });
    expect(await typeOf(asked({ key: "k", digest: digest() }))).toBe("IDEMPOTENCY_KEY_REUSED");
    await asked({ key: "k", digest: digest() }, stranger);
    expect(await rows(here.db, "select 1 from videos")).toHaveLength(2);
  });

  it("is forgotten after a day", async () => {
    await asked({ key: "k", digest: digest() });
    await asked({ key: "other", digest: digest() });
    await execute(here.db, "update idempotency_keys set created_at = now() - interval '24 hours' where key = 'k'");
    await asked({ key: "k", digest: digest() });
    expect(await rows(here.db, "select 1 from videos")).toHaveLength(3);
    await execute(here.db, "update idempotency_keys set created_at = now() - interval '24 hours' where key = 'other'");
    await forgetOldKeys(here.db);
    expect(await rows(here.db, "select key from idempotency_keys")).toEqual([{ key: "k" }]);
  });
});

describe("captions", () => {
  it("are listed with the video and its manifests, one a language, the last one given", async () => {
    const id = await here.newVideo();
    await here.convert();
    for (const language of ["pt-BR", "de"]) {
      await call(here.broker, videos.putCaptions, { id, as, language, ...(await here.blob(10)) });
    }
    const last = await here.blob(20);
    await call(here.broker, videos.putCaptions, { id, as, language: "de", ...last });
    expect(await call(here.broker, videos.get, { id, as })).toMatchObject({ captions: ["de", "pt-BR"], edition: 4 });
    expect(await call(here.broker, videos.playback, { id })).toMatchObject({ captions: ["de", "pt-BR"] });
    expect(await call(here.broker, videos.captions, { id, language: "de" })).toMatchObject({ ...last, visibility: "public" });
    await call(here.broker, videos.removeCaptions, { id, as, language: "de" });
    expect(await typeOf(call(here.broker, videos.captions, { id, language: "de" }))).toBe("CAPTIONS_NOT_FOUND");
    expect(await typeOf(call(here.broker, videos.removeCaptions, { id, as, language: "de" }))).toBe("CAPTIONS_NOT_FOUND");
  });
});

describe("recommendations", () => {
  it("are what has tags in common, then what has the owner in common, then what is watched, then what is new; and only what everybody may watch", async () => {
    const seed = await here.newVideo({ title: "Seed", tags: ["sea", "sun"], as: owner });
    const titled: Record<string, string> = {};
    for (const [title, about] of Object.entries({
      both: { tags: ["sun", "sea", "x"] },
      one: { tags: ["sea"] },
      mine: { as: owner },
      watched: {},
      new: {},
      hidden: { tags: ["sea", "sun"], visibility: "unlisted" },
      unready: { tags: ["sea", "sun"] },
      deleted: { tags: ["sea", "sun"] },
    })) {
      titled[title] = await here.newVideo({ title, ...about });
    }
    await execute(here.db, "update videos set status = 'ready' where title <> 'unready'");
    await execute(here.db, "update video_views set views = 1000 where video_id = $1", [titled["watched"]!]);
    await call(here.broker, videos.remove, { id: titled["deleted"]!, as });
    const found = await call(here.broker, videos.recommendations, { id: seed, as: anonymous, limit: 50 });
    expect(found.map(({ video, reason }) => [video.title, reason])).toEqual([
      ["both", { kind: "tags", tags: ["sun", "sea"] }],
      ["one", { kind: "tags", tags: ["sea"] }],
      ["mine", { kind: "owner" }],
      ["watched", { kind: "popular" }],
      ["new", { kind: "new" }],
    ]);
    expect(await call(here.broker, videos.recommendations, { id: seed, as: anonymous, limit: 2 })).toHaveLength(2);
  });
});
