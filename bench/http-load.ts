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

const HEAD_END = "\r\n\r\n";

/** Where an answer ends that has begun so; undefined while its head is not whole. */
function endOf(pieces: readonly Buffer[]): number | undefined {
  const begun = Buffer.concat(pieces);
  const headEnd = begun.indexOf(HEAD_END);
  if (headEnd < 0) return undefined;
  const length = Number(/\r\ncontent-length: ([0-9]+)/i.exec(begun.toString("latin1", 0, headEnd))?.[1]);
  return headEnd + HEAD_END.length + length;
}

/** One kept connection. */
export class HttpClient {
  readonly #socket: Socket;
  readonly #host: string;
  /** Of an answer, as it comes; how much there is of it, and how much there is to be, once its head is there. */
  #pieces: Buffer[] = [];
  #length = 0;
  #end: number | undefined;
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
    this.#pieces.push(data);
    this.#length += data.length;
    this.#end ??= endOf(this.#pieces);
    if (this.#end === undefined || this.#length < this.#end) return;
    const received = Buffer.concat(this.#pieces);
    const bodyAt = received.indexOf(HEAD_END) + HEAD_END.length;
    const head = received.toString("latin1", 0, bodyAt - HEAD_END.length);
    const body = received.subarray(bodyAt, this.#end);
    this.#pieces = [];
    this.#length = 0;
    this.#end = undefined;
    if (head.startsWith("HTTP/1.1 200 ")) this.#answered?.resolve(new Received(head, body));
    else this.#answered?.reject(new Error(`answered ${head.slice(9, 12)}: ${body.toString()}`));
  }
}
