import { createHash, randomUUID } from "node:crypto";
import { enqueue } from "../../mixins/database/enqueue.ts";
import { execute, rows, transaction } from "../../mixins/database/sql.ts";
import { errorType } from "../../services/kernel/errors.ts";
import { onlyPerson } from "../../services/kernel/principal.ts";
import { call } from "../../services/kernel/rpc.ts";
import { videos } from "../../services/videos/contract.ts";
import { create } from "../../services/videos/store/catalogue.ts";
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

describe("a new video", () => {
  it("is queued, and its first job exists in the same transaction", async () => {
    const source = await here.blob(5000);
    const id = await here.newVideo({ title: "Été", tags: ["sea", "sun"], source });
    expect(await call(here.broker, videos.get, { as: onlyPerson, id })).toMatchObject({
      id,
      title: "Été",
      description: "",
      tags: ["sea", "sun"],
      status: "queued",
      playable: false,
      progress: 0,
      visibility: "public",
      owner: null,
      size: 5000,
      duration: null,
      renditions: [],
      hasThumbnail: false,
      error: null,
      deletedAt: null,
    });
    expect((await here.claim("video.inspect")).payload).toEqual({ blob: source.blob, size: 5000, filename: "day.mp4" });
    expect(here.told).toEqual([`${id} queued`, "waiting video.inspect"]);
  });

  it("leaves neither a row nor a job behind when its transaction does not come to its end", async () => {
    // Sequelize tells the console itself that a commit failed.
    jest.spyOn(console, "warn").mockImplementation(() => {});
    const source = await here.blob();
    await execute(here.db, "create function refuse() returns trigger language plpgsql as 'begin raise exception ''no''; end'");
    await execute(
      here.db,
      "create constraint trigger refuse after insert on jobs deferrable initially deferred for each row execute function refuse()",
    );
    const about = { title: "A", description: "", tags: [], visibility: "public", owner: null, filename: "a.mp4", source };
    expect(await typeOf(create(here.db, { id: randomUUID(), ...about }))).toBe("INTERNAL");
    await execute(here.db, "drop function refuse cascade");
    expect(await rows(here.db, "select 1 from videos union all select 1 from jobs")).toEqual([]);
  });

  it("is made once, however often and from wherever it is asked for", async () => {
    const video = { as: onlyPerson, id: randomUUID(), title: "Once", filename: "once.mp4", source: await here.blob() };
    const made = await Promise.all(Array.from({ length: 5 }, () => call(here.broker, videos.create, video)));
    expect(new Set(made.map(({ id }) => id))).toEqual(new Set([video.id]));
    expect(await rows(here.db, "select 1 from jobs")).toHaveLength(1);
    expect(await typeOf(call(here.broker, videos.create, { ...video, source: await here.blob() }))).toBe("INVALID_REQUEST");
  });

  it("is refused without its blob, and with words that cannot be stored", async () => {
    const unknown = { blob: createHash("sha256").digest("hex"), size: 1 };
    expect(await typeOf(here.newVideo({ source: unknown }))).toBe("BLOB_NOT_FOUND");
    expect(await typeOf(here.newVideo({ tags: ["a\u0000b"] }))).toBe("INVALID_REQUEST");
  });
});

describe("a deleted video", () => {
  it("is gone from everything, and its work is cancelled", async () => {
    const id = await here.newVideo();
    const [span] = await here.convert();
    await call(here.broker, videos.remove, { as: onlyPerson, id });
    for (const action of [videos.get, videos.status, videos.remove]) {
      expect(await typeOf(call(here.broker, action, { as: onlyPerson, id }))).toBe("VIDEO_NOT_FOUND");
    }
    for (const action of [videos.playback, videos.thumbnail]) {
      expect(await typeOf(call(here.broker, action, { id }))).toBe("VIDEO_NOT_FOUND");
    }
    const range = { id, revision: 1, rendition: "720p", from: 1, count: 5 };
    expect(await typeOf(call(here.broker, videos.segments, range))).toBe("VIDEO_NOT_FOUND");
    expect((await call(here.broker, videos.list, { as: onlyPerson })).total).toBe(0);
    expect(await typeOf(call(here.broker, videos.finish, { job: refOf(span) }))).toBe("JOB_LOST");
    expect(here.told.slice(-2)).toEqual([`${id} deleted`, `cancelled ${id}`]);
  });

  it("lets a plan that comes too late go, and makes no jobs for it", async () => {
    const id = await here.newVideo();
    const job = refOf(await here.claim("video.inspect"));
    await call(here.broker, videos.remove, { as: onlyPerson, id });
    expect(await typeOf(call(here.broker, videos.applyPlan, { job, ...plan }))).toBe("JOB_LOST");
    expect(await rows(here.db, "select 1 from jobs where state <> 'cancelled'")).toEqual([]);
  });

  it("is the same as one that never was", async () => {
    const id = randomUUID();
    expect(await typeOf(call(here.broker, videos.get, { as: onlyPerson, id }))).toBe("VIDEO_NOT_FOUND");
    expect(await typeOf(call(here.broker, videos.remove, { as: onlyPerson, id }))).toBe("VIDEO_NOT_FOUND");
  });
});

describe("the list", () => {
  it("shows each video once, newest first, by cursor and by page, also while new ones come", async () => {
    const ids: string[] = [];
    for (let index = 0; index < 7; index++) ids.unshift(await here.newVideo({ title: `Video ${index}` }));
    // Made in the same microsecond.
    await execute(here.db, "update videos set created_at = (select created_at from videos where id = $1) where id = $2", [
      ids[3]!,
      ids[4]!,
    ]);
    const expected = (await rows<{ id: string }>(here.db, "select id from videos order by created_at desc, id desc")).map(({ id }) => id);

    const byPage: string[] = [];
    for (const page of [1, 2, 3])
      byPage.push(...(await call(here.broker, videos.list, { as: onlyPerson, page, limit: 3 })).items.map(({ id }) => id));
    expect(byPage).toEqual(expected);

    const byCursor: string[] = [];
    let cursor: string | undefined;
    do {
      const answer = await call(here.broker, videos.list, { as: onlyPerson, limit: 2, ...(cursor === undefined ? {} : { cursor }) });
      expect(answer.hasMore).toBe(answer.nextCursor !== null);
      byCursor.push(...answer.items.map(({ id }) => id));
      cursor = answer.nextCursor ?? undefined;
      await here.newVideo();
    } while (cursor !== undefined);
    expect(byCursor).toEqual(expected);
  });

  it("counts and shows only the status that is asked for", async () => {
    const [waiting, other] = [await here.newVideo(), await here.newVideo()];
    await execute(here.db, "update videos set status = 'failed', error_type = 'INTERNAL' where id = $1", [other]);
    const answer = await call(here.broker, videos.list, { as: onlyPerson, status: "queued" });
    expect(answer).toMatchObject({ total: 1, hasMore: false, nextCursor: null });
    expect(answer.items.map(({ id }) => id)).toEqual([waiting]);
  });

  it("refuses a cursor that it did not give", async () => {
    expect(await typeOf(call(here.broker, videos.list, { as: onlyPerson, cursor: "nonsense" }))).toBe("INVALID_REQUEST");
  });
});

describe("the service", () => {
  it("offers the actions of its contract and none of moleculer-db", () => {
    const offered = here.broker.registry.getActionList({ onlyLocal: true, skipInternal: true }) as unknown as { name: string }[];
    const names = offered.map(({ name }) => name).filter((name) => name.startsWith("videos."));
    expect(names.toSorted()).toEqual(
      Object.values(videos)
        .map(({ name }) => name)
        .toSorted(),
    );
    expect(JSON.stringify(here.broker.getLocalService("videos").schema.actions)).not.toMatch(/"(?:rest|cache)"/);
  });

  it("measures the database, and says so when it is away", async () => {
    expect((await call(here.broker, videos.health, {})).databaseMs).toBeGreaterThan(0);
    await execute(here.db, "alter table videos rename to hidden");
    const error: unknown = await call(here.broker, videos.get, { as: onlyPerson, id: randomUUID() }).catch((thrown: unknown) => thrown);
    await execute(here.db, "alter table hidden rename to videos");
    expect(errorType(error)).toBe("INTERNAL");
    expect(String(error)).not.toMatch(/select|relation/i);
  });

  it("takes work that another service enqueued for a video along when that is deleted", async () => {
    const id = await here.newVideo();
    await transaction(here.db, async (tx) => await enqueue(tx, [{ kind: "video.picture", videoId: id, payload: {} }]));
    await call(here.broker, videos.remove, { as: onlyPerson, id });
    expect(await rows(here.db, "select 1 from jobs where state = 'cancelled'")).toHaveLength(2);
    expect(here.told).toContain(`cancelled ${id}`);
  });
});
