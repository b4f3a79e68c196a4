/** Conditional requests (RFC 9110, 13). Every entity tag here is strong, since every body is named by its hash. */

/** Whether `If-None-Match` already knows the content: then 304. The comparison is weak (13.1.2): `W/"x"` and `"x"` are the same. */
export function isKnown(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  if (ifNoneMatch === etag || ifNoneMatch.trim() === "*") return true;
  return ifNoneMatch.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag);
}

/** Whether a `Range` still fits the content that the client holds part of. The comparison is strong (13.1.5); a date never fits, since none is sent. */
export function rangeStillFits(ifRange: string | undefined, etag: string): boolean {
  return ifRange === undefined || ifRange.trim() === etag;
}
