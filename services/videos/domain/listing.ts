/** What can be asked of the list of videos, and who is shown what. */
import { failure } from "../../kernel/errors.ts";
import type { Principal } from "../../kernel/principal.ts";
import type { VideoStatus } from "./lifecycle.ts";

const keys = ["createdAt", "title", "duration", "views"] as const;
/** What a list is ordered by; videos of the same value stand in the order of their ids. */
export type SortKey = (typeof keys)[number] | "relevance";
/** As clients write them: "-" is descending. What is most relevant always comes first. */
export const sorts = ["createdAt", "-createdAt", "title", "-title", "duration", "-duration", "views", "-views", "relevance"] as const;
export type Sort = (typeof sorts)[number];

export interface Order {
  readonly key: SortKey;
  readonly descending: boolean;
}

/** Every filter that was given narrows the list. Times are RFC 3339, durations seconds. */
export interface Filters {
  readonly q?: string | undefined;
  readonly status?: VideoStatus | undefined;
  readonly tag?: string | undefined;
  readonly createdAfter?: string | undefined;
  readonly createdBefore?: string | undefined;
  readonly minDuration?: number | undefined;
  readonly maxDuration?: number | undefined;
  readonly visibility?: "public" | "unlisted" | "private" | undefined;
  readonly owner?: string | undefined;
  /** Deleted ones instead of those that are there. */
  readonly trash: boolean;
}

/** A set of videos that one index knows. */
export interface Scope {
  readonly visibility?: "public" | "hidden";
  readonly owner?: string;
}

/** Newest first, or the best match of a search. INVALID_REQUEST for relevance without a search. */
export function orderOf(sort: Sort | undefined, q: string | undefined): Order {
  if (sort === undefined) return q === undefined ? { key: "createdAt", descending: true } : { key: "relevance", descending: true };
  if (sort === "relevance" && q === undefined) {
    throw failure("INVALID_REQUEST", "Only a search can be sorted by relevance.", {
      fields: [{ path: "sort", message: "relevance needs q beside it" }],
    });
  }
  const key = sort.replace(/^-/, "") as SortKey;
  return { key, descending: sort.startsWith("-") || key === "relevance" };
}

/**
 * What a person may find in a list: what is public, and what is its own; the trash shows everyone only its own. They are sets that do not overlap, so
 * that each is read from its index: `public or mine` would be answered by reading everything. None: nothing can be found.
 */
export function scopesOf(as: Principal, { visibility, owner, trash }: Pick<Filters, "visibility" | "owner" | "trash">): readonly Scope[] {
  if (as.role === "admin") return [{}];
  const own = as.id !== null && (owner === undefined || owner === as.id) ? [{ owner: as.id }] : [];
  if (trash || (visibility !== undefined && visibility !== "public")) return own;
  if (owner !== undefined && owner === as.id) return own;
  const open: Scope = { visibility: "public" };
  return visibility === "public" ? [open] : [open, ...own.map((mine): Scope => ({ ...mine, visibility: "hidden" }))];
}

/** What the right to be listed hangs on. */
export interface Listable {
  readonly status: VideoStatus;
  readonly visibility: "public" | "unlisted" | "private";
  readonly owner: string | null;
}

/** Whether a video that was found on a page is still for it: since then it may have gone to the trash, come out of it, or been made private. */
export function isListed(as: Principal, filters: Filters, { status, visibility, owner }: Listable): boolean {
  const isIn = (scope: Scope): boolean =>
    (scope.visibility === undefined || (visibility === "public") === (scope.visibility === "public")) &&
    (scope.owner === undefined || scope.owner === owner);
  return (status === "deleted") === filters.trash && scopesOf(as, filters).some(isIn);
}
