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

/** Each holds about 50 KB with its topics. */
const CONNECTIONS_MAX = 2000;
/** Tabs of a household, or of an office behind one address. */
const CONNECTIONS_PER_CLIENT = 50;
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
  readonly #connections = new Map<Connection, string>();
  readonly #topics = new Map<string, Set<Connection>>();
  /** Topics that are being read, and whether there was a reason to do it again. */
  readonly #reading = new Map<string, boolean>();

  constructor(ports: HubPorts) {
    this.#ports = ports;
  }

  /** Makes a live connection of a request. TOO_BUSY. */
  accept(req: IncomingMessage, socket: Duplex, head: Buffer, who: { readonly as: Principal; readonly client: string }): void {
    const own = [...this.#connections.values()].filter((client) => client === who.client).length;
    if (this.#connections.size >= CONNECTIONS_MAX || own >= CONNECTIONS_PER_CLIENT) {
      throw failure("TOO_BUSY", `A server takes ${CONNECTIONS_MAX} live connections, ${CONNECTIONS_PER_CLIENT} of each client.`);
    }
    this.#server.handleUpgrade(req, socket, head, (opened) => {
      const connection = new Connection(opened, {
        as: who.as,
        onWish: async (from, wish) => await this.#wish(from, wish),
        onClose: (closed) => this.#forget(closed),
      });
      this.#connections.set(connection, who.client);
    });
  }

  /** Something may have changed. */
  wake(topic: string): void {
    if (!this.#topics.has(topic)) return;
    if (this.#reading.has(topic)) this.#reading.set(topic, true);
    else void this.#read(topic);
  }

  /** Reads everything that may move by itself. */
  round(): void {
    for (const [topic, connections] of this.#topics) {
      const moves = [...connections].some((connection) => !isSettled(connection.before(topic) ?? {}));
      if (moves) this.wake(topic);
    }
  }

  close(): void {
    for (const connection of this.#connections.keys()) connection.close("the server stops");
    this.#server.close();
  }

  async #wish(connection: Connection, { subscribe, unsubscribe }: LiveWish): Promise<void> {
    for (const topic of unsubscribe) this.#leave(connection, topic);
    for (const topic of subscribe) {
      if (!connection.add(topic)) continue;
      const others = this.#topics.get(topic) ?? new Set();
      this.#topics.set(topic, others.add(connection));
      await this.#tellState(topic, [connection]);
    }
  }

  #leave(connection: Connection, topic: string): void {
    connection.remove(topic);
    const others = this.#topics.get(topic);
    others?.delete(connection);
    if (others?.size === 0) this.#topics.delete(topic);
  }

  #forget(connection: Connection): void {
    for (const topic of connection.topics) this.#leave(connection, topic);
    this.#connections.delete(connection);
  }

  async #read(topic: string): Promise<void> {
    do {
      this.#reading.set(topic, false);
      const byRights = Map.groupBy(this.#topics.get(topic) ?? [], ({ as }) => JSON.stringify(as));
      for (const connections of byRights.values()) await this.#tellState(topic, connections);
    } while (this.#reading.get(topic) === true);
    this.#reading.delete(topic);
  }

  /** To connections of the same rights. */
  async #tellState(topic: string, connections: readonly Connection[]): Promise<void> {
    const [first] = connections;
    if (!first) return;
    try {
      const state = await this.#ports.read(topic, first.as);
      for (const connection of connections) connection.tell(topic, state);
    } catch (error) {
      if (!GONE.includes(errorType(error) ?? "")) return this.#ports.onFailure(error);
      for (const connection of connections) this.#tellGone(connection, topic, error as Error & { type: string });
    }
  }

  /** What was there and is not any more has ended; what never was, or may not be seen, is refused. */
  #tellGone(connection: Connection, topic: string, error: Error & { type: string }): void {
    const before = connection.before(topic);
    if (before) connection.tell(topic, goneState(topic, before));
    else if (connection.has(topic)) connection.refuse(topic, error);
    this.#leave(connection, topic);
  }
}

const GONE: readonly string[] = ["VIDEO_NOT_FOUND", "UPLOAD_NOT_FOUND", "UPLOAD_EXPIRED"];
