/**
 * Clients that cost little: what is measured is the server. Each keeps one connection, and asks again as soon as it is answered; it reads what a server of
 * HTTP/1.1 answers with Content-Length, and nothing else.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { median, percentile } from "./statistics.ts";

export interface Load {
  readonly clients: number;
  readonly seconds: number;
  /** Of all clients together, who take turns; without it, each asks again as soon as it is answered. */
  readonly perSecond?: number;
}

export interface Answer {
  /** Names and values, as they came. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Buffer;
}

export interface Figures {
  readonly requests: number;
  readonly perSecond: number;
  readonly medianMs: number;
  readonly p99Ms: number;
}

/** `ask` is given a number of its own each time. */
export async function loadWith(
  clients: readonly ((turn: number) => Promise<unknown>)[],
  { seconds, perSecond: rate }: Omit<Load, "clients">,
): Promise<Figures> {
  const began = performance.now();
  const until = began + seconds * 1000;
  const taken: number[] = [];
  let turn = 0;
  const turnMs = rate === undefined ? 0 : (clients.length * 1000) / rate;
  const client = async (ask: (turn: number) => Promise<unknown>, index: number): Promise<void> => {
    let next = began + (index / clients.length) * turnMs;
    while (performance.now() < until) {
      if (turnMs > 0) await delay(Math.max(0, next - performance.now()));
      next += turnMs;
      const started = performance.now();
      await ask(turn++);
      taken.push(performance.now() - started);
    }
  };
  await Promise.all(clients.map(client));
  const perSecond = (taken.length * 1000) / (performance.now() - began);
  return { requests: taken.length, perSecond, medianMs: median(taken), p99Ms: percentile(taken, 0.99) };
}

/** Headers are taken apart by whoever wants them. */
class Received implements Answer {
  readonly #head: string;
  readonly body: Buffer;

  constructor(head: string, body: Buffer) {
    this.#head = head;
    this.body = body;
  }

  get headers(): readonly (readonly [string, string])[] {
    const lines = this.#head.split("\r\n").slice(1);
    return lines.map((each) => [each.slice(0, each.indexOf(":")), each.slice(each.indexOf(":") + 1).trim()]);
  }
}

/** One kept connection. */
export class HttpClient {
  readonly #socket: Socket;
  readonly #host: string;
  #received: Buffer = Buffer.alloc(0);
  #answered: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | undefined;

  static async to(port: number): Promise<HttpClient> {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    await once(socket, "connect");
    return new HttpClient(socket, `127.0.0.1:${port}`);
  }

  private constructor(socket: Socket, host: string) {
    this.#socket = socket;
    this.#host = host;
    socket.on("data", (data: Buffer) => this.#take(data));
    socket.on("error", (error) => this.#answered?.reject(error));
    socket.on("close", () => this.#answered?.reject(new Error("the server closed the connection")));
  }

  /** Anything but 200 is an error. */
  async get(target: string): Promise<Answer> {
    return await new Promise((resolve, reject) => {
      this.#answered = { resolve, reject };
      if (this.#socket.destroyed) reject(new Error("the server closed the connection"));
      this.#socket.write(`GET ${target} HTTP/1.1\r\nHost: ${this.#host}\r\n\r\n`);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(data: Buffer): void {
    this.#received = this.#received.length === 0 ? data : Buffer.concat([this.#received, data]);
    const headEnd = this.#received.indexOf("\r\n\r\n");
    if (headEnd < 0) return;
    const head = this.#received.toString("latin1", 0, headEnd);
    const bodyAt = headEnd + 4;
    const length = Number(/\r\ncontent-length: ([0-9]+)/i.exec(head)?.[1]);
    if (this.#received.length < bodyAt + length) return;
    const body = this.#received.subarray(bodyAt, bodyAt + length);
    this.#received = Buffer.alloc(0);
    if (head.startsWith("HTTP/1.1 200 ")) this.#answered?.resolve(new Received(head, body));
    else this.#answered?.reject(new Error(`answered ${head.slice(9, 12)}: ${body.toString()}`));
  }
}
