import { openDatabase } from "../../mixins/database/connection.ts";
import type { Database } from "../../mixins/database/sql.ts";
import { one } from "../../mixins/database/sql.ts";
import { anonymous, onlyPerson, type Principal } from "../../services/kernel/principal.ts";
import { describe as describeVideos } from "../../services/videos/store/described.ts";
import { countVideos, findPage, guessVideos, type List, type Listing } from "../../services/videos/store/listing.ts";
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

/** What is wrong with how a question is answered. */
async function flaws(question: Partial<Listing>, most = { read: READ_MAX, sorted: SORTED_MAX }): Promise<string[]> {
  const listing: Listing = { as: anonymous, page: 1, limit: 20, trash: false, ...question };
  const plans = await plansOf(async (on) => {
    await describeVideos(on, (await findPage(on, listing, guess)).ids);
    await countVideos(on, listing, guess);
  });
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
