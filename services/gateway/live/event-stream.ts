/**
 * The states of one video as server-sent events (HTML Living Standard, 9.2): lines over HTTP, for who needs no WebSocket. The name of an event is the
 * name of its state, the same at every gateway: who comes back and names the last one is told only what is different since.
 */
import type { Writable } from "node:stream";
import type { Principal } from "../../kernel/principal.ts";
import { isSettled, liveEvent, serverSentEvent, stateName, type LiveState } from "../domain/live.ts";
import type { Listener } from "./listener.ts";

/** Proxies drop a connection on which nothing moves for a minute. */
const HEARTBEAT_MS = 25_000;
/** Who may see what is looked at anew for each state, but a session or a token that has ended is noticed only by asking again. */
const LIFETIME_MS = 15 * 60_000;
/** A reader that is further behind than this has stopped reading. */
const BEHIND_BYTES_MAX = 256 * 1024;

export interface EventStreamOptions {
  readonly as: Principal;
  readonly topic: string;
  /** What the client says that it was told last. */
  readonly last: string | undefined;
}

export class EventStream implements Listener {
  readonly as: Principal;
  readonly #topic: string;
  readonly #last: string | undefined;
  readonly #timers: NodeJS.Timeout[] = [];
  /** What was told before there was somebody to send it to. */
  #waiting: string[] = [];
  #to: Writable | undefined;
  #told: LiveState | undefined;
  #ended = false;
  #refusal: Error | undefined;
  #onClose: () => void = () => {};

  constructor({ as, topic, last }: EventStreamOptions) {
    this.as = as;
    this.#topic = topic;
    this.#last = last;
  }

  get topics(): Iterable<string> {
    return this.#ended ? [] : [this.#topic];
  }

  /** Whether the client knows the last thing that there is to tell. */
  get isSpent(): boolean {
    return this.#told !== undefined && isSettled(this.#told) && this.#waiting.length === 0;
  }

  onClose(heard: () => void): void {
    this.#onClose = heard;
  }

  has(topic: string): boolean {
    return !this.#ended && topic === this.#topic;
  }

  before(topic: string): LiveState | undefined {
    return this.has(topic) ? this.#told : undefined;
  }

  tell(topic: string, data: LiveState): void {
    if (!this.has(topic)) return;
    // Who was away when it ended is told of the end by its name, too.
    const event = liveEvent(topic, this.#told ?? {}, data);
    const isKnown = this.#told === undefined && stateName(data) === this.#last;
    this.#told = data;
    if (event !== undefined && !isKnown) this.#write(serverSentEvent(event, data, new Date()));
    if (isSettled(data)) this.#to?.end();
  }

  /** Its one topic ends with it. */
  remove(): void {}

  /** What cannot be seen from the first is refused before anything flows. */
  refuse(_topic: string, error: Error): void {
    this.#refusal = error;
    this.close();
  }

  /** Why it could not even begin. */
  get refusal(): Error | undefined {
    return this.#refusal;
  }

  close(): void {
    if (this.#to) this.#to.end();
    else this.#over();
  }

  /** Sends what was told so far, and from now on everything at once. */
  flowInto(to: Writable): void {
    if (this.#ended) return void to.end();
    this.#to = to;
    to.once("close", () => this.#over());
    this.#timers.push(
      setInterval(() => this.#write(":\n\n"), HEARTBEAT_MS),
      setTimeout(() => this.close(), LIFETIME_MS),
    );
    to.write(`retry: 2000\n\n${this.#waiting.join("")}`);
    this.#waiting = [];
    if (this.#told && isSettled(this.#told)) to.end();
  }

  #write(text: string): void {
    if (!this.#to) this.#waiting.push(text);
    else if (this.#to.writableLength > BEHIND_BYTES_MAX) this.#to.destroy();
    else if (this.#to.writable && !this.#to.writableEnded) this.#to.write(text);
  }

  #over(): void {
    if (this.#ended) return;
    for (const timer of this.#timers) clearInterval(timer);
    this.#onClose();
    this.#ended = true;
  }
}
