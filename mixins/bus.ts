/**
 * NATS as this process knows it. Moleculer takes itself for connected through a whole outage, sends what nobody will answer, and keeps it in memory until
 * NATS returns: minutes later the others would do what nobody waits for any more (decision 0035).
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type ServiceBroker, Transporters } from "moleculer";
import { Events, type NatsConnection } from "nats";
import { messageOf } from "../services/kernel/errors.ts";

/** Two pings without an answer, and the connection is taken for lost: at most 6 s after NATS, or the way to it, fell silent. */
const PING = { pingInterval: 2000, maxPingOut: 2 };
/** How often a lost connection is tried again, and how long a server may take to say its first word (one that is frozen takes the connection, and says none). A refused password is
 * no reason to give up: servers and their passwords change one after the other. */
const AGAIN = { reconnectTimeWait: 250, reconnectJitter: 250, reconnectJitterTLS: 250, timeout: 2000, ignoreAuthErrorAbort: true };
/** A start that has to wait for NATS says so after this. */
const LATE_MS = 3000;

/** Of Moleculer's registry: what it does with a node whose heartbeat stays away. */
interface Nodes {
  list(options: { withServices: boolean; onlyAvailable: boolean }): readonly { readonly id: string; readonly local: boolean }[];
  disconnected(nodeID: string, isUnexpected: boolean): void;
}

/** Moleculer's NATS transporter, which drops what cannot be sent, and tells everybody of a lost connection at once. */
class NatsBus extends Transporters.NATS {
  declare readonly broker: ServiceBroker;
  declare client: NatsConnection | null;
  /** Whether NATS answers, as far as this process knows. */
  up = false;
  readonly #ending = new AbortController();

  /** The first connection is tried for as long as it takes: the process waits for it before it serves anybody. */
  override async connect(): Promise<void> {
    this.up = true;
    let reason: string | undefined;
    const tell = (): void => this.broker.logger.warn("NATS does not let this node in yet; waiting for it", { reason });
    const late = setTimeout(tell, LATE_MS);
    try {
      for (;;) {
        reason = await this.#refusal();
        if (reason === undefined) break;
        await sleep(AGAIN.reconnectTimeWait, undefined, { signal: this.#ending.signal }).catch(() => undefined);
        // A failure would make Moleculer try again.
        if (this.#ending.signal.aborted) return;
      }
    } finally {
      clearTimeout(late);
    }
    void this.#watch(this.client!);
  }

  /** Why there is no connection; undefined when there is one. */
  async #refusal(): Promise<string | undefined> {
    return await super.connect().then(() => undefined, messageOf);
  }

  /** What is dropped are heartbeats, and answers that nobody waits for any more: other nodes count as gone, so nothing else is sent. */
  override async send(topic: string, data: Buffer): Promise<void> {
    if (this.up) await super.send(topic, data);
  }

  /** The other end cannot be told while it is away. */
  override async disconnect(): Promise<void> {
    this.#ending.abort();
    if (this.up) return await super.disconnect();
    await this.client?.close();
    this.client = null;
  }

  async #watch(client: NatsConnection): Promise<void> {
    for await (const { type } of client.status()) {
      if (type === Events.Disconnect) this.#lost();
      if (type === Events.Reconnect) await this.#back();
    }
  }

  /** Every other node counts as gone until it has said again that it is there: what is asked of it fails at once, and so does what has been asked. */
  #lost(): void {
    this.up = false;
    this.broker.logger.warn("NATS does not answer; trying again");
    const nodes = this.broker.registry.nodes as unknown as Nodes;
    for (const { id, local } of nodes.list({ withServices: false, onlyAvailable: true })) if (!local) nodes.disconnected(id, true);
  }

  /** Tells the others what runs here, and asks what runs there: sooner than the next heartbeat. */
  async #back(): Promise<void> {
    this.up = true;
    this.broker.logger.info("NATS answers again");
    await this.onConnected(true);
  }
}

/** A URL with `tls://` takes nothing but TLS; `caFile` says who signed the server's certificate, in PEM, when that is nobody whom Node trusts anyway. */
export function natsBus(url: string, caFile: string | undefined): Transporters.Base {
  const { protocol, host, username, password } = new URL(url);
  const tls = protocol === "tls:" ? { tls: caFile === undefined ? {} : { caFile } } : {};
  const credentials = username === "" ? {} : { user: decodeURIComponent(username), pass: decodeURIComponent(password) };
  return new NatsBus({ servers: [host], ...credentials, ...tls, ...PING, ...AGAIN });
}

/** Whether other nodes can be asked: true where there is one process only. */
export function isBusUp(broker: ServiceBroker): boolean {
  const { tx } = (broker.transit ?? {}) as { tx?: unknown };
  return tx instanceof NatsBus ? tx.up : true;
}
