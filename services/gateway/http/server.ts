/** The HTTP server: its limits, the first and the last thing that happens to every request, and its orderly end. */
import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { acceptedRequestId } from "../domain/ids.ts";
import { problemOf } from "../domain/problem.ts";
import { failure } from "../../kernel/errors.ts";
import { securityHeaders } from "./security.ts";

/** A request line and its headers come within 10 s, or the connection is one that only holds a place (slowloris). */
const HEADERS_MS = 10_000;
/** How often that is looked at; Node's own 30 s would make 40 s of the 10. */
const CHECK_MS = 2000;
/** Above the 60 s after which load balancers of AWS and nginx drop an idle connection: the one who reuses it must be the one who closes it. */
const KEEP_ALIVE_MS = 65_000;
/** Cookies and signed addresses fit; the rest of the world uses 8 to 16 KiB too. */
const HEADER_BYTES_MAX = 16 * 1024;
/** A connection costs about 20 KB: 100 MB at most. More clients than that belong to more gateways. */
const CONNECTIONS_MAX = 5000;
/** A connection on which nothing moves for this long while a request is worked on. Uploads and answers have shorter limits of their own. */
const QUIET_MS = 120_000;
/** What is being answered when the server stops may end within this; small answers take milliseconds, open downloads would take for ever. */
const GRACE_MS = 1500;
const SWEEP_MS = 25;

export interface FinishedRequest {
  readonly requestId: string;
  readonly method: string;
  /** Null when nothing was answered. */
  readonly status: number | null;
  /** Sent onto the connection, headers and all. */
  readonly bytes: number;
  readonly ms: number;
  /** The client went away before it had everything. */
  readonly aborted: boolean;
}

export interface ServerOptions {
  readonly uploadIdleMs: number;
  readonly handle: (req: IncomingMessage, res: ServerResponse) => void;
  /** Told about each request once, when all of it is over. */
  readonly finished: (req: IncomingMessage, request: FinishedRequest) => void;
}

export interface HttpServer {
  readonly server: Server;
  /** No new connection, a moment for what is being answered, then the end for all. */
  close(): Promise<void>;
}

export function openServer({ uploadIdleMs, handle, finished }: ServerOptions): HttpServer {
  const answering = new Map<Duplex, ServerResponse>();
  let closing = false;
  const server = createServer({
    headersTimeout: HEADERS_MS,
    connectionsCheckingInterval: CHECK_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: HEADER_BYTES_MAX,
    // Node would end each upload after 5 minutes, however well it flows. Uploads have an idle limit instead, and no other request has a body.
    requestTimeout: 0,
  });
  server.maxConnections = CONNECTIONS_MAX;
  server.timeout = Math.max(QUIET_MS, 2 * uploadIdleMs);
  const accept = (req: IncomingMessage, res: ServerResponse): void => {
    if (closing) res.shouldKeepAlive = false;
    answering.set(req.socket, res);
    begin(req, res, (request) => {
      if (answering.get(req.socket) === res) answering.delete(req.socket);
      finished(req, request);
    });
    handle(req, res);
  };
  server.on("request", accept);
  // Node's own answer would be "100 Continue" to everyone; here only who wants the body says so (http/body.ts).
  server.on("checkContinue", accept);
  server.on("clientError", (error, socket) => refuse(error, socket, answering.get(socket)));
  const close = async (): Promise<void> => {
    closing = true;
    server.maxConnections = 0;
    // Node's own close would cut off every answer that is not yet wholly sent: it counts them as idle once they were handed to the socket.
    const deadline = performance.now() + GRACE_MS;
    while (answering.size > 0 && performance.now() < deadline) await delay(SWEEP_MS);
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  };
  return { server, close };
}

function begin(req: IncomingMessage, res: ServerResponse, finished: (request: FinishedRequest) => void): void {
  const requestId = acceptedRequestId(req.headers["x-request-id"]) ?? randomUUID();
  const { socket, method = "" } = req;
  const startedAt = performance.now();
  const sentBefore = socket.bytesWritten;
  res.setHeader("X-Request-Id", requestId);
  for (const [name, value] of securityHeaders) res.setHeader(name, value);
  // An answer to a client that has just gone fails here; "close" tells of it.
  res.on("error", () => {});
  res.once("close", () => {
    const bytes = socket.bytesWritten - sentBefore;
    const ms = Math.round((performance.now() - startedAt) * 10) / 10;
    const status = res.headersSent ? res.statusCode : null;
    finished({ requestId, method, status, bytes, ms, aborted: !res.writableFinished });
  });
}

/** What the parser could not read, as the same document that all other refusals are. The request may have a handler already: its body ended wrongly. */
function refuse(error: Error & { code?: string }, socket: Duplex, answering: ServerResponse | undefined): void {
  if (error.code === "ECONNRESET" || !socket.writable || answering?.headersSent) {
    socket.destroy();
    return;
  }
  const requestId = answering ? String(answering.getHeader("X-Request-Id")) : randomUUID();
  const problem = problemOf(parseFailure(error.code), { id: requestId, path: "/" });
  const status = statuses[error.code ?? ""] ?? `${problem.status} Bad Request`;
  const body = JSON.stringify({ ...problem, status: Number.parseInt(status, 10) });
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nX-Request-Id: ${requestId}\r\nConnection: close\r\n\r\n${body}`,
  );
}

const statuses: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: "431 Request Header Fields Too Large",
  ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout",
};

function parseFailure(code: string | undefined): Error {
  if (code === "HPE_INVALID_EOF_STATE") return failure("LENGTH_MISMATCH", "The connection ended before the body that was announced.");
  if (code === "HPE_HEADER_OVERFLOW") return failure("INVALID_REQUEST", `The headers are longer than ${HEADER_BYTES_MAX} bytes.`);
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return failure("INVALID_REQUEST", `The headers did not come within ${HEADERS_MS / 1000} s.`);
  return failure("INVALID_REQUEST", "This is not HTTP.");
}
