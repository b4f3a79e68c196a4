/** The HTTP server: its limits, the first and the last thing that happens to every request, and its orderly end. */
import { randomUUID } from "node:crypto";
import { createServer, STATUS_CODES, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createSecureServer } from "node:http2";
import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { acceptedRequestId, traceIdOf } from "../domain/ids.ts";
import { problemOf } from "../domain/problem.ts";
import { failure } from "../../kernel/errors.ts";
import { isHttp2 } from "./reply.ts";
import { ListedResponse } from "./response.ts";
import { securityHeaders } from "./security.ts";
import { timingsOf } from "./timings.ts";

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
  /** ms spent in each service that was asked. */
  readonly dependencies: Readonly<Record<string, number>>;
}

/** PEM. */
export interface Certificate {
  readonly cert: Buffer;
  readonly key: Buffer;
}

export interface ServerOptions {
  /** With it, HTTPS: HTTP/2 for who can, HTTP/1.1 for the others. */
  readonly certificate: Certificate | undefined;
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

/** Streams of one connection at the same time: a page and its player need a dozen. Each may hold a segment of 8 MiB. */
const STREAMS_MAX = 100;

export function openServer({ certificate, uploadIdleMs, handle, finished }: ServerOptions): HttpServer {
  const answering = new Set<ServerResponse>();
  const connections = new Set<Duplex>();
  let closing = false;
  const server = certificate ? secureServer(certificate) : plainServer();
  server.maxConnections = CONNECTIONS_MAX;
  server.timeout = Math.max(QUIET_MS, 2 * uploadIdleMs);
  server.on(certificate ? "secureConnection" : "connection", (socket: Duplex) => {
    connections.add(socket);
    socket.once("close", () => connections.delete(socket));
  });
  const accept = (req: IncomingMessage, res: ServerResponse): void => {
    if (closing) res.shouldKeepAlive = false;
    answering.add(res);
    begin(req, res, (request) => {
      answering.delete(res);
      finished(req, request);
    });
    handle(req, res);
  };
  server.on("request", accept);
  // Node's own answer would be "100 Continue" to everyone; here only who wants the body says so (http/body.ts).
  server.on("checkContinue", accept);
  server.on("clientError", (error: Error, socket: Duplex) => refuse(error, socket, answeredOn(answering, socket)));
  // A client that does not get through the handshake has nothing that an answer could be sent over.
  server.on("tlsClientError", (_error: Error, socket: Duplex) => socket.destroy());
  const close = async (): Promise<void> => {
    closing = true;
    server.maxConnections = 0;
    // Node's own close would cut off every answer that is not yet wholly sent: it counts them as idle once they were handed to the socket.
    const deadline = performance.now() + GRACE_MS;
    while (answering.size > 0 && performance.now() < deadline) await delay(SWEEP_MS);
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const connection of connections) connection.destroy();
    await closed;
  };
  return { server, close };
}

function plainServer(): Server {
  return createServer({
    ServerResponse: ListedResponse as typeof ServerResponse,
    headersTimeout: HEADERS_MS,
    connectionsCheckingInterval: CHECK_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: HEADER_BYTES_MAX,
    // Node would end each upload after 5 minutes, however well it flows. Uploads have an idle limit instead, as have all other bodies.
    requestTimeout: 0,
  });
}

/** What HTTP/1.1 is limited by is set on the server: as options they are not passed on. */
function secureServer({ cert, key }: Certificate): Server {
  const server = createSecureServer({
    cert,
    key,
    allowHTTP1: true,
    Http1ServerResponse: ListedResponse,
    minVersion: "TLSv1.2",
    handshakeTimeout: HEADERS_MS,
    settings: { maxConcurrentStreams: STREAMS_MAX, maxHeaderListSize: HEADER_BYTES_MAX },
  });
  const limits = {
    headersTimeout: HEADERS_MS,
    connectionsCheckingInterval: CHECK_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: HEADER_BYTES_MAX,
    requestTimeout: 0,
  };
  // Both are servers of sockets that speak of requests; the rest of this file asks no more of them.
  return Object.assign(server, limits) as unknown as Server;
}

/** The answer that a connection of HTTP/1.1 is in the middle of. */
function answeredOn(answering: ReadonlySet<ServerResponse>, socket: Duplex): ServerResponse | undefined {
  return [...answering].find((res) => res.socket === socket);
}

function ignored(): void {}

function begin(req: IncomingMessage, res: ServerResponse, finished: (request: FinishedRequest) => void): void {
  const requestId = acceptedRequestId(req.headers["x-request-id"]) ?? traceIdOf(req.headers["traceparent"]) ?? randomUUID();
  const { method = "" } = req;
  const startedAt = performance.now();
  const sent = bytesOn(req, res);
  res.setHeader("X-Request-Id", requestId);
  if (isHttp2(req)) for (const [name, value] of securityHeaders) res.setHeader(name, value);
  // An answer to a client that has just gone fails here; "close" tells of it.
  res.on("error", ignored);
  res.once("close", () => {
    const bytes = sent();
    const ms = Math.round((performance.now() - startedAt) * 10) / 10;
    const status = res.headersSent ? res.statusCode : null;
    finished({ requestId, method, status, bytes, ms, aborted: !res.writableFinished, dependencies: timingsOf(res) });
  });
}

/** How many bytes went out for this request. A connection of HTTP/2 carries several at once: there, what was announced. */
function bytesOn(req: IncomingMessage, res: ServerResponse): () => number {
  if (isHttp2(req)) return () => (req.method === "HEAD" || !res.headersSent ? 0 : Number(res.getHeader("content-length") ?? 0));
  const { socket } = req;
  const before = socket.bytesWritten;
  return () => socket.bytesWritten - before;
}

/** What the parser could not read, as the same document that all other refusals are. The request may have a handler already: its body ended wrongly. */
function refuse(error: Error & { code?: string }, socket: Duplex, answering: ServerResponse | undefined): void {
  if (error.code === "ECONNRESET" || !socket.writable || answering?.headersSent) {
    socket.destroy();
    return;
  }
  const requestId = answering ? String(answering.getHeader("X-Request-Id")) : randomUUID();
  const problem = problemOf(parseFailure(error.code), { id: requestId, path: "/" });
  const body = JSON.stringify(problem);
  socket.end(
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\nContent-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nX-Request-Id: ${requestId}\r\nConnection: close\r\n\r\n${body}`,
  );
}

function parseFailure(code: string | undefined): Error {
  if (code === "HPE_INVALID_EOF_STATE") return failure("LENGTH_MISMATCH", "The connection ended before the body that was announced.");
  if (code === "HPE_HEADER_OVERFLOW") return failure("HEADERS_TOO_LARGE", `The headers are longer than ${HEADER_BYTES_MAX} bytes.`);
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return failure("HEADERS_TIMEOUT", `The headers did not come within ${HEADERS_MS / 1000} s.`);
  return failure("INVALID_REQUEST", "This is not HTTP: an address, for one, has to be percent-encoded.");
}
