/** HTTP as a test needs it: targets that no client would send, bodies that end too early, connections that are watched. */
import { request, type IncomingHttpHeaders, type IncomingMessage, type OutgoingHttpHeaders } from "node:http";
import { connect, type Socket } from "node:net";
import { descriptionBreach } from "./description.ts";

/** What this server's JSON may have at its top. What is inside of it, a test says itself. */
export interface JsonBody {
  readonly detail?: string;
  readonly data?: unknown;
  readonly meta?: unknown;
  readonly status?: unknown;
  readonly code?: unknown;
  readonly checks?: unknown;
  readonly errors?: readonly { path: string; message: string }[];
  readonly instance?: string;
  readonly requestId?: string;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** The body as JSON. */
  json(): JsonBody;
}

export interface HttpQuestion {
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: Buffer | string;
}

const EVENT_STREAM = "text/event-stream";

/** Sends `target` as it is: `fetch` would resolve `..` in it. Every answer is held against the API's description. */
export async function ask(url: string, target: string, { method = "GET", headers = {}, body }: HttpQuestion = {}): Promise<HttpAnswer> {
  return await new Promise((resolve, reject) => {
    const sent = request(url, { path: target, method, headers, agent: false }, (response) => {
      const parts: Buffer[] = [];
      const finish = (): void => {
        const answer = answerOf(response, Buffer.concat(parts));
        const wrong = breachOf(String(headers["X-HTTP-Method-Override"] ?? method), target, answer);
        if (wrong) reject(wrong);
        else resolve(answer);
      };
      response.on("data", (part: Buffer) => {
        parts.push(part);
        if (response.headers["content-type"] !== EVENT_STREAM) return;
        // It goes on for as long as there is news: the first of it will do.
        response.destroy();
        finish();
      });
      response.on("error", reject);
      response.on("end", finish);
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

function answerOf({ statusCode = 0, headers }: IncomingMessage, body: Buffer): HttpAnswer {
  return { status: statusCode, headers, body, json: () => JSON.parse(body.toString()) as JsonBody };
}

function breachOf(method: string, target: string, { status, headers, body }: HttpAnswer): Error | undefined {
  const plain = headers["content-encoding"] === undefined ? body : Buffer.alloc(0);
  return descriptionBreach({ method, target, status, type: headers["content-type"] ?? "", body: plain });
}

/** A connection that is written by hand. */
export interface RawConnection {
  readonly socket: Socket;
  /** Everything that has come back so far. */
  received(): string;
  /** Resolves when the server has closed the connection. */
  readonly closed: Promise<void>;
}

export async function openRaw(port: number): Promise<RawConnection> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  let received = "";
  socket.on("data", (data) => (received += data.toString("latin1")));
  socket.on("error", () => {});
  const closed = new Promise<void>((resolve) => {
    socket.once("close", () => resolve());
    socket.once("end", () => socket.end());
  });
  await new Promise((resolve) => socket.once("connect", resolve));
  return { socket, received: () => received, closed };
}

/** The parts of a form as RFC 7578 writes them. A part with a filename is a file. */
export function multipart(
  parts: readonly { name: string; filename?: string; content: Buffer | string }[],
): HttpQuestion & { body: Buffer } {
  const boundary = "----a-boundary";
  const body = parts.flatMap(({ name, filename, content }) => [
    `--${boundary}\r\nContent-Disposition: form-data; name="${name}"${filename === undefined ? "" : `; filename="${filename}"`}\r\n\r\n`,
    content,
    "\r\n",
  ]);
  return {
    method: "POST",
    headers: { "Content-Type": `multipart/form-data; boundary=${boundary}` },
    body: Buffer.concat([...body, `--${boundary}--\r\n`].map((part) => Buffer.from(part as string))),
  };
}
