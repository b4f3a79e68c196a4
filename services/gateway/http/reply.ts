/** What a handler answers, and how it goes onto the wire: conditions, ranges, HEAD, and an end to bodies that nobody wants. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { constants, Http2ServerRequest, type Http2ServerResponse } from "node:http2";
import type { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { encodingOf, type Encoding } from "../domain/accept.ts";
import { Budget } from "../domain/budget.ts";
import { isKnown, rangeStillFits } from "../domain/conditional.ts";
import { isFormer } from "../domain/former.ts";
import { problemHeaders, problemOf, type Problem } from "../domain/problem.ts";
import { requestedRange, type ByteRange } from "../domain/range.ts";
import { failure } from "../../kernel/errors.ts";
import { compressed, compressedOnce, isCompressible } from "./compression.ts";
import { serverTiming } from "./timings.ts";
import { endWithTurn } from "./turn.ts";

/** A state of things, as JSON. */
export interface Answer {
  readonly status: number;
  /** Undefined: no body (204). */
  readonly json?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Holds something that only the client may know: then it is not compressed. */
  readonly secret?: boolean;
}

/** Bytes with a name of their own. They are asked for only when they are really sent: not for HEAD, 304 or 416. */
export interface Content {
  readonly type: string;
  readonly size: number;
  /** Strong, with its quotation marks. */
  readonly etag: string;
  readonly caching: string;
  /** As in an answer. */
  readonly secret?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
  /** Small, and in memory anyway: takes nothing of the budget, so that no change that was made is answered with TOO_BUSY. */
  readonly held?: boolean;
  bytes(): Uint8Array | Promise<Uint8Array>;
}

/** Bytes that are too many for memory: only those that were asked for are read, as fast as the client takes them. */
export interface Streamed extends Omit<Content, "bytes"> {
  /** What a browser calls the file that it saves. */
  readonly filename: string;
  stream(range: ByteRange): Promise<Readable>;
}

/** Text that goes on until either side ends it. */
export interface Flowing {
  readonly type: string;
  flowInto(to: Writable): void;
  /** Instead of `flowInto`, where there is nobody any more to send it to. */
  close(): void;
}

export type Reply = Answer | Content | Streamed | Flowing;

/** The envelope of an answer that went well. */
export function ok(data: object): Answer {
  return { status: 200, json: { data } };
}

/** A refused body is drained for this long and this far, so that the client comes to read the refusal; then the connection is cut. */
const LINGER_MS = 1000;
const LINGER_BYTES = 4 * 1024 * 1024;
/** Bodies that were asked for and are not yet wholly sent, in this process: a body is up to 8 MiB, and 5000 readers that do not read would hold 40 GB. */
const IN_FLIGHT_BYTES = 256 * 1024 * 1024;
/** A reader that takes nothing for this long gives its memory to others. A telephone that changes its network is back in a few seconds. */
const STALLED_READER_MS = 30_000;

export const JSON_TYPE = "application/json; charset=utf-8";

const inFlight = new Budget(IN_FLIGHT_BYTES);

export async function send(req: IncomingMessage, res: ServerResponse, reply: Reply): Promise<void> {
  if ("bytes" in reply) await sendContent(req, res, reply);
  else if ("stream" in reply) await sendStream(req, res, reply);
  else if ("flowInto" in reply) sendFlowing(req, res, reply);
  else await sendCompressed(req, res, reply);
}

/** Answers with the problem document of an error, whatever was thrown. Answers it too, so that the caller can log it. */
export function sendProblem(req: IncomingMessage, res: ServerResponse, error: unknown): Problem {
  const path = targetOf(req).replace(/\?.*$/s, "");
  const problem = problemOf(error, { id: String(res.getHeader("X-Request-Id")), path });
  sendAnswer(req, res, {
    status: problem.status,
    json: isFormer(path) ? { ...problem, message: problem.detail } : problem,
    headers: { "Content-Type": "application/problem+json", ...problemHeaders(problem, error) },
  });
  return problem;
}

/** The target of the request line. */
export function targetOf(req: IncomingMessage): string {
  return req.url ?? "/";
}

async function sendCompressed(req: IncomingMessage, res: ServerResponse, answer: Answer): Promise<void> {
  const body = answer.json === undefined ? undefined : Buffer.from(JSON.stringify(answer.json));
  const encoding = body && encodingFor(req, res, { type: JSON_TYPE, size: body.length, secret: answer.secret });
  if (!body || !encoding) return writeAnswer(req, res, { ...answer, body });
  const short = await compressed(body, encoding);
  writeAnswer(req, res, { ...answer, headers: { ...answer.headers, "Content-Encoding": encoding }, body: short });
}

function sendAnswer(req: IncomingMessage, res: ServerResponse, answer: Answer): void {
  writeAnswer(req, res, { ...answer, body: Buffer.from(JSON.stringify(answer.json)) });
}

function writeAnswer(
  req: IncomingMessage,
  res: ServerResponse,
  { status, headers, body }: Omit<Answer, "json"> & { readonly body: Uint8Array | undefined },
): void {
  if (isOver(res)) return;
  res.statusCode = status;
  res.setHeader("Cache-Control", "no-store");
  if (body) {
    res.setHeader("Content-Type", JSON_TYPE);
    res.setHeader("Content-Length", body.length);
  } else if (status !== 204 && req.method !== "HEAD") {
    res.setHeader("Content-Length", 0);
  }
  for (const [name, value] of Object.entries(headers ?? {})) res.setHeader(name, value);
  finish(req, res, body);
}

/** How the body is to be shortened, if at all. A cache is told that it depends on the client, also where this client gets it whole. */
function encodingFor(
  req: IncomingMessage,
  res: ServerResponse,
  { type, size, secret }: Pick<Content, "type" | "size"> & { readonly secret: boolean | undefined },
): Encoding | undefined {
  if (secret === true || !isCompressible(type, size)) return undefined;
  res.appendHeader("Vary", "Accept-Encoding");
  // A range is one of the bytes as they are.
  return req.headers.range === undefined ? encodingOf(req.headers["accept-encoding"]) : undefined;
}

async function sendContent(req: IncomingMessage, res: ServerResponse, whole: Content): Promise<void> {
  const { method, headers } = req;
  const encoding = encodingFor(req, res, { ...whole, secret: whole.secret });
  const content = encoding ? await shortened(whole, encoding) : whole;
  const known = isRead(req) && isKnown(headers["if-none-match"], content.etag);
  const range = known ? undefined : rangeOf(req, res, content);
  const bytes = known || method === "HEAD" ? undefined : await bytesOf(res, content);
  if (isOver(res) || describe(res, content, { known, range })) return;
  if (encoding) res.setHeader("Content-Encoding", encoding);
  finish(req, res, range ? bytes?.subarray(range.start, range.end) : bytes);
}

/** The headers of a piece of content. Answers whether that was all, since the client has the rest already. */
function describe(
  res: ServerResponse,
  content: Omit<Content, "bytes">,
  { known, range }: { readonly known: boolean; readonly range: ByteRange | undefined },
): boolean {
  res.setHeader("ETag", content.etag);
  res.setHeader("Cache-Control", content.caching);
  for (const [name, value] of Object.entries(content.headers ?? {})) res.setHeader(name, value);
  if (known) {
    res.statusCode = 304;
    res.end();
    return true;
  }
  res.setHeader("Content-Type", content.type);
  if (content.type !== JSON_TYPE) res.setHeader("Accept-Ranges", "bytes");
  if (range) {
    res.statusCode = 206;
    res.setHeader("Content-Range", `bytes ${range.start}-${range.end - 1}/${content.size}`);
  }
  res.setHeader("Content-Length", range ? range.end - range.start : content.size);
  return false;
}

/** A failure after the first byte can only cut the connection: the client sees that the length is not what was announced. */
async function sendStream(req: IncomingMessage, res: ServerResponse, content: Streamed): Promise<void> {
  const known = isRead(req) && isKnown(req.headers["if-none-match"], content.etag);
  const range = known ? undefined : rangeOf(req, res, content);
  const whole = { start: 0, end: content.size };
  const source = known || req.method === "HEAD" ? undefined : await content.stream(range ?? whole);
  if (isOver(res)) {
    source?.destroy();
    return;
  }
  res.setHeader("Content-Disposition", `attachment; filename*=UTF-8''${encodeURIComponent(content.filename).replace(/['()*]/g, percent)}`);
  if (describe(res, content, { known, range })) return;
  if (!source) return finish(req, res, undefined);
  watchReader(req);
  await pipeline(source, res).catch(() => res.destroy());
}

function sendFlowing(req: IncomingMessage, res: ServerResponse, flowing: Flowing): void {
  if (isOver(res)) return flowing.close();
  res.setHeader("Content-Type", flowing.type);
  res.setHeader("Cache-Control", "no-store");
  // nginx would keep it until a buffer is full.
  res.setHeader("X-Accel-Buffering", "no");
  if (req.method === "HEAD") return finish(req, res, undefined);
  res.flushHeaders();
  flowing.flowInto(res);
}

/** Characters that encodeURIComponent leaves and RFC 8187 does not. */
function percent(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}

/** Other bytes have another name (RFC 9110, 8.8.3.3). */
async function shortened(content: Content, encoding: Encoding): Promise<Content> {
  const short = await compressedOnce(content, encoding, async () => await content.bytes());
  return { ...content, size: short.length, etag: content.etag.replace(/"$/, `-${encoding}"`), bytes: () => short };
}

/** Takes the whole content's size from the budget, also for a range: it is a view of the whole. Given back when the response is over, however it ends. */
function bytesOf(res: ServerResponse, content: Content): Uint8Array | Promise<Uint8Array> | undefined {
  if (isOver(res)) return undefined;
  if (content.held !== true) {
    inFlight.take(content.size);
    res.once("close", () => inFlight.give(content.size));
  }
  return content.bytes();
}

/** Of an answer to a change nobody has a copy. */
function isRead({ method }: IncomingMessage): boolean {
  return method === "GET" || method === "HEAD";
}

/** A range is for GET alone (RFC 9110, 14.2), and half a document is of no use. */
function rangeOf(
  req: IncomingMessage,
  res: ServerResponse,
  { type, etag, size }: Pick<Content, "type" | "etag" | "size">,
): ByteRange | undefined {
  const { method, headers } = req;
  if (
    headers.range === undefined ||
    method !== "GET" ||
    type === JSON_TYPE ||
    !rangeStillFits(headers["if-range"] as string | undefined, etag)
  )
    return undefined;
  const range = requestedRange(headers.range, size);
  if (range !== "unsatisfiable") return range;
  res.setHeader("Content-Range", `bytes */${size}`);
  throw failure("RANGE_NOT_SATISFIABLE", `The content has ${size} bytes, and none of them lies in the range.`);
}

/** Until the next request of the connection: then Node sets the server's own limit again. A stream of HTTP/2 is a request. */
function watchReader(req: IncomingMessage): void {
  if (isHttp2(req)) req.stream.setTimeout(STALLED_READER_MS, () => req.stream.close(constants.NGHTTP2_CANCEL));
  else req.socket.setTimeout(STALLED_READER_MS);
}

function finish(req: IncomingMessage, res: ServerResponse, body: Uint8Array | undefined): void {
  const timing = serverTiming(res);
  if (timing !== undefined) res.setHeader("Server-Timing", timing);
  const sent = req.method === "HEAD" ? undefined : body;
  watchReader(req);
  if (!isHttp2(req) && hasMore(req)) return lingerThenClose(req, res, sent);
  endWithTurn(res, sent);
}

/** By what it is: over HTTP/1.1 anybody may write HTTP/2.0 into the request line. */
export function isHttp2(req: IncomingMessage): req is IncomingMessage & Http2ServerRequest {
  return req instanceof Http2ServerRequest;
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
  return res.headersSent || isGone(res);
}

/** Then "close" may have been told already, and nothing may wait for it. A response of HTTP/2 does not say so itself: its stream does. */
export function isGone(res: ServerResponse | Http2ServerResponse): boolean {
  return "stream" in res ? res.stream.destroyed || res.stream.closed : res.destroyed;
}
