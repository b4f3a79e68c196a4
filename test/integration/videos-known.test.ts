/** What is remembered of videos and lists where all changes are made by one process, and what is not. */
import { ConnectionError } from "sequelize";
import { enqueue } from "../../mixins/database/enqueue.ts";
import { execute, transaction, type Database } from "../../mixins/database/sql.ts";
import { anonymous, onlyPerson } from "../../services/kernel/principal.ts";
import { call } from "../../services/kernel/rpc.ts";
import { videos } from "../../services/videos/contract.ts";
import { KnownVideos } from "../../services/videos/known.ts";
import { Lists } from "../../services/videos/lists.ts";
import { refOf, startCatalogue, typeOf, type TestCatalogue } from "../support/videos.ts";

let here: TestCatalogue;

beforeAll(async () => {
  here = await startCatalogue();
});
afterAll(async () => {
  await here.stop();
});
beforeEach(async () => await here.empty());

/** A video to which nothing has happened for an hour. */
async function oldVideo(title: string, status = "ready"): Promise<string> {
  const id = await here.newVideo({ title, as: onlyPerson });
  await execute(here.db, "update videos set status = $2, updated_at = now() - interval '1 hour' where id = $1", [id, status]);
  return id;
}

/** By a way that no service hears of. */
async function retitle(id: string, title: string): Promise<void> {
  await execute(here.db, "update videos set title = $2 where id = $1", [id, title]);
}

const listed = async (): Promise<string[]> =>
  (await call(here.broker, videos.list, { as: anonymous, sort: "title" })).items.map(({ title }) => title);

describe("a video", () => {
  it.each([
    ["on which nobody works is read once", false, "ready", "before"],
    ["of which another process may make something else is read each time", true, "ready", "after"],
    ["that is being worked on is read each time", false, "processing", "after"],
  ])("%s", async (_what, losesEvents, status, expected) => {
    const known = new KnownVideos(here.db, { losesEvents });
    const id = await oldVideo("before", status);
    expect((await known.find(id))?.title).toBe("before");
    await retitle(id, "after");
    expect((await known.find(id))?.title).toBe(expected);
  });

  it("that is ready waits for none on which somebody works, though they are asked for together", async () => {
    const known = new KnownVideos(here.db, { losesEvents: true });
    const [busy, ready] = [await oldVideo("busy", "processing"), await oldVideo("ready")];
    const told = async (id: string): Promise<string | undefined> => (await known.find(id))?.title;
    const waiting = await transaction(here.db, async (tx) => {
      await execute(tx, "lock table jobs in access exclusive mode");
      const both = [told(busy), told(ready)];
      expect(await Promise.race(both)).toBe("ready");
      return { both };
    });
    expect(await Promise.all(waiting.both)).toEqual(["busy", "ready"]);
  });

  it("is read anew once it changed, also when that was while it was read", async () => {
    const known = new KnownVideos(here.db, { losesEvents: false });
    const id = await oldVideo("before");
    const reading = known.find(id);
    // By then the question is on its way.
    await new Promise((resolve) => setImmediate(resolve));
    known.forget();
    await reading;
    await retitle(id, "after");
    expect((await known.find(id))?.title).toBe("after");
    await retitle(id, "later");
    known.forget(id);
    expect((await known.find(id))?.title).toBe("later");
  });
});

/** The next transaction is committed, and the connection breaks before it says so. */
function loseAnswer(): void {
  const { db } = here.broker.getLocalService("videos") as unknown as { db: Database };
  const honest = db.transaction.bind(db) as (work: unknown) => Promise<unknown>;
  jest.spyOn(db, "transaction").mockImplementationOnce(async (work: unknown) => {
    await honest(work);
    throw new ConnectionError(new Error("Connection terminated unexpectedly"));
  });
}

describe("a change of which only the answer was lost", () => {
  afterEach(() => jest.restoreAllMocks());

  it.each<[string, (id: string) => Promise<unknown>]>([
    ["private", async (id) => await call(here.broker, videos.edit, { as: onlyPerson, id, set: { visibility: "private" } })],
    ["deleted", async (id) => await call(here.broker, videos.remove, { as: onlyPerson, id })],
    ["gone", async (id) => await call(here.broker, videos.purge, { as: onlyPerson, id })],
  ])("shows nobody a video that it made %s", async (_what, change) => {
    const id = await oldVideo("b");
    expect(await listed()).toEqual(["b"]);
    expect((await call(here.broker, videos.get, { as: anonymous, id })).title).toBe("b");
    loseAnswer();
    expect(await typeOf(change(id))).toBe("DATABASE_UNAVAILABLE");
    expect(await listed()).toEqual([]);
    expect(await typeOf(call(here.broker, videos.get, { as: anonymous, id }))).toBe("VIDEO_NOT_FOUND");
  });

  it("is seen also when a worker made it, who names no video", async () => {
    const id = await oldVideo("before");
    await transaction(here.db, async (tx) => await enqueue(tx, [{ kind: "video.picture", videoId: id, payload: {} }]));
    const job = refOf(await here.claim("video.picture"));
    expect(await listed()).toEqual(["before"]);
    await retitle(id, "after");
    expect(await listed()).toEqual(["before"]);
    loseAnswer();
    expect(await typeOf(call(here.broker, videos.finish, { job }))).toBe("DATABASE_UNAVAILABLE");
    expect(await listed()).toEqual(["after"]);
  });
});

describe("a page", () => {
  it("on which another process may put something is found each time", async () => {
    const lists = new Lists(here.db, { losesEvents: true });
    const found = async (): Promise<readonly string[]> => (await lists.page({ as: anonymous, page: 1, limit: 20, trash: false })).ids;
    expect(await found()).toEqual([]);
    const id = await oldVideo("b");
    expect(await found()).toEqual([id]);
  });

  it("that is quiet is found once, and anew by whoever asks after a change", async () => {
    const id = await oldVideo("b");
    await execute(here.db, "update videos set deleted_at = now() where id = $1", [await oldVideo("c")]);
    expect(await listed()).toEqual(["b"]);
    await execute(here.db, "update videos set deleted_at = null");
    expect(await listed()).toEqual(["b"]);
    await call(here.broker, videos.edit, { as: onlyPerson, id, set: { title: "d" } });
    expect(await listed()).toEqual(["c", "d"]);
  });

  it("on which something happens is found each time", async () => {
    await execute(here.db, "update videos set deleted_at = now() where id = $1", [await oldVideo("c")]);
    await here.newVideo({ title: "b", as: onlyPerson });
    expect(await listed()).toEqual(["b"]);
    await execute(here.db, "update videos set deleted_at = null");
    expect(await listed()).toEqual(["b", "c"]);
  });

  it("that was found shows nobody what was made private since, whoever did it", async () => {
    const id = await oldVideo("b", "processing");
    await oldVideo("c");
    expect(await listed()).toEqual(["b", "c"]);
    await execute(here.db, "update videos set visibility = 'private' where id = $1", [id]);
    expect(await listed()).toEqual(["c"]);
  });
});
