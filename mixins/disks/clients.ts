/** The disks that a process talks to, one client each. */
import { DiskClient } from "./client.ts";

export class DiskClients {
  readonly #secret: string;
  readonly #clients = new Map<string, DiskClient>();

  constructor(secret: string) {
    this.#secret = secret;
  }

  /** The client for host:port: made at the first call, connected when it is used. */
  at(address: string): DiskClient {
    const client = this.#clients.get(address) ?? new DiskClient({ address, secret: this.#secret });
    this.#clients.set(address, client);
    return client;
  }

  close(): void {
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
  }
}
