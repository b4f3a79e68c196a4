/** Addresses that the gateway hands out. */

export const API = "/api/v1";

/** The last page that can be asked for by number: who wants more goes on by cursor, which costs the same however far it is. */
export const PAGE_MAX = 10_000;

export function videoPath(id: string): string {
  return `${API}/videos/${id}`;
}

/** What a part of a rendition's address says. */
export interface StreamAddress {
  readonly id: string;
  readonly revision: number;
  readonly rendition: string;
}

export interface SegmentAddress extends StreamAddress {
  readonly number: number;
}

export interface CaptionsAddress {
  readonly id: string;
  readonly language: string;
}

/** One page of a list: asked for by number, or by the cursor that an earlier page gave. */
export interface Page {
  readonly path: string;
  /** The filters of the request, as they were asked for. */
  readonly filters: Readonly<Record<string, string>>;
  readonly limit: number;
  /** Null when a cursor was given: then pages have no numbers. */
  readonly page: number | null;
  readonly total: number;
  readonly hasMore: boolean;
  readonly nextCursor: string | null;
}

/** The `Link` header of a list (RFC 8288): where to go from here. */
export function pageLinks(page: Page): string {
  const last = Math.min(PAGE_MAX, Math.max(1, Math.ceil(page.total / page.limit)));
  const numbered =
    page.page === null ? [] : [link(page, "first", 1), ...(page.page > 1 ? [link(page, "prev", Math.min(page.page - 1, last))] : [])];
  const next = !page.hasMore ? [] : page.page === null || page.page >= PAGE_MAX ? cursorLink(page) : [link(page, "next", page.page + 1)];
  const end = page.page === null ? [] : [link(page, "last", last)];
  return [...numbered, ...next, ...end].join(", ");
}

function link({ path, filters, limit }: Page, rel: string, page: number): string {
  return `<${path}?${query({ ...filters, page: String(page), limit: String(limit) })}>; rel="${rel}"`;
}

function cursorLink({ path, filters, limit, nextCursor }: Page): string[] {
  if (nextCursor === null) return [];
  return [`<${path}?${query({ ...filters, cursor: nextCursor, limit: String(limit) })}>; rel="next"`];
}

function query(values: Readonly<Record<string, string>>): string {
  return new URLSearchParams(values).toString();
}
