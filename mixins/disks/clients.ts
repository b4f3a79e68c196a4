/** The disks that a process talks to, one client each. */
import type { StorageAccess } from "../../config/storage.ts";
import { failure } from "../../services/kernel/errors.ts";
import { DiskClient } from "./client.ts";
import type { Disk } from "./port.ts";
import { S3Disk } from "./s3/disk.ts";

export type { StorageAccess } from "../../config/storage.ts";

export class DiskClients {
  readonly #access: StorageAccess;
  readonly #clients = new Map<string, Disk>();
  readonly #meaning = new Map<string, Disk>();

  constructor(access: StorageAccess) {
    this.#access = access;
  }

  /** The client for host:port, or for s3://bucket/prefix: made at the first call, connected when it is used. DISK_UNAUTHENTICATED. */
  at(address: string): Disk {
    const client = this.#clients.get(address) ?? this.#make(address);
    this.#clients.set(address, client);
    return client;
  }

  /** The client for one disk, wherever it is: what it calls is refused by any other disk that answers at its address. */
  of({ id, address }: { readonly id: string; readonly address: string }): Disk {
    const place = `${id}@${address}`;
    const client = this.#meaning.get(place) ?? this.at(address).meaning(id);
    this.#meaning.set(place, client);
    return client;
  }

  close(): void {
    for (const client of [...this.#meaning.values(), ...this.#clients.values()]) client.close();
    this.#clients.clear();
    this.#meaning.clear();
  }

  #make(address: string): Disk {
    const { disks, s3 } = this.#access;
    if (address.startsWith("s3://")) return new S3Disk({ address, access: s3 });
    if (!disks) throw failure("DISK_UNAUTHENTICATED", `This process has no DISK_SECRET to show to the disk at ${address}.`);
    return new DiskClient({ address, ...disks });
  }
}
