/** One client of the live connection. */
import type { RawData, WebSocket } from "ws";
import { failure } from "../../kernel/errors.ts";
import type { Principal } from "../../kernel/principal.ts";
import { liveEvent, wishOf, type LiveState, type LiveWish } from "../domain/live.ts";
import type { Listener } from "./listener.ts";

/** A list of a hundred videos, and uploads beside it. Each costs a query a round while it moves. */
const TOPICS_MAX = 200;
/** A reader that is further behind than this has stopped reading: it asks again and gets the present state, which is all it wants. */
const BEHIND_BYTES_MAX = 256 * 1024;
/** Wishes that wait for their turn; a client sends a few in its life. */
const WISHES_MAX = 20;
/** Who may see what is looked at anew for each state, but a session or a token that has ended is noticed only by asking again. */
const LIFETIME_MS = 15 * 60_000;
/** Proxies drop a connection on which nothing moves for a minute. */
const PING_MS = 25_000;

/** RFC 6455, 7.4.1. */
const CLOSE = { away: 1001, policy: 1008, later: 1013 } as const;

export interface ConnectionOptions {
  readonly as: Principal;
  /** Takes a wish over. Resolves when the first states were sent. */
  readonly onWish: (connection: Connection, wish: LiveWish) => Promise<void>;
  readonly onClose: (connection: Connection) => void;
}

export class Connection implements Listener {
  readonly as: Principal;
  readonly #socket: WebSocket;
  readonly #options: ConnectionOptions;
  /** What it was told last, by topic. */
  readonly #told = new Map<string, LiveState | undefined>();
  readonly #ping: NodeJS.Timeout;
  readonly #life: NodeJS.Timeout;
  #alive = true;
  #wishes = 0;
  #working: Promise<void> = Promise.resolve();

  constructor(socket: WebSocket, options: ConnectionOptions) {
    this.as = options.as;
    this.#socket = socket;
    this.#options = options;
    this.#ping = setInterval(() => this.#probe(), PING_MS);
    this.#life = setTimeout(() => this.close("come again"), LIFETIME_MS);
    socket.on("message", (data, isBinary) => this.#hear(data, isBinary));
    socket.on("pong", () => (this.#alive = true));
    socket.on("error", () => socket.terminate());
    socket.once("close", () => {
      clearInterval(this.#ping);
      clearTimeout(this.#life);
      options.onClose(this);
    });
  }

  get topics(): Iterable<string> {
    return this.#told.keys();
  }

  has(topic: string): boolean {
    return this.#told.has(topic);
  }

  /** False when it has as many as it may have, and is told so; and when it is closed, since nobody would take the topic from it again. */
  add(topic: string): boolean {
    if (this.#socket.readyState !== this.#socket.OPEN) return false;
    if (this.#told.has(topic)) return true;
    if (this.#told.size >= TOPICS_MAX) {
      this.refuse(topic, failure("TOO_BUSY", `A connection may have ${TOPICS_MAX} topics.`));
      return false;
    }
    this.#told.set(topic, undefined);
    return true;
  }

  remove(topic: string): void {
    this.#told.delete(topic);
  }

  before(topic: string): LiveState | undefined {
    return this.#told.get(topic);
  }

  /** Tells a state, if it is another than before. */
  tell(topic: string, data: LiveState): void {
    if (!this.#told.has(topic)) return;
    const event = liveEvent(topic, this.#told.get(topic), data);
    this.#told.set(topic, data);
    if (event !== undefined) this.#send({ topic, event, at: new Date().toISOString(), data });
  }

  refuse(topic: string | null, { type, message }: { readonly type: string; readonly message: string }): void {
    this.#send({ topic, event: "refused", at: new Date().toISOString(), data: { code: type, detail: message } });
  }

  close(why: string): void {
    this.#socket.close(CLOSE.away, why);
  }

  #hear(data: RawData, isBinary: boolean): void {
    if (isBinary || this.#wishes >= WISHES_MAX) return this.#socket.close(CLOSE.policy, isBinary ? "send text" : "send less at once");
    this.#wishes += 1;
    this.#working = this.#working
      .then(async () => await this.#fulfil((data as Buffer).toString("utf8")))
      .finally(() => (this.#wishes -= 1));
  }

  async #fulfil(text: string): Promise<void> {
    try {
      await this.#options.onWish(this, wishOf(text));
    } catch (error) {
      this.refuse(null, error as Error & { type: string });
    }
  }

  #send(message: object): void {
    if (this.#socket.bufferedAmount > BEHIND_BYTES_MAX) {
      this.#socket.close(CLOSE.later, "you do not read");
      this.#socket.terminate();
      return;
    }
    this.#socket.send(JSON.stringify(message));
  }

  /** A client that did not answer since the last time is gone. */
  #probe(): void {
    if (!this.#alive) return this.#socket.terminate();
    this.#alive = false;
    this.#socket.ping();
  }
}
