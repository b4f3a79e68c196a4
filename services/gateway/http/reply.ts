/** What a handler answers, and how it goes onto the wire: conditions, ranges, HEAD, and an end to bodies that nobody wants. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { Budget } from "../domain/budget.ts";
import { isKnown, rangeStillFits } from "../domain/conditional.ts";
import { problemHeaders, problemOf, type Problem } from "../domain/problem.ts";
import { requestedRange, type ByteRange } from "../domain/range.ts";
import { failure } from "../../kernel/errors.ts";

/** A state of things, as JSON. */
export interface Answer {
  readonly status: number;
  /** Undefined: no body (204). */
  readonly json?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Bytes with a name of their own. They are asked for only when they are really sent: not for HEAD, 304 or 416. */
export interface Content {
  readonly type: string;
  readonly size: number;
  /** Strong, with its quotation marks. */
  readonly etag: string;
  readonly caching: string;
  bytes(): Uint8Array | Promise<Uint8Array>;
}

export type Reply = Answer | Content;

/** A refused body is drained for this long and this far, so that the client comes to read the refusal; then the connection is cut. */
const LINGER_MS = 1000;
const LINGER_BYTES = 4 * 1024 * 1024;
/** Bodies that were asked for and are not yet wholly sent, in this process: a body is up to 8 MiB, and 5000 readers that do not read would hold 40 GB. */
const IN_FLIGHT_BYTES = 256 * 1024 * 1024;
/** A reader that takes nothing for this long gives its memory to others. A telephone that changes its network is back in a few seconds. */
const STALLED_READER_MS = 30_000;

const inFlight = new Budget(IN_FLIGHT_BYTES);

export async function send(req: IncomingMessage, res: ServerResponse, reply: Reply): Promise<void> {
  if ("bytes" in reply) await sendContent(req, res, reply);
  else sendAnswer(req, res, reply);
}

/** Answers with the problem document of an error, whatever was thrown. Answers it too, so that the caller can log it. */
export function sendProblem(req: IncomingMessage, res: ServerResponse, error: unknown): Problem {
  const path = targetOf(req).replace(/\?.*$/s, "");
  const problem = problemOf(error, { id: String(res.getHeader("X-Request-Id")), path });
  sendAnswer(req, res, {
    status: problem.status,
    json: problem,
    headers: { "Content-Type": "application/problem+json", ...problemHeaders(problem) },
  });
  return problem;
}

/** The target of the request line; moleculer-web shortens `url` on its way. */
export function targetOf(req: IncomingMessage & { originalUrl?: string }): string {
  return req.originalUrl ?? req.url ?? "/";
}

function sendAnswer(req: IncomingMessage, res: ServerResponse, { status, json, headers }: Answer): void {
  if (isOver(res)) return;
  res.statusCode = status;
  res.setHeader("Cache-Control", "no-store");
  const body = json === undefined ? undefined : Buffer.from(JSON.stringify(json));
  if (body) {
    res.setHeader("Content-Type", "application/json; charset=utf-8");
    res.setHeader("Content-Length", body.length);
  }
  for (const [name, value] of Object.entries(headers ?? {})) res.setHeader(name, value);
  finish(req, res, body);
}

async function sendContent(req: IncomingMessage, res: ServerResponse, content: Content): Promise<void> {
  const { method, headers } = req;
  const known = isKnown(headers["if-none-match"], content.etag);
  const range = known ? undefined : rangeOf(req, res, content);
  const bytes = known || method === "HEAD" ? undefined : await bytesOf(res, content);
  if (isOver(res)) return;
  res.setHeader("ETag", content.etag);
  res.setHeader("Cache-Control", content.caching);
  if (known) {
    res.statusCode = 304;
    res.end();
    return;
  }
  res.setHeader("Content-Type", content.type);
  res.setHeader("Accept-Ranges", "bytes");
  if (range) {
    res.statusCode = 206;
    res.setHeader("Content-Range", `bytes ${range.start}-${range.end - 1}/${content.size}`);
  }
  res.setHeader("Content-Length", range ? range.end - range.start : content.size);
  finish(req, res, range ? bytes?.subarray(range.start, range.end) : bytes);
}

/** Takes the whole content's size from the budget, also for a range: it is a view of the whole. Given back when the response is over, however it ends. */
async function bytesOf(res: ServerResponse, content: Content): Promise<Uint8Array | undefined> {
  if (isOver(res)) return undefined;
  inFlight.take(content.size);
  res.once("close", () => inFlight.give(content.size));
  return await content.bytes();
}

/** A range is for GET alone (RFC 9110, 14.2). */
function rangeOf(req: IncomingMessage, res: ServerResponse, { etag, size }: Content): ByteRange | undefined {
  const { method, headers } = req;
  if (headers.range === undefined || method !== "GET" || !rangeStillFits(headers["if-range"] as string | undefined, etag)) return undefined;
  const range = requestedRange(headers.range, size);
  if (range !== "unsatisfiable") return range;
  res.setHeader("Content-Range", `bytes */${size}`);
  throw failure("RANGE_NOT_SATISFIABLE", `The content has ${size} bytes, and none of them lies in the range.`);
}

function finish(req: IncomingMessage, res: ServerResponse, body: Uint8Array | undefined): void {
  const sent = req.method === "HEAD" ? undefined : body;
  // Until the next request of the connection: then Node sets the server's own limit again.
  req.socket.setTimeout(STALLED_READER_MS);
  if (!hasMore(req)) res.end(sent);
  else lingerThenClose(req, res, sent);
}

function hasMore(req: IncomingMessage): boolean {
  return !req.complete && (req.headers["transfer-encoding"] !== undefined || Number(req.headers["content-length"] ?? 0) > 0);
}

/**
 * The client is still sending. Closing now would make its kernel throw the answer away (a reset discards what was received, RFC 9112, 9.6); reading on would
 * take gigabytes that nobody wants. So the answer goes out whole, the body is thrown away for a moment, and then the connection ends.
 */
function lingerThenClose(req: IncomingMessage, res: ServerResponse, body: Uint8Array | undefined): void {
  res.setHeader("Connection", "close");
  if (body) res.write(body);
  else res.flushHeaders();
  const end = (): void => {
    clearTimeout(timer);
    req.off("data", count).off("end", end).off("close", end).pause();
    res.end();
  };
  let seen = 0;
  const count = (chunk: Buffer): void => {
    seen += chunk.length;
    if (seen > LINGER_BYTES) end();
  };
  const timer = setTimeout(end, LINGER_MS);
  // An upload that still was piped somewhere would pause the request when that end is taken off later.
  req.unpipe().on("data", count).once("end", end).once("close", end).resume();
}

/** The client went away meanwhile, or was answered already. */
function isOver(res: ServerResponse): boolean {
  return res.headersSent || res.destroyed;
}
