import { Client } from "pg";
import { openDatabase } from "../../mixins/database/connection.ts";
import type { Database } from "../../mixins/database/sql.ts";
import { one } from "../../mixins/database/sql.ts";
import { anonymous, onlyPerson, type Principal } from "../../services/kernel/principal.ts";
import { describe as describeVideos } from "../../services/videos/store/described.ts";
import { countVideos, findPage, guessVideos, type List, type Listing } from "../../services/videos/store/listing.ts";
import { popularVideos, statisticsOf } from "../../services/videos/store/viewings.ts";
import type { Period } from "../../services/videos/domain/viewing.ts";
import { fillLibrary } from "../support/library.ts";
import { testDatabase, type TestDatabase } from "../support/postgres.ts";

/** Large enough that whatever reads all of it is told from what does not, and made in some 20 s. */
const VIDEOS = 200_000;
/** A hundredth of the videos, and no more than this at any size: what a page may read, and what it may sort. */
const READ_MAX = 20_000;
const SORTED_MAX = 5000;

interface PlanNode {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly "Actual Rows": number;
  readonly "Actual Loops": number;
  readonly "Rows Removed by Filter"?: number;
  readonly "Rows Removed by Index Recheck"?: number;
  readonly Plans?: readonly PlanNode[];
}

let database: TestDatabase;
let db: Database;
let owner: string;

beforeAll(async () => {
  database = await testDatabase();
  await fillLibrary(database.ownerUrl, VIDEOS);
  db = openDatabase(database.url, { connectionsMax: 2 });
  owner = (await one<{ id: string }>(db, "select owner_id as id from videos group by 1 order by count(*) desc limit 1"))!.id;
}, 180_000);
afterAll(async () => {
  await database.drop();
});

const guess = async (list: List): Promise<number> => await guessVideos(db, list);

/** The plans of all statements that `work` makes, as they were carried out. */
async function plansOf(work: (on: Database) => Promise<unknown>): Promise<PlanNode[]> {
  const texts: [string, unknown[]][] = [];
  const recorded = Object.create(db, {
    query: {
      value: async (text: string, options: { bind: unknown[] }) => {
        if (!text.startsWith("explain")) texts.push([text, options.bind]);
        return await db.query(text, options);
      },
    },
  }) as Database;
  await work(recorded);
  const plans: PlanNode[] = [];
  for (const [text, bind] of texts) {
    const [answer] = (await db.query(`explain (analyze, format json) ${text}`, { bind }))[0] as [{ "QUERY PLAN": [{ Plan: PlanNode }] }];
    plans.push(answer["QUERY PLAN"][0].Plan);
  }
  return plans;
}

const nodesOf = (node: PlanNode): PlanNode[] => [node, ...(node.Plans ?? []).flatMap(nodesOf)];

const readBy = (node: PlanNode): number =>
  (node["Actual Rows"] + (node["Rows Removed by Filter"] ?? 0) + (node["Rows Removed by Index Recheck"] ?? 0)) * node["Actual Loops"];

/** What is wrong with how a list is answered. */
async function flaws(question: Partial<Listing>): Promise<string[]> {
  const listing: Listing = { as: anonymous, page: 1, limit: 20, trash: false, ...question };
  return await flawsOf(async (on) => {
    await describeVideos(on, (await findPage(on, listing, guess)).ids);
    await countVideos(on, listing, guess);
  });
}

/** What is wrong with the statements that `work` makes. */
async function flawsOf(work: (on: Database) => Promise<unknown>, most = { read: READ_MAX, sorted: SORTED_MAX }): Promise<string[]> {
  const plans = await plansOf(work);
  return plans.flatMap(nodesOf).flatMap((node) => {
    const type = node["Node Type"];
    const sorted = type === "Sort" ? (node.Plans ?? []).reduce((sum, child) => sum + readBy(child), 0) : 0;
    return [
      ...(type === "Seq Scan" && readBy(node) > most.read ? [`reads all of ${node["Relation Name"]}`] : []),
      ...(/Scan/.test(type) && readBy(node) > most.read ? [`${type} of ${readBy(node)} rows`] : []),
      ...(sorted > most.sorted ? [`sorts ${sorted} rows`] : []),
    ];
  });
}

const people: Record<string, () => Principal> = {
  anyone: () => anonymous,
  "a user": () => ({ id: owner, role: "uploader" }),
  "an administrator": () => onlyPerson,
};
const sorts = ["-createdAt", "createdAt", "title", "-title", "duration", "-duration", "views", "-views"] as const;
const filters: Record<string, () => Partial<Listing>> = {
  nothing: () => ({}),
  "a status": () => ({ status: "failed" }),
  "a common tag": () => ({ tag: "tag1" }),
  "a rare tag": () => ({ tag: "tag400" }),
  "a month": () => ({ createdAfter: "2026-01-01T00:00:00Z", createdBefore: "2026-02-01T00:00:00Z" }),
  "long ones": () => ({ minDuration: 5400 }),
  "unlisted ones": () => ({ visibility: "unlisted" }),
  "those of a user": () => ({ owner }),
  "the trash": () => ({ trash: true }),
};

describe.each(Object.keys(people))("for %s", (who) => {
  const as = (): Principal => people[who]!();

  it.each(sorts)("the list by %s reads what it shows, on the first page and deep inside", async (sort) => {
    const first = await findPage(db, { as: as(), page: 2000, limit: 20, trash: false, sort }, guess);
    expect(first.ids).toHaveLength(20);
    expect(await flaws({ as: as(), sort })).toEqual([]);
    expect(await flaws({ as: as(), sort, cursor: first.nextCursor! })).toEqual([]);
  });

  it.each(Object.keys(filters))("the list of %s is read from an index", async (what) => {
    expect(await flaws({ as: as(), ...filters[what]!() })).toEqual([]);
  });

  it.each([
    ["the commonest word", "cebana"],
    ["a common word", "habana"],
    ["a rare word", "vafose"],
    ["two words", "habana cebana"],
    ["the beginning of a word", "hab"],
    ["a word with a filter", "habana tag1"],
    ["nothing that exists", "qqqqqqq"],
    ["a mistyped word", "vafsoe"],
  ])("a search for %s reads and ranks few", async (_what, q) => {
    expect(await flaws({ as: as(), q })).toEqual([]);
    expect(await flaws({ as: as(), q, sort: "-createdAt" })).toEqual([]);
  });
});

describe("of who watches", () => {
  const DAY_MS = 86_400_000;
  const lately = (days: number): Period => {
    const now = Date.now();
    return { from: new Date(now - days * DAY_MS).toISOString(), to: new Date(now).toISOString(), interval: "day" };
  };
  let watched: string;

  /** A hundred days of 2000 viewings, one in a hundred of them of one video, and of 84 hours with views of some video in each hour. */
  beforeAll(async () => {
    const client = new Client({ connectionString: database.ownerUrl });
    await client.connect();
    watched = (await one<{ id: string }>(db, "select id from videos limit 1"))!.id;
    await client.query(`
      create temp table shown as select id, row_number() over () - 1 as n from (select id from videos limit 1000) as few;
      insert into viewings (video_id, session, viewer, began_at, watched_s)
      select case when g % 100 = 0 then '${watched}' else id end, gen_random_uuid(), decode(md5(g::text), 'hex'), now() - g * interval '43.2 s', 60
      from generate_series(1, 200000) as g join shown on n = g % 1000;
      insert into view_hours (video_id, hour, views)
      select id, date_trunc('hour', now(), 'UTC') - (g / 84) * interval '1 hour', 1 from generate_series(1, 200000) as g join shown on n = g % 1000;
      analyze viewings;
      analyze view_hours`);
    await client.end();
  }, 120_000);

  it("a month of one video is read from an index", async () => {
    expect(await flawsOf(async (on) => await statisticsOf(on, watched, lately(30)))).toEqual([]);
  });

  it("a day of all videos reads that day", async () => {
    expect(await flawsOf(async (on) => await statisticsOf(on, null, lately(1)))).toEqual([]);
  });

  it("what is popular reads a fortnight, and sorts no more than that", async () => {
    const fortnight = 15 * 24 * 84;
    // By what a sample of the rows says, they are grouped in a table or one after the other: the one costs as much as the other.
    expect(await flawsOf(async (on) => await popularVideos(on, 100), { read: fortnight, sorted: fortnight })).toEqual([]);
  });
});

it("finds fault with a list that no index answers", async () => {
  const asOwner = openDatabase(database.ownerUrl, { connectionsMax: 1 });
  await asOwner.query("drop index videos_public_title");
  await asOwner.query("drop index videos_title");
  expect(await flaws({ sort: "title" })).toEqual(expect.arrayContaining([expect.stringMatching(/sorts \d+ rows/)]));
});

it("guesses how long a long list is, and counts a short one", async () => {
  const all = await countVideos(db, { as: onlyPerson, trash: false }, guess);
  expect(all.estimated).toBe(true);
  expect(all.total / VIDEOS).toBeGreaterThan(0.9);
  expect(all.total / VIDEOS).toBeLessThan(1.05);
  const few = await countVideos(db, { as: onlyPerson, trash: false, minDuration: 7000 }, guess);
  const counted = await one<{ count: number }>(
    db,
    "select count(*)::integer as count from videos where deleted_at is null and duration_s >= 7000",
  );
  expect(few).toEqual({ total: counted?.count, estimated: false });
});
