/**
 * Who wants to know of what. States are read from the services that keep them, and told when they are others than before: events only say when it is
 * worth reading, so a lost one costs a round.
 */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { errorType, failure } from "../../kernel/errors.ts";
import type { Principal } from "../../kernel/principal.ts";
import { goneState, isSettled, type LiveState, type LiveWish } from "../domain/live.ts";
import { Connection } from "./connection.ts";
import { EventStream, type EventStreamOptions } from "./event-stream.ts";
import type { Listener } from "./listener.ts";

/** Each holds about 50 KB with its topics. */
const LISTENERS_MAX = 2000;
/** Tabs of a household, or of an office behind one address. */
const LISTENERS_PER_CLIENT = 50;
/** A hundred topics of 45 characters. */
const MESSAGE_BYTES_MAX = 16 * 1024;

export interface HubPorts {
  /** What `GET` answers to who asks. Fails as that does. */
  read(topic: string, as: Principal): Promise<LiveState>;
  /** Told of what could not be read and is tried again. */
  onFailure(error: unknown): void;
}

export class Hub {
  readonly #ports: HubPorts;
  readonly #server = new WebSocketServer({
    noServer: true,
    maxPayload: MESSAGE_BYTES_MAX,
    perMessageDeflate: false,
    clientTracking: false,
  });
  readonly #listeners = new Map<Listener, string>();
  readonly #topics = new Map<string, Set<Listener>>();
  /** Topics that are being read, and whether there was a reason to do it again. */
  readonly #reading = new Map<string, boolean>();

  constructor(ports: HubPorts) {
    this.#ports = ports;
  }

  /** Makes a live connection of a request. TOO_BUSY, RATE_LIMITED. */
  accept(req: IncomingMessage, socket: Duplex, head: Buffer, who: { readonly as: Principal; readonly client: string }): void {
    this.#admit(who.client);
    this.#server.handleUpgrade(req, socket, head, (opened) => {
      const connection = new Connection(opened, {
        as: who.as,
        onWish: async (from, wish) => await this.#wish(from, wish),
        onClose: (closed) => this.#forget(closed),
      });
      this.#listeners.set(connection, who.client);
    });
  }

  /** Somebody who is told the states of one topic; the first is there already. Fails as `GET` does. TOO_BUSY, RATE_LIMITED. */
  async follow(client: string, options: EventStreamOptions): Promise<EventStream> {
    this.#admit(client);
    const stream = new EventStream(options);
    stream.onClose(() => this.#forget(stream));
    this.#listeners.set(stream, client);
    this.#join(stream, options.topic);
    try {
      await this.#begin(stream, options);
      return stream;
    } catch (error) {
      stream.close();
      throw error;
    }
  }

  /** Who was woken while the first state was read has been told a later one, or that there is none any more. */
  async #begin(stream: EventStream, { topic, as }: EventStreamOptions): Promise<void> {
    const state = await this.#ports.read(topic, as);
    if (!stream.has(topic)) throw stream.refusal ?? failure("SERVICE_UNAVAILABLE", "The stream was over before it began: ask again.");
    if (!stream.before(topic)) stream.tell(topic, state);
  }

  /** Something may have changed. */
  wake(topic: string): void {
    if (!this.#topics.has(topic)) return;
    if (this.#reading.has(topic)) this.#reading.set(topic, true);
    else void this.#read(topic);
  }

  /** Reads everything that may move by itself. */
  round(): void {
    for (const [topic, listeners] of this.#topics) {
      const moves = [...listeners].some((listener) => !isSettled(listener.before(topic) ?? {}));
      if (moves) this.wake(topic);
    }
  }

  /** Rights of a user changed: whoever was let in by them comes again, and shows what is left. */
  changed(user: string | null): void {
    const theirs = [...this.#listeners.keys()].filter(({ as }) => user !== null && as.id === user);
    for (const listener of theirs) listener.close("come again");
  }

  close(): void {
    for (const listener of this.#listeners.keys()) listener.close("the server stops");
    this.#server.close();
  }

  /** Several places for a client, and so many for all: what holds a place for long must not be had by one alone. */
  #admit(client: string): void {
    const own = [...this.#listeners.values()].filter((other) => other === client).length;
    const places = `A server takes ${LISTENERS_MAX} live connections, ${LISTENERS_PER_CLIENT} of each client.`;
    if (this.#listeners.size >= LISTENERS_MAX) throw failure("TOO_BUSY", places);
    if (own >= LISTENERS_PER_CLIENT) throw failure("RATE_LIMITED", places);
  }

  #join(listener: Listener, topic: string): void {
    const others = this.#topics.get(topic) ?? new Set();
    this.#topics.set(topic, others.add(listener));
  }

  async #wish(connection: Connection, { subscribe, unsubscribe }: LiveWish): Promise<void> {
    for (const topic of unsubscribe) this.#leave(connection, topic);
    for (const topic of subscribe) {
      if (!connection.add(topic)) continue;
      this.#join(connection, topic);
      await this.#tellState(topic, [connection]);
    }
  }

  #leave(listener: Listener, topic: string): void {
    listener.remove(topic);
    const others = this.#topics.get(topic);
    others?.delete(listener);
    if (others?.size === 0) this.#topics.delete(topic);
  }

  #forget(listener: Listener): void {
    for (const topic of listener.topics) this.#leave(listener, topic);
    this.#listeners.delete(listener);
  }

  async #read(topic: string): Promise<void> {
    do {
      this.#reading.set(topic, false);
      const byRights = Map.groupBy(this.#topics.get(topic) ?? [], ({ as }) => JSON.stringify(as));
      for (const listeners of byRights.values()) await this.#tellState(topic, listeners);
    } while (this.#reading.get(topic) === true);
    this.#reading.delete(topic);
  }

  /** To listeners of the same rights. */
  async #tellState(topic: string, listeners: readonly Listener[]): Promise<void> {
    const [first] = listeners;
    if (!first) return;
    try {
      const state = await this.#ports.read(topic, first.as);
      for (const listener of listeners) listener.tell(topic, state);
    } catch (error) {
      if (!GONE.includes(errorType(error) ?? "")) return this.#ports.onFailure(error);
      for (const listener of listeners) this.#tellGone(listener, topic, error as Error & { type: string });
    }
  }

  /** What was there and is not any more has ended; what never was, or may not be seen, is refused. */
  #tellGone(listener: Listener, topic: string, error: Error & { type: string }): void {
    const before = listener.before(topic);
    if (before) listener.tell(topic, goneState(topic, before));
    else if (listener.has(topic)) listener.refuse(topic, error);
    this.#leave(listener, topic);
  }
}

const GONE: readonly string[] = ["VIDEO_NOT_FOUND", "UPLOAD_NOT_FOUND", "UPLOAD_EXPIRED"];
