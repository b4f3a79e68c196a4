/** The disks as this process sees them: who is busy, who did not answer, and whether the one that answers is the one that is meant. */
import type { DiskClient } from "../../../mixins/disks/client.ts";
import type { DiskClients } from "../../../mixins/disks/clients.ts";
import { errorType, failure } from "../../kernel/errors.ts";
import type { StorageDisk } from "../domain/ring.ts";

/** 8 MiB at 0.8 MB/s. Whoever watches has waited too long by then; another disk is asked. */
const READ_MS = 10_000;
/** A disk takes some uploads at a time and lets the others wait: to give up sooner and come again would only lengthen the line. One that hangs fails in 5 s. */
const WRITE_MS = 30_000;
const CONTROL_MS = 2000;

interface ChunkUpload {
  readonly hash: string;
  readonly bytes: Uint8Array;
  readonly epoch: number;
}

export class DiskPool {
  readonly #clients: DiskClients;
  /** Calls that run, by disk. */
  readonly #running = new Map<string, number>();
  /** Disks that did not answer, until `probe` hears from them. One that comes back at another address is not suspect there. */
  readonly #suspects = new Set<string>();
  /** Which disk answers at an address. */
  readonly #found = new Map<string, string>();

  constructor(clients: DiskClients) {
    this.#clients = clients;
  }

  /** Fails as DiskClient.putChunk does; DISK_UNAVAILABLE also when it takes too long. */
  async put(disk: StorageDisk, chunk: ChunkUpload, signal: AbortSignal): Promise<void> {
    await this.#ask(disk, WRITE_MS, signal, (client, limit) => client.putChunk(chunk, limit));
  }

  /** The whole chunk, verified. Fails as DiskClient.getChunk does. */
  async get(disk: StorageDisk, hash: string, signal: AbortSignal): Promise<Buffer> {
    return await this.#ask(disk, READ_MS, signal, (client, limit) => client.getChunk({ hash }, limit));
  }

  async has(disk: StorageDisk, hash: string, signal: AbortSignal): Promise<boolean> {
    return (await this.#ask(disk, CONTROL_MS, signal, (client, limit) => client.statChunk({ hash }, limit))) !== undefined;
  }

  isSuspect(disk: StorageDisk): boolean {
    return this.#suspects.has(placeOf(disk));
  }

  suspect(disk: StorageDisk): void {
    this.#suspects.add(placeOf(disk));
    this.#found.delete(disk.address);
  }

  /** The least busy first; among equals in the given order. Suspects last. */
  byLoad<D extends StorageDisk>(disks: readonly D[]): D[] {
    const burden = (disk: D) => (this.isSuspect(disk) ? Infinity : (this.#running.get(disk.id) ?? 0));
    return disks.toSorted((a, b) => (burden(a) === burden(b) ? 0 : burden(a) - burden(b)));
  }

  /** Asks those that are suspect whether they are there again. For a caller that does so every two seconds or so. */
  async probe(disks: readonly StorageDisk[], signal: AbortSignal): Promise<void> {
    const asked = disks.filter((disk) => this.isSuspect(disk));
    await Promise.allSettled(
      asked.map(async (disk) => {
        await this.#ask(disk, CONTROL_MS, signal, async (client, limit) => await client.getDisk(limit));
        this.#suspects.delete(placeOf(disk));
      }),
    );
  }

  async #ask<R>(disk: StorageDisk, limitMs: number, signal: AbortSignal, work: Work<R>): Promise<R> {
    const tooLong = new AbortController();
    const reason = failure("DISK_UNAVAILABLE", `Disk ${disk.id} at ${disk.address} took longer than ${limitMs} ms.`);
    const timer = setTimeout(() => tooLong.abort(reason), limitMs);
    this.#running.set(disk.id, (this.#running.get(disk.id) ?? 0) + 1);
    try {
      const client = this.#clients.at(disk.address);
      const limit = AbortSignal.any([signal, tooLong.signal]);
      await this.#identify(disk, client, limit);
      return await work(client, limit);
    } catch (error) {
      if (!signal.aborted && errorType(error) === "DISK_UNAVAILABLE") this.suspect(disk);
      throw error;
    } finally {
      clearTimeout(timer);
      this.#running.set(disk.id, this.#running.get(disk.id)! - 1);
    }
  }

  /** An address may come to another disk, and two copies on one disk are one. So who answers is asked before it is used, and again after it failed. */
  async #identify(disk: StorageDisk, client: DiskClient, signal: AbortSignal): Promise<void> {
    const id = this.#found.get(disk.address) ?? (await client.getDisk(signal)).id;
    if (id !== disk.id) throw failure("DISK_UNAVAILABLE", `At ${disk.address} answers disk ${id} instead of ${disk.id}.`);
    this.#found.set(disk.address, id);
  }
}

type Work<R> = (client: DiskClient, signal: AbortSignal) => Promise<R>;

function placeOf({ id, address }: StorageDisk): string {
  return `${id}@${address}`;
}
