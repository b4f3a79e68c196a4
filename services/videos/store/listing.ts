/** Pages of the list of videos: one statement says which, each order and filter from an index; another says what they are. */
import { one, rows, type Bind, type Database } from "../../../mixins/database/sql.ts";
import type { Principal } from "../../kernel/principal.ts";
import { decodeCursor, encodeCursor, type Position } from "../domain/cursor.ts";
import { orderOf, scopesOf, type Filters, type Order, type Scope, type Sort, type SortKey } from "../domain/listing.ts";

/** A list as a whole. */
export interface List extends Filters {
  readonly as: Principal;
  readonly sort?: Sort | undefined;
}

/** A page of it. */
export interface Listing extends List {
  readonly page: number;
  readonly limit: number;
  readonly cursor?: string | undefined;
}

/** Which videos a page has. */
export interface FoundPage {
  readonly ids: readonly string[];
  readonly nextCursor: string | null;
  /** The search that was made instead of one that found nothing; null when it was made as it was asked for. */
  readonly corrected: string | null;
}

/** What a list can be sorted by: its column, the column of the id that its index goes on with, and its value in a cursor and back. */
interface SortColumn {
  readonly by: string;
  readonly id: string;
  readonly from: string;
  readonly text: (by: string) => string;
  readonly value: (placeholder: string) => string;
}

const VIDEOS = "videos v";
const asText = (by: string): string => `${by}::text`;
const microseconds = (by: string): string => `(extract(epoch from ${by}) * 1000000)::bigint`;
const columns: Readonly<Record<Exclude<SortKey, "relevance">, SortColumn>> = {
  createdAt: {
    by: "v.created_at",
    id: "v.id",
    from: VIDEOS,
    text: (by) => asText(microseconds(by)),
    value: (at) => `timestamptz 'epoch' + ${at}::bigint * interval '1 microsecond'`,
  },
  title: { by: "v.title_sort", id: "v.id", from: VIDEOS, text: asText, value: (at) => `${at}::text` },
  duration: { by: "v.duration_sort", id: "v.id", from: VIDEOS, text: asText, value: (at) => `${at}::float8` },
  views: {
    by: "n.views",
    id: "n.video_id",
    from: `video_views n join ${VIDEOS} on v.id = n.video_id`,
    text: asText,
    value: (at) => `${at}::bigint`,
  },
};

/** Values on their way into a statement: each becomes a parameter. */
class Bindings {
  readonly values: Bind[] = [];

  add(value: Bind): string {
    this.values.push(value);
    return `$${this.values.length}`;
  }
}

/**
 * The page, and what a search was corrected to when it found nothing. INVALID_REQUEST for a cursor of another list, and for relevance without a search.
 * After a cursor the comparison is one of rows, which the index answers in half a millisecond at any depth; written as `a < x or (a = x and b < y)` it
 * takes 840 ms of a million.
 */
export async function findPage(db: Database, listing: Listing, guess: Guess): Promise<FoundPage> {
  const scopes = scopesOf(listing.as, listing);
  const order = orderOf(listing.sort, listing.q);
  const after = listing.cursor === undefined ? undefined : decodeCursor(order, listing.cursor);
  const gathers = listing.q !== undefined && (await guess(listing)) <= GATHERED_MAX;
  const wanted = { listing, scopes, order, after, gathers };
  const found = scopes.length === 0 ? [] : await readPage(db, wanted);
  const corrected = found.length === 0 ? await correction(db, wanted) : null;
  if (corrected !== null) return await correctedPage(db, { ...listing, q: corrected }, guess);
  const shown = found.slice(0, listing.limit);
  const last = shown.at(-1);
  const nextCursor = last && found.length > listing.limit ? encodeCursor(order, { key: last.sortedBy, id: last.id }) : null;
  return { ids: shown.map(({ id }) => id), nextCursor, corrected: null };
}

/** Words are known of all videos: who asks is told of those that stand in what he may see, and of no others. */
async function correctedPage(db: Database, listing: Listing & { q: string }, guess: Guess): Promise<FoundPage> {
  const page = await findPage(db, listing, guess);
  const first = isFirst(listing) ? page : await findPage(db, { ...listing, page: 1, limit: 1, cursor: undefined }, guess);
  return { ...page, corrected: first.ids.length === 0 ? null : (page.corrected ?? listing.q) };
}

function isFirst({ page, cursor }: Listing): boolean {
  return page === 1 && cursor === undefined;
}

interface Wanted<L extends List = Listing> {
  readonly listing: L;
  readonly scopes: readonly Scope[];
  readonly order: Order;
  readonly after: Position | undefined;
  /** All that a search finds is looked at and sorted: else the newest are gone through until enough of them fit. */
  readonly gathers: boolean;
}

/** How many videos a list may have, from what the planner knows of the columns. */
export type Guess = (list: List) => Promise<number>;

/**
 * With a million videos, to gather 3000 costs what it costs to go through them until a page of 20 is full: to look at one that the index found takes a
 * microsecond, at the next older one less than half. The planner takes words to be compared as quickly as numbers, and goes through them from 1000 on.
 */
const GATHERED_MAX = 3000;

interface Listed {
  readonly id: string;
  readonly sortedBy: string;
}

/** One more than the page holds, to know whether there is a next one. By relevance, what has the words elsewhere is looked for when the titles do not fill the page. */
async function readPage(db: Database, wanted: Wanted): Promise<readonly Listed[]> {
  if (wanted.order.key !== "relevance") return await readSorted(db, wanted, [{ key: wanted.order.key }]);
  const titled = isPastTitles(wanted.after) ? [] : await readSorted(db, wanted, [TITLED]);
  return titled.length > wanted.listing.limit ? titled : await readSorted(db, wanted, [TITLED, ELSEWHERE]);
}

/** Videos that are read in one order from one index. */
interface Run {
  readonly key: Exclude<SortKey, "relevance">;
  /** Where the words of a search have to be; anywhere without it. */
  readonly words?: "title" | "elsewhere";
}

/** By relevance, what has all the words in its title comes first, and of equals the newest: each of the two is read from an index as far as the page reaches. */
const TITLED: Run = { key: "createdAt", words: "title" };
const ELSEWHERE: Run = { key: "createdAt", words: "elsewhere" };
/** Microseconds have 16 digits: those of what has the words in its title are so much later. */
const IN_TITLE = 100_000_000_000_000_000n;

function isPastTitles(after: Position | undefined): boolean {
  return after !== undefined && BigInt(after.key) < IN_TITLE;
}

async function readSorted(db: Database, wanted: Wanted, runs: readonly Run[]): Promise<readonly Listed[]> {
  const bindings = new Bindings();
  const { listing, order, gathers } = wanted;
  const limit = bindings.add(listing.limit + 1);
  const offset = bindings.add(listing.cursor === undefined ? (listing.page - 1) * listing.limit : 0);
  const parts = runs.flatMap((run) => partsOf(wanted, run, bindings));
  // A subquery with an offset is planned by itself: for all that it finds.
  const reach = gathers ? () => "offset 0" : (part: Part) => `order by ${part.order} limit ${limit}::integer + ${offset}::integer`;
  const merged = parts.map((part) => `(${part.text} ${reach(part)})`).join(" union all ");
  const way = order.descending ? "desc" : "asc";
  return await rows<Listed>(
    db,
    `select id, ${sortedBy(order)} as "sortedBy"
     from (select * from (${merged}) as merged order by titled desc, by ${way}, id ${way} limit ${limit} offset ${offset}) as page
     order by titled desc, by ${way}, id ${way}`,
    bindings.values,
  );
}

function sortedBy({ key }: Order): string {
  return key === "relevance" ? `(${microseconds("by")} + titled * ${IN_TITLE})::text` : columns[key].text("by");
}

/** A select that ends with its conditions, and the order that its index has. */
interface Part {
  readonly text: string;
  readonly order: string;
}

/** Each scope is read from its own index. */
function partsOf({ listing, scopes, order, after }: Omit<Wanted<List>, "gathers">, run: Run, bindings: Bindings): Part[] {
  const { by, id, from, value } = columns[run.key];
  const start = after && startOf(run, after);
  if (start === "none") return [];
  const beyond = start
    ? [`(${by}, ${id}) ${order.descending ? "<" : ">"} (${value(bindings.add(start.key))}, ${bindings.add(start.id)}::uuid)`]
    : [];
  const way = order.descending ? "desc" : "asc";
  return scopes.map((scope) => {
    const all = [...conditions(listing, scope, bindings, run.words), ...beyond].join(" and ");
    const text = `select v.id, ${by} as by, ${run.words === "title" ? 1 : 0} as titled from ${from} where ${all}`;
    return { text, order: `${by} ${way}, ${id} ${way}` };
  });
}

/** Where a run goes on after a page: "none" when all of it came before. */
function startOf({ words }: Run, after: Position): Position | "none" | undefined {
  if (words === undefined) return after;
  if (words === "elsewhere") return isPastTitles(after) ? after : undefined;
  return isPastTitles(after) ? "none" : { ...after, key: String(BigInt(after.key) - IN_TITLE) };
}

/** What a video of the scope has to be like. */
function conditions(filters: Filters, scope: Scope, bindings: Bindings, words?: Run["words"]): string[] {
  const { q, status, tag, createdAfter, createdBefore, minDuration, maxDuration, visibility, owner, trash } = filters;
  const given = (value: Bind | undefined, text: (placeholder: string) => string): string[] =>
    value === undefined ? [] : [text(bindings.add(value))];
  return [
    `v.deleted_at is ${trash ? "not null" : "null"}`,
    ...(scope.visibility === undefined ? [] : [`v.visibility ${scope.visibility === "public" ? "=" : "<>"} 'public'`]),
    ...given(scope.owner, (at) => `v.owner_id = ${at}::uuid`),
    ...given(owner, (at) => `v.owner_id = ${at}::uuid`),
    ...given(visibility, (at) => `v.visibility = ${at}`),
    ...given(status, (at) => `v.status = ${at}`),
    ...given(tag, (at) => `v.tags @> array[${at}::text]`),
    ...given(createdAfter, (at) => `v.created_at >= ${at}::timestamptz`),
    ...given(createdBefore, (at) => `v.created_at < ${at}::timestamptz`),
    // Of what is not inspected yet the duration is not known: it is sorted as 0, and no filter finds it.
    ...(minDuration === undefined && maxDuration === undefined ? [] : ["v.duration_s is not null"]),
    ...given(minDuration, (at) => `v.duration_sort >= ${at}::float8`),
    ...given(maxDuration, (at) => `v.duration_sort <= ${at}::float8`),
    ...given(q, (at) => searched(words === "title" ? "title_search" : "search", scope, at)),
    ...(words === "elsewhere" ? given(q, (at) => `not ts_match_vq(v.title_search, search_query(${at}))`) : []),
  ];
}

/** Of one person's videos each is looked at: as a function, the comparison leaves the index of everybody's words alone. */
function searched(column: "search" | "title_search", { owner }: Scope, at: string): string {
  return owner === undefined ? `v.${column} @@ search_query(${at})` : `ts_match_vq(v.${column}, search_query(${at}))`;
}

/** Only a search that finds nothing on any page is mended, so that all its pages are of the same search. */
async function correction(db: Database, wanted: Wanted): Promise<string | null> {
  const { listing, scopes } = wanted;
  if (listing.q === undefined || scopes.length === 0) return null;
  if (
    !isFirst(listing) &&
    (await readPage(db, { ...wanted, listing: { ...listing, page: 1, limit: 1, cursor: undefined }, after: undefined })).length > 0
  ) {
    return null;
  }
  return (await one<{ corrected: string | null }>(db, "select search_correction($1) as corrected", [listing.q]))?.corrected ?? null;
}

/** The exact number is asked for up to here, which takes some milliseconds; of all of a million, 100. */
const COUNTED_MAX = 1000;
/** Of a search: what it finds lies all over the table, and to look at a thousand costs more than all the rest of the answer. */
const FOUND_COUNTED_MAX = 200;

export interface Total {
  readonly total: number;
  /** Whether it is the planner's guess, from what it knows of the columns. */
  readonly estimated: boolean;
}

/** How many videos a list has on all its pages together. */
export async function countVideos(db: Database, list: List, guess: Guess): Promise<Total> {
  const scopes = scopesOf(list.as, list);
  if (scopes.length === 0) return { total: 0, estimated: false };
  const found = list.q === undefined ? 0 : await guess(list);
  if (found > FOUND_COUNTED_MAX) return { total: found, estimated: true };
  const total = await countUpTo(db, list, scopes, COUNTED_MAX + 1);
  return total <= COUNTED_MAX ? { total, estimated: false } : { total: Math.max(total, await guess(list)), estimated: true };
}

/** In an order that an index has: else the planner hopes to find so many soon, and reads all videos when there are fewer. */
async function countUpTo(db: Database, list: List, scopes: readonly Scope[], most: number): Promise<number> {
  const bindings = new Bindings();
  const newest = { listing: list, scopes, order: { key: "createdAt", descending: true }, after: undefined } as const;
  const parts = partsOf(newest, { key: "createdAt" }, bindings).map(({ text, order }) => `(${text} order by ${order} limit ${most})`);
  const text = `select count(*)::integer as count from (${parts.join(" union all ")}) as found`;
  return Math.min(most, (await one<{ count: number }>(db, text, bindings.values))?.count ?? 0);
}

interface Explained {
  readonly "QUERY PLAN": readonly [{ readonly Plan: { readonly "Plan Rows": number } }];
}

/** What the planner expects, without looking at a video. */
export async function guessVideos(db: Database, list: List): Promise<number> {
  const bindings = new Bindings();
  const { q, ...rest } = list;
  // As an operator, whoever is searched: of a function the planner knows nothing, and expects a third of all.
  const words = q === undefined ? [] : [`v.search @@ search_query(${bindings.add(q)})`];
  const any = scopesOf(list.as, list).map((scope) => `(${[...conditions(rest, scope, bindings), ...words].join(" and ")})`);
  if (any.length === 0) return 0;
  const plan = await one<Explained>(db, `explain (format json) select 1 from ${VIDEOS} where ${any.join(" or ")}`, bindings.values);
  return plan?.["QUERY PLAN"][0].Plan["Plan Rows"] ?? 0;
}
