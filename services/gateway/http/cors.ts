/** Pages of other origins, which are let in by name and by nothing else (Fetch, 3.2). They show tokens: no cookie of ours speaks for them. */
import type { IncomingMessage, ServerResponse } from "node:http";

/** What they may read besides the body. */
const EXPOSED = [
  "Accept-Ranges, Allow, Content-Disposition, Content-Range, ETag, Link, Location, RateLimit, RateLimit-Policy, Retry-After, Server-Timing, WWW-Authenticate, X-Request-Id, X-Video-Id",
  "Tus-Resumable, Tus-Version, Tus-Extension, Tus-Max-Size, Tus-Checksum-Algorithm, Upload-Offset, Upload-Length, Upload-Defer-Length",
  "Upload-Metadata, Upload-Expires, Upload-Concat",
].join(", ");
/** What they may send besides what any page may. */
const TAKEN = [
  "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, If-Range, Last-Event-ID, Range, Traceparent, X-Filename, X-Request-Id",
  "CMCD-Object, CMCD-Request, CMCD-Session, CMCD-Status",
  "Tus-Resumable, Upload-Offset, Upload-Length, Upload-Defer-Length, Upload-Metadata, Upload-Concat, Upload-Checksum, X-HTTP-Method-Override",
].join(", ");
const METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE";
/** Browsers ask again after this: a removed origin is shut out within ten minutes. */
const PREFLIGHT_S = 600;

/** Lets pages of these origins read the answer. What the address itself takes is in `Allow`. */
export function letIn(req: IncomingMessage, res: ServerResponse, origins: readonly string[]): void {
  if (origins.length === 0) return;
  // An answer to one origin must not be kept for another.
  res.appendHeader("Vary", "Origin");
  // Pictures and segments may stand in their pages.
  res.setHeader("Cross-Origin-Resource-Policy", "cross-origin");
  const { origin } = req.headers;
  if (origin === undefined || !origins.includes(origin)) return;
  res.setHeader("Access-Control-Allow-Origin", origin);
  res.setHeader("Access-Control-Expose-Headers", EXPOSED);
  if (req.method !== "OPTIONS" || req.headers["access-control-request-method"] === undefined) return;
  res.setHeader("Access-Control-Allow-Methods", METHODS);
  res.setHeader("Access-Control-Allow-Headers", TAKEN);
  res.setHeader("Access-Control-Max-Age", String(PREFLIGHT_S));
}
