/** Requests as clients of the endurance run make them: good ones, and those that end badly. */
import { Agent, request, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** A server that does not answer within this is stuck. */
const PATIENCE_MS = 60_000;

export interface Question {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | string;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export class Http {
  readonly url: string;
  /** Connections are kept and used again, as browsers do. */
  #agent = new Agent({ keepAlive: true, maxSockets: 24 });

  constructor(url: string) {
    this.url = url;
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  /** Ends the connections that are kept. */
  rest(): void {
    this.#agent.destroy();
    this.#agent = new Agent({ keepAlive: true, maxSockets: 24 });
  }

  async ask(method: string, path: string, { headers = {}, body }: Question = {}): Promise<Answer> {
    const response = await this.#open(method, path, { headers, ...(body === undefined ? {} : { body }) });
    const parts: Buffer[] = [];
    for await (const part of response) parts.push(part as Buffer);
    return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts) };
  }

  /** Reads so many bytes, waits, and is gone without a word: a laptop that is shut. */
  async leave(
    path: string,
    { headers = {}, after, waitMs }: { headers?: Question["headers"]; after: number; waitMs: number },
  ): Promise<void> {
    const response = await this.#open("GET", path, { headers }, false);
    await new Promise<void>((resolve) => {
      let read = 0;
      response.on("data", (part: Buffer) => {
        read += part.length;
        if (read < after) return;
        response.pause();
        resolve();
      });
      response.on("error", () => resolve());
      response.once("end", () => resolve());
    });
    await sleep(waitMs);
    response.on("error", () => {});
    response.socket.resetAndDestroy();
  }

  async #open(method: string, path: string, { headers, body }: Question, kept = true): Promise<IncomingMessage> {
    return await new Promise((resolve, reject) => {
      const length = body === undefined ? {} : { "Content-Length": String(Buffer.byteLength(body)) };
      const sent = request(this.url, { path, method, headers: { ...headers, ...length }, agent: kept ? this.#agent : false }, resolve);
      sent.setTimeout(PATIENCE_MS, () => sent.destroy(new Error(`${method} ${path} was not answered`)));
      sent.once("error", reject);
      sent.end(body);
    });
  }
}

/** How a connection ends that was written by hand. */
export type Ending = "reset" | "half-closed" | "silent";

/** Sends what it has and no more; then resets the connection, closes its own half, or says nothing until the server has had enough. */
export async function breakOff(port: number, text: string, { body, ending }: { body?: Buffer; ending: Ending }): Promise<void> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  socket.on("error", () => {});
  socket.resume();
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.once("end", () => socket.end());
  await written(socket, Buffer.concat([Buffer.from(text), body ?? Buffer.alloc(0)]));
  if (ending === "reset") socket.resetAndDestroy();
  else if (ending === "half-closed") socket.end();
  await closed;
}

async function written(socket: Socket, bytes: Buffer): Promise<void> {
  await new Promise<void>((resolve) => {
    socket.once("close", () => resolve());
    socket.write(bytes, () => resolve());
  });
}
