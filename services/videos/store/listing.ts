/** Pages of the list of videos: one statement a page, each order and filter from an index. */
import { one, rows, type Bind, type Database } from "../../../mixins/database/sql.ts";
import type { Principal } from "../../kernel/principal.ts";
import { decodeCursor, encodeCursor, type Position } from "../domain/cursor.ts";
import { orderOf, scopesOf, type Filters, type Order, type Scope, type Sort, type SortKey } from "../domain/listing.ts";
import { described, type DescribedRow } from "./described.ts";

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

export interface PageOfRows {
  readonly rows: readonly DescribedRow[];
  readonly nextCursor: string | null;
  /** The search that was made instead of one that found nothing; null when it was made as it was asked for. */
  readonly corrected: string | null;
}

/** Of a search, the newest that match in their title, and the newest that match anywhere, are ranked: to rank each of 270,000 takes half a second. */
const RANKED_MAX = 200;

/** What a list can be sorted by: its column, the column of the id that its index goes on with, and its value in a cursor and back. */
interface SortColumn {
  readonly by: string;
  readonly id: string;
  readonly text: string;
  readonly from: string;
  readonly value: (placeholder: string) => string;
}

const VIDEOS = "videos v";
const columns: Readonly<Record<Exclude<SortKey, "relevance">, SortColumn>> = {
  createdAt: {
    by: "v.created_at",
    id: "v.id",
    text: "(extract(epoch from v.created_at) * 1000000)::bigint::text",
    from: VIDEOS,
    value: (at) => `timestamptz 'epoch' + ${at}::bigint * interval '1 microsecond'`,
  },
  title: { by: "v.title_sort", id: "v.id", text: "v.title_sort", from: VIDEOS, value: (at) => `${at}::text` },
  duration: {
    by: "v.duration_sort",
    id: "v.id",
    text: "v.duration_sort::text",
    from: VIDEOS,
    value: (at) => `${at}::float8`,
  },
  views: {
    by: "n.views",
    id: "n.video_id",
    text: "n.views::text",
    from: `video_views n join ${VIDEOS} on v.id = n.video_id`,
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
export async function listVideos(db: Database, listing: Listing): Promise<PageOfRows> {
  const scopes = scopesOf(listing.as, listing);
  const order = orderOf(listing.sort, listing.q);
  const after = listing.cursor === undefined ? undefined : decodeCursor(order, listing.cursor);
  const wanted = { listing, scopes, order, after };
  const found = scopes.length === 0 ? [] : await readPage(db, wanted);
  const corrected = found.length === 0 ? await correction(db, wanted) : null;
  if (corrected !== null) return { ...(await listVideos(db, { ...listing, q: corrected })), corrected };
  const shown = found.slice(0, listing.limit);
  const last = shown.at(-1);
  const nextCursor = last && found.length > listing.limit ? encodeCursor(order, { key: last.sortedBy, id: last.id }) : null;
  return { rows: shown, nextCursor, corrected: null };
}

interface Wanted<L extends List = Listing> {
  readonly listing: L;
  readonly scopes: readonly Scope[];
  readonly order: Order;
  readonly after: Position | undefined;
}

/** One more than the page holds, to know whether there is a next one. */
async function readPage(db: Database, wanted: Wanted): Promise<(DescribedRow & { sortedBy: string })[]> {
  const bindings = new Bindings();
  const { listing, order } = wanted;
  const way = order.descending ? "desc" : "asc";
  const limit = bindings.add(listing.limit + 1);
  const offset = bindings.add(listing.cursor === undefined ? (listing.page - 1) * listing.limit : 0);
  const page = order.key === "relevance" ? ranked(wanted, bindings) : sorted(wanted, order.key, bindings);
  const text = `select ${described}, page.text as "sortedBy"
    from (select * from (${page(`limit ${limit}::integer + ${offset}::integer`)}) as merged order by value ${way}, id ${way} limit ${limit} offset ${offset}) as page
    join videos v on v.id = page.id
    order by page.value ${way}, page.id ${way}`;
  return await rows(db, text, bindings.values);
}

/** Each scope from its own index, as far as the page reaches. */
function sorted(
  { listing, scopes, order, after }: Wanted<List>,
  key: Exclude<SortKey, "relevance">,
  bindings: Bindings,
): (reach: string) => string {
  const { by, id, text, from, value } = columns[key];
  const way = order.descending ? "desc" : "asc";
  const beyond = after
    ? [`(${by}, ${id}) ${order.descending ? "<" : ">"} (${value(bindings.add(after.key))}, ${bindings.add(after.id)}::uuid)`]
    : [];
  const parts = scopes.map((scope) => {
    const all = [...conditions(listing, scope, bindings), ...beyond].join(" and ");
    return `select v.id, ${by} as value, ${text} as text from ${from} where ${all} order by ${by} ${way}, ${id} ${way}`;
  });
  return (reach) => parts.map((part) => `(${part} ${reach})`).join(" union all ");
}

/** The candidates are few, and all of them are ranked. */
function ranked(wanted: Wanted, bindings: Bindings): (reach: string) => string {
  const rank = `select id, rank as value, rank::text as text
    from (select id, ts_rank(search, search_query(${bindings.add(wanted.listing.q ?? "")}))::float8 as rank
          from videos where id in (${candidates(wanted, bindings)})) as ranks`;
  const { after } = wanted;
  const beyond = after ? ` where (rank, id) < (${bindings.add(after.key)}::float8, ${bindings.add(after.id)}::uuid)` : "";
  return () => rank + beyond;
}

function candidates({ listing, scopes }: Pick<Wanted<List>, "listing" | "scopes">, bindings: Bindings): string {
  const each = scopes.flatMap((scope) =>
    (["title_search", "search"] as const).map((column) => {
      const all = conditions(listing, scope, bindings, column).join(" and ");
      return `(select v.id from ${VIDEOS} where ${all} order by v.created_at desc, v.id desc limit ${RANKED_MAX})`;
    }),
  );
  return each.join(" union ");
}

/** What a video of the scope has to be like. */
function conditions(filters: Filters, scope: Scope, bindings: Bindings, searched: "search" | "title_search" = "search"): string[] {
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
    // Of one person's videos each is looked at: as a function, the comparison leaves the index of everybody's words alone.
    ...given(q, (at) =>
      scope.owner === undefined ? `v.${searched} @@ search_query(${at})` : `ts_match_vq(v.${searched}, search_query(${at}))`,
    ),
  ];
}

/** Only a search that finds nothing on any page is mended, so that all its pages are of the same search. */
async function correction(db: Database, wanted: Wanted): Promise<string | null> {
  const { listing, scopes } = wanted;
  if (listing.q === undefined || scopes.length === 0) return null;
  const isFirst = listing.page === 1 && listing.cursor === undefined;
  if (
    !isFirst &&
    (await readPage(db, { ...wanted, listing: { ...listing, page: 1, limit: 1, cursor: undefined }, after: undefined })).length > 0
  ) {
    return null;
  }
  return (await one<{ corrected: string | null }>(db, "select search_correction($1) as corrected", [listing.q]))?.corrected ?? null;
}

/** The exact number is asked for up to here, which takes some milliseconds; of all of a million, 100. */
const COUNTED_MAX = 1000;

export interface Total {
  readonly total: number;
  /** Whether it is the planner's guess, from what it knows of the columns. */
  readonly estimated: boolean;
}

/** How many videos a list has on all its pages together. A search by relevance has those that are ranked. */
export async function countVideos(db: Database, list: List): Promise<Total> {
  const scopes = scopesOf(list.as, list);
  if (scopes.length === 0) return { total: 0, estimated: false };
  const isRanked = orderOf(list.sort, list.q).key === "relevance";
  const total = await (isRanked ? countRanked(db, list, scopes) : countUpTo(db, list, scopes, COUNTED_MAX + 1));
  if (isRanked || total <= COUNTED_MAX) return { total, estimated: false };
  return { total: Math.max(total, await estimate(db, list, scopes)), estimated: true };
}

async function countRanked(db: Database, list: List, scopes: readonly Scope[]): Promise<number> {
  const bindings = new Bindings();
  return await count(db, candidates({ listing: list, scopes }, bindings), bindings);
}

/** In an order that an index has: else the planner hopes to find so many soon, and reads all videos when there are fewer. */
async function countUpTo(db: Database, list: List, scopes: readonly Scope[], most: number): Promise<number> {
  const bindings = new Bindings();
  const newest = sorted({ listing: list, scopes, order: { key: "createdAt", descending: true }, after: undefined }, "createdAt", bindings);
  return Math.min(most, await count(db, newest(`limit ${most}`), bindings));
}

async function count(db: Database, text: string, bindings: Bindings): Promise<number> {
  return (await one<{ count: number }>(db, `select count(*)::integer as count from (${text}) as found`, bindings.values))?.count ?? 0;
}

interface Explained {
  readonly "QUERY PLAN": readonly [{ readonly Plan: { readonly "Plan Rows": number } }];
}

async function estimate(db: Database, list: List, scopes: readonly Scope[]): Promise<number> {
  const bindings = new Bindings();
  const any = scopes.map((scope) => `(${conditions(list, scope, bindings).join(" and ")})`);
  const plan = await one<Explained>(db, `explain (format json) select 1 from ${VIDEOS} where ${any.join(" or ")}`, bindings.values);
  return plan?.["QUERY PLAN"][0].Plan["Plan Rows"] ?? 0;
}
