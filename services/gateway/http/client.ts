/** Who is at the other end of a connection, or of the last one before a proxy that is believed. */
import type { IncomingMessage } from "node:http";
import { BlockList, isIP, type Socket } from "node:net";
import { plainAddress } from "../../kernel/address.ts";

export interface Client {
  /** As the socket or the proxy says it; IPv4 is never written as IPv6. */
  readonly address: string;
  /** Whether it speaks TLS, with us or with the proxy. */
  readonly secure: boolean;
}

interface Peer extends Client {
  readonly isProxy: boolean;
}

export class Clients {
  /** A connection carries many requests, and its other end stays who it is. */
  readonly #peers = new WeakMap<Socket, Peer>();
  readonly #proxies = new BlockList();
  readonly #any: boolean;

  /** `proxies` are addresses and networks: "10.0.0.7", "fd00::/8". */
  constructor(proxies: readonly string[]) {
    this.#any = proxies.length > 0;
    for (const proxy of proxies) {
      const [network = "", prefix] = proxy.split("/");
      const family = isIP(network) === 6 ? "ipv6" : "ipv4";
      if (prefix === undefined) this.#proxies.addAddress(network, family);
      else this.#proxies.addSubnet(network, Number(prefix), family);
    }
  }

  /** Headers say what anyone likes, so each hop is believed only as far as the one that wrote it is a proxy of ours: the list is read from its end. */
  of(req: IncomingMessage): Client {
    const peer = this.#peerOf(req.socket);
    if (!peer.isProxy) return peer;
    const hops = listOf(req.headers["x-forwarded-for"]).map(plainAddress);
    let { address } = peer;
    while (this.#isProxy(address)) {
      const hop = hops.pop();
      if (hop === undefined || isIP(hop) === 0) break;
      address = hop;
    }
    return { address, secure: listOf(req.headers["x-forwarded-proto"]).at(-1) === "https" };
  }

  #peerOf(socket: Socket): Peer {
    const before = this.#peers.get(socket);
    if (before) return before;
    const address = plainAddress(socket.remoteAddress ?? "");
    const peer = { address, secure: "encrypted" in socket && socket.encrypted === true, isProxy: this.#isProxy(address) };
    this.#peers.set(socket, peer);
    return peer;
  }

  #isProxy(address: string): boolean {
    if (!this.#any) return false;
    const family = isIP(address);
    return family !== 0 && this.#proxies.check(address, family === 6 ? "ipv6" : "ipv4");
  }
}

function listOf(header: string | string[] | undefined): string[] {
  const text = Array.isArray(header) ? header.join(",") : (header ?? "");
  return text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}
