/** Range requests (RFC 9110, 14). */

/** Bytes start (inclusive) to end (exclusive). */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

const SINGLE = /^bytes=(?:(\d{1,15})-(\d{0,15})|-(\d{1,15}))$/i;

/**
 * The part of `size` bytes that a `Range` header asks for. Undefined means "all of it": without the header, for another unit, for nonsense,
 * and for several ranges at once, which a server may leave unanswered (14.2) and which are a way to make it work hard.
 */
export function requestedRange(header: string | undefined, size: number): ByteRange | "unsatisfiable" | undefined {
  const match = header === undefined ? null : SINGLE.exec(header.trim());
  if (!match) return undefined;
  const [, first, last, suffix] = match;
  if (suffix !== undefined) return inside({ start: Math.max(size - Number(suffix), 0), end: size }, size);
  const start = Number(first);
  if (last === "" || last === undefined) return inside({ start, end: size }, size);
  if (Number(last) < start) return undefined;
  return inside({ start, end: Math.min(Number(last) + 1, size) }, size);
}

function inside(range: ByteRange, size: number): ByteRange | "unsatisfiable" {
  return range.start < size && range.start < range.end ? range : "unsatisfiable";
}
