/**
 * NATS as this process knows it. Moleculer takes itself for connected through a whole outage, sends what nobody will answer, and keeps it in memory until
 * NATS returns: minutes later the others would do what nobody waits for any more (decision 0035).
 */
import { randomInt } from "node:crypto";
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type ServiceBroker, Transporters } from "moleculer";
import { DebugEvents, type NatsConnection } from "nats";
import { messageOf } from "../services/kernel/errors.ts";

/** Two pings without an answer, and the connection is taken for lost: at most 6 s after NATS, or the way to it, fell silent. */
const PING = { pingInterval: 2000, maxPingOut: 2 };
/**
 * A server may take so long to say its first word: one that is frozen takes the connection, and says none. The client never connects again by itself: when such a
 * connection ends later, it takes that for the end of the one that it has, makes another and goes on reading both. Then every request is done twice.
 */
const ONCE = { reconnect: false, timeout: 2000 };
/** How often a lost connection is tried again; not by all in the same moment. A refused password is no reason to give up: servers and their passwords change one after the other. */
const AGAIN_MS = { least: 250, most: 500 };
/** A start that has to wait for NATS says so after this. */
const LATE_MS = 3000;
/** Whoever stops sends what it has said last, unless NATS fell silent a moment ago and nobody has noticed yet. */
const FLUSH_MS = 1000;
const NATS_PORT = "4222";

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
  #wasUp = false;
  readonly #ending = new AbortController();
  readonly #host: string;
  /** Counts on with each trial; not all begin with the same server. */
  #trial = randomInt(1000);

  constructor(host: string, options: object) {
    super(options);
    this.#host = host;
  }

  override init(...about: Parameters<Transporters.NATS["init"]>): void {
    super.init(...about);
    // It calls each trial that fails an error, four a second; that NATS is away is told once.
    this.logger.error = (...words) => this.logger.debug(...words);
  }

  /** Tried for as long as it takes: the process waits for the first connection before it serves anybody. */
  override async connect(): Promise<void> {
    let reason: string | undefined;
    const tell = (): void => this.broker.logger.warn("NATS does not let this node in yet; waiting for it", { reason });
    const late = setTimeout(tell, LATE_MS);
    try {
      // A failure would make Moleculer try again.
      while (!this.#ending.signal.aborted) {
        reason = await this.#refusal();
        if (this.client) return void this.#watch(this.client);
        const waitMs = AGAIN_MS.least + Math.random() * (AGAIN_MS.most - AGAIN_MS.least);
        await sleep(waitMs, undefined, { signal: this.#ending.signal }).catch(() => undefined);
      }
    } finally {
      clearTimeout(late);
    }
  }

  /** Why there is no connection; without a reason there is one, or nobody wants it any more. */
  async #refusal(): Promise<string | undefined> {
    const reason = await this.#dial().then(() => undefined, messageOf);
    // What has come up too late, or only half, must not go on beside the next one.
    if (reason !== undefined || this.#ending.signal.aborted) await this.#drop();
    return reason;
  }

  /**
   * Of the servers that the name stands for one a trial. The client would try all of them as one connection, and take the late end of one that it has given
   * up for the end of the one that it has.
   */
  async #dial(): Promise<void> {
    const addresses = await addressesOf(this.#host);
    this.opts.servers = addresses.slice(this.#trial++ % addresses.length).slice(0, 1);
    await super.connect();
  }

  async #drop(): Promise<void> {
    this.up = false;
    await this.client?.close();
    this.client = null;
  }

  /** Each connection is a new one: it is told what to listen to, and the others what runs here, sooner than the next heartbeat would. */
  override async onConnected(): Promise<void> {
    this.up = true;
    const again = this.#wasUp;
    this.#wasUp = true;
    if (again) {
      this.broker.logger.info("NATS answers again");
      await this.transit.makeSubscriptions();
    }
    await super.onConnected(again);
  }

  /** What is dropped are heartbeats, and answers that nobody waits for any more: other nodes count as gone, so nothing else is sent. */
  override async send(topic: string, data: Buffer): Promise<void> {
    if (this.up) await super.send(topic, data);
  }

  /** The other end cannot be told while it is away. */
  override async disconnect(): Promise<void> {
    this.#ending.abort();
    if (this.up) await Promise.race([this.client?.flush().catch(() => {}), sleep(FLUSH_MS, undefined, { ref: false })]);
    await this.#drop();
  }

  async #watch(client: NatsConnection): Promise<void> {
    endStale(client).catch(() => {});
    await client.closed();
    if (this.#ending.signal.aborted) return;
    this.client = null;
    this.#lost();
    await this.connect();
  }

  /** Every other node counts as gone until it has said again that it is there: what is asked of it fails at once, and so does what has been asked. */
  #lost(): void {
    this.up = false;
    this.broker.logger.warn("NATS does not answer; trying again");
    const nodes = this.broker.registry.nodes as unknown as Nodes;
    for (const { id, local } of nodes.list({ withServices: false, onlyAvailable: true })) if (!local) nodes.disconnected(id, true);
  }
}

/** A connection on which pings are not answered is closed by the client once all is sent that waits: never, where a server is frozen and much waits. */
async function endStale(client: NatsConnection): Promise<void> {
  for await (const { type } of client.status()) if (type === DebugEvents.StaleConnection) await client.close();
}

/** A number of IPv6 without its brackets. */
function bare(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, "$1");
}

/** As host:port. */
async function addressesOf(host: string): Promise<readonly string[]> {
  const { hostname, port } = new URL(`nats://${host}`);
  const found = await lookup(bare(hostname), { all: true });
  return found.map(({ address, family }) => `${family === 6 ? `[${address}]` : address}:${port || NATS_PORT}`);
}

/** A URL with `tls://` takes nothing but TLS; `caFile` says who signed the server's certificate, in PEM, when that is nobody whom Node trusts anyway. */
export function natsBus(url: string, caFile: string | undefined): Transporters.Base {
  const { protocol, host, hostname, username, password } = new URL(url);
  const tls =
    protocol === "tls:"
      ? { tls: { ...(isIP(bare(hostname)) === 0 ? { servername: hostname } : {}), ...(caFile === undefined ? {} : { caFile }) } }
      : {};
  const credentials = username === "" ? {} : { user: decodeURIComponent(username), pass: decodeURIComponent(password) };
  return new NatsBus(host, { ...credentials, ...tls, ...PING, ...ONCE });
}

/** Whether other nodes can be asked: true where there is one process only. */
export function isBusUp(broker: ServiceBroker): boolean {
  const { tx } = (broker.transit ?? {}) as { tx?: unknown };
  return tx instanceof NatsBus ? tx.up : true;
}
