import { randomUUID } from "node:crypto";
import { execute } from "../../mixins/database/sql.ts";
import { anonymous, onlyPerson, type Principal } from "../../services/kernel/principal.ts";
import { call } from "../../services/kernel/rpc.ts";
import { videos, type VideoPage } from "../../services/videos/contract.ts";
import { startCatalogue, typeOf, type TestCatalogue } from "../support/videos.ts";

let here: TestCatalogue;

beforeAll(async () => {
  here = await startCatalogue();
});
afterAll(async () => {
  await here.stop();
});

type Question = Partial<Parameters<typeof call<typeof videos.list>>[2]>;

async function list(question: Question = {}): Promise<VideoPage> {
  return await call(here.broker, videos.list, { as: onlyPerson, ...question });
}

async function titles(question: Question = {}): Promise<string[]> {
  return (await list(question)).items.map(({ title }) => title);
}

/** Everything on all pages, by cursor. */
async function allTitles(question: Question): Promise<string[]> {
  const found: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await list({ ...question, limit: 2, ...(cursor === undefined ? {} : { cursor }) });
    found.push(...page.items.map(({ title }) => title));
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  return found;
}

const [ada, bob] = [randomUUID(), randomUUID()];
const uploader = (id: string): Principal => ({ id, role: "uploader" });

describe("orders and filters", () => {
  beforeAll(async () => {
    await here.empty();
    // The order in which they are made is not that of anything else.
    const library = [
      { title: "delta", seconds: 60, views: 5, day: 3, tags: ["sea"], visibility: "public", owner: ada },
      { title: "Älpha", seconds: 600, views: 5, day: 1, tags: ["sea", "sun"], visibility: "public", owner: bob },
      { title: "charlie", seconds: 30, views: 50, day: 4, tags: ["sun"], visibility: "unlisted", owner: ada },
      { title: "Bravo", seconds: null, views: 0, day: 2, tags: [], visibility: "private", owner: ada },
      { title: "echo", seconds: 60, views: 7, day: 5, tags: ["sea"], visibility: "public", owner: null },
    ] as const;
    for (const { title, seconds, views, day, tags, visibility, owner } of library) {
      const id = await here.newVideo({ title, tags: [...tags], visibility, as: owner ? uploader(owner) : onlyPerson });
      await execute(here.db, "update videos set duration_s = $2, created_at = $3 where id = $1", [
        id,
        seconds,
        `2026-01-0${day}T12:00:00Z`,
      ]);
      await execute(here.db, "update video_views set views = $2 where video_id = $1", [id, views]);
    }
    await execute(here.db, "update videos set status = 'failed', error_type = 'INTERNAL' where title = 'delta'");
  });

  it.each<[NonNullable<Question["sort"]>, string]>([
    ["-createdAt", "echo charlie delta Bravo Älpha"],
    ["createdAt", "Älpha Bravo delta charlie echo"],
    ["title", "Älpha Bravo charlie delta echo"],
    ["-title", "echo delta charlie Bravo Älpha"],
  ])("in the order %s, by page and by cursor", async (sort, expected) => {
    expect(await allTitles({ sort })).toEqual(expected.split(" "));
    const byPage = [...(await titles({ sort, limit: 3 })), ...(await titles({ sort, limit: 3, page: 2 }))];
    expect(byPage).toEqual(expected.split(" "));
  });

  it.each<[NonNullable<Question["sort"]>, (number | null)[]]>([
    ["duration", [null, 30, 60, 60, 600]],
    ["-duration", [600, 60, 60, 30, null]],
  ])("in the order %s, what is not known yet counting as none", async (sort, expected) => {
    expect((await list({ sort })).items.map(({ duration }) => duration)).toEqual(expected);
    expect(await allTitles({ sort })).toEqual(await titles({ sort }));
  });

  it("by views, those of as many in an order of their own", async () => {
    expect((await list({ sort: "-views" })).items.map(({ views }) => views)).toEqual([50, 7, 5, 5, 0]);
    expect(await allTitles({ sort: "-views" })).toEqual(await titles({ sort: "-views" }));
    expect(await titles({ sort: "views" })).toEqual((await titles({ sort: "-views" })).toReversed());
  });

  it.each<[Question, string]>([
    [{ tag: "sea" }, "echo delta Älpha"],
    [{ status: "failed" }, "delta"],
    [{ createdAfter: "2026-01-02T12:00:00Z", createdBefore: "2026-01-04T14:00:00+02:00" }, "delta Bravo"],
    [{ minDuration: 60 }, "echo delta Älpha"],
    [{ maxDuration: 60 }, "echo charlie delta"],
    [{ minDuration: 31, maxDuration: 60, tag: "sea" }, "echo delta"],
    [{ visibility: "unlisted" }, "charlie"],
    [{ owner: ada }, "charlie delta Bravo"],
    [{ owner: ada, visibility: "public" }, "delta"],
    [{ tag: "nothing" }, ""],
  ])("shows of %j exactly what fits, and how many that are", async (question, expected) => {
    const page = await list(question);
    expect(page.items.map(({ title }) => title).join(" ")).toBe(expected);
    expect(page).toMatchObject({ total: expected === "" ? 0 : expected.split(" ").length, totalEstimated: false, hasMore: false });
  });

  it.each<[string, Principal, Question, string]>([
    ["anyone", anonymous, {}, "echo delta Älpha"],
    ["anyone who asks for private ones", anonymous, { visibility: "private" }, ""],
    ["anyone who asks for those of a user", anonymous, { owner: ada }, "delta"],
    ["a user", uploader(ada), {}, "echo charlie delta Bravo Älpha"],
    ["another user", uploader(bob), {}, "echo delta Älpha"],
    ["another user, by title", uploader(bob), { sort: "title" }, "Älpha delta echo"],
    ["a user who asks for unlisted ones", uploader(ada), { visibility: "unlisted" }, "charlie"],
    ["a user who asks for those of another", uploader(bob), { owner: ada }, "delta"],
    ["a user who asks for its own", uploader(ada), { owner: ada }, "charlie delta Bravo"],
    ["an administrator", { id: bob, role: "admin" }, {}, "echo charlie delta Bravo Älpha"],
  ])("shows %s what is public and what is its own", async (_who, as, question, expected) => {
    const page = await list({ ...question, as });
    expect(page.items.map(({ title }) => title).join(" ")).toBe(expected);
    expect(page.total).toBe(expected === "" ? 0 : expected.split(" ").length);
    expect((await allTitles({ ...question, as })).join(" ")).toBe(expected);
  });

  it("shows the trash only to whose it is", async () => {
    const { items } = await list({ sort: "title" });
    await call(here.broker, videos.remove, { id: items[1]!.id, as: uploader(ada) });
    expect(await titles({ trash: true })).toEqual(["Bravo"]);
    expect(await titles({ trash: true, as: uploader(ada) })).toEqual(["Bravo"]);
    expect(await titles({ trash: true, as: uploader(bob) })).toEqual([]);
    expect(await titles({ trash: true, as: anonymous })).toEqual([]);
    expect(await titles({ as: uploader(ada) })).not.toContain("Bravo");
    await execute(here.db, "update videos set deleted_at = null");
  });

  it("refuses relevance without a search, and a cursor of another order", async () => {
    expect(await typeOf(list({ sort: "relevance" }))).toBe("INVALID_REQUEST");
    const { nextCursor } = await list({ limit: 1 });
    expect(await typeOf(list({ cursor: nextCursor!, sort: "title" }))).toBe("INVALID_REQUEST");
  });
});

describe("a search", () => {
  beforeAll(async () => {
    await here.empty();
    const library = [
      { title: "Crème brûlée in five minutes", description: "A dessert.", tags: ["cooking"] },
      { title: "my_holiday.in-Münster.final.mp4", description: "", tags: ["travel"] },
      { title: "Straßenbahn", description: "Trams, and how to cook for their drivers", tags: [] },
      { title: "Как приготовить борщ", description: "", tags: ["кухня"] },
      { title: "東京タワーの夜景", description: "", tags: ["travel"] },
      { title: "İstanbul'da bir gün", description: "", tags: [] },
      { title: "Cooking with nothing", description: "", tags: [] },
      { title: "หนังสือไทย", description: "", tags: [] },
    ];
    for (const about of library) await here.newVideo(about);
  });

  it.each([
    ["creme brulee", "Crème brûlée in five minutes"],
    ["BRÛLÉE", "Crème brûlée in five minutes"],
    ["brul", "Crème brûlée in five minutes"],
    ["minutes five", "Crème brûlée in five minutes"],
    ["holiday", "my_holiday.in-Münster.final.mp4"],
    ["munster mp4", "my_holiday.in-Münster.final.mp4"],
    ["strassen", "Straßenbahn"],
    ["БОРЩ", "Как приготовить борщ"],
    ["приготов", "Как приготовить борщ"],
    ["кухня", "Как приготовить борщ"],
    ["東京", "東京タワーの夜景"],
    ["夜景", "東京タワーの夜景"],
    ["istanbul", "İstanbul'da bir gün"],
    ["สือ", "หนังสือไทย"],
  ])("for %s finds %s", async (q, title) => {
    expect(await titles({ q })).toEqual([title]);
    expect((await list({ q })).corrected).toBeNull();
  });

  it("puts what has the word in its title before what has it elsewhere, and of those the newest first", async () => {
    expect(await titles({ q: "cook" })).toEqual(["Cooking with nothing", "Straßenbahn", "Crème brûlée in five minutes"]);
    expect(await titles({ q: "cook", page: 2, limit: 1 })).toEqual(["Straßenbahn"]);
  });

  it("is sorted and filtered as any list, and says how much it finds", async () => {
    expect(await titles({ q: "cook", sort: "-title" })).toEqual(["Straßenbahn", "Crème brûlée in five minutes", "Cooking with nothing"]);
    expect(await titles({ q: "cook", tag: "cooking" })).toEqual(["Crème brûlée in five minutes"]);
    expect(await allTitles({ q: "cook" })).toEqual(await titles({ q: "cook" }));
    expect(await list({ q: "cook", limit: 1 })).toMatchObject({ total: 3, hasMore: true });
  });

  it.each([
    ["cooknig", "cooking", "Cooking with nothing"],
    ["minuets", "minutes", "Crème brûlée in five minutes"],
    ["holliday", "holiday", "my_holiday.in-Münster.final.mp4"],
    ["creme brulle", "creme brulee", "Crème brûlée in five minutes"],
    ["приготовоть", "приготовить", "Как приготовить борщ"],
  ])("that is mistyped as %s is made for %s, and says so", async (q, corrected, title) => {
    const page = await list({ q });
    expect(page.corrected).toBe(corrected);
    expect(page.items[0]?.title).toBe(title);
    expect(page.total).toBe(page.items.length);
    expect(await list({ q, page: 2 })).toMatchObject({ corrected, items: [], total: page.total });
  });

  it("is mended by the words of what the asker may see, and tells nobody a word of anything else", async () => {
    const id = await here.newVideo({ as: uploader(ada), title: "Kündigung Zimmermannstrasse", visibility: "private" });
    const q = "zimermannstrase";
    expect(await list({ q, as: uploader(ada) })).toMatchObject({ corrected: "zimmermannstrasse", total: 1 });
    for (const as of [uploader(bob), anonymous]) {
      expect(await list({ q, as })).toMatchObject({ corrected: null, items: [], total: 0 });
      expect(await list({ q, as, page: 2 })).toMatchObject({ corrected: null, items: [] });
    }
    await call(here.broker, videos.purge, { id, as: uploader(ada) });
    expect(await list({ q, as: uploader(ada) })).toMatchObject({ corrected: null, items: [] });
  });

  it.each(["xylophone quartz", "...", "'", "a & b | !c", "<-> :* (", "\\", "%", "_", "'; drop table videos; --", "x".repeat(200), "💥"])(
    "for %j finds nothing, and breaks nothing",
    async (q) => {
      expect(await list({ q })).toMatchObject({ items: [], total: 0, nextCursor: null });
    },
  );

  it("finds a video by its new title, and not by the former", async () => {
    await execute(here.db, "update videos set title = 'Xylophones' where title = 'Straßenbahn'");
    expect(await titles({ q: "xylofones" })).toEqual(["Xylophones"]);
    expect(await titles({ q: "strassenbahn" })).toEqual([]);
  });
});

it("of one's own many private videos tells exactly how few a search finds", async () => {
  await here.empty();
  const id = await here.newVideo({ title: "A quokka", visibility: "private", as: uploader(ada) });
  await execute(
    here.db,
    `insert into videos (id, title, description, tags, visibility, owner_id, filename, source_blob, source_size, status)
     select gen_random_uuid(), 'Wombat ' || n, description, tags, visibility, owner_id, filename, source_blob, source_size, status
     from videos, generate_series(1, 1500) as n where id = $1`,
    [id],
  );
  await execute(here.db, "analyze videos");
  await here.newVideo({ title: "Two quokkas and a quokka", visibility: "private", as: uploader(ada) });
  expect(await list({ q: "quokka", limit: 1, as: uploader(ada) })).toMatchObject({ total: 2, totalEstimated: false, hasMore: true });
});
