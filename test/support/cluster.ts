/** The storage of a whole cluster for a test: disks of their own, a database, and one broker with the services that bytes need. */
import { randomBytes } from "node:crypto";
import { glob } from "node:fs/promises";
import { basename } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import type { ServiceBroker } from "moleculer";
import { loadConfig } from "../../config/index.ts";
import { openDatabase } from "../../mixins/database/connection.ts";
import type { Database } from "../../mixins/database/sql.ts";
import blobsService from "../../services/blobs/blobs.service.ts";
import jobsService from "../../services/jobs/jobs.service.ts";
import { call } from "../../services/kernel/rpc.ts";
import { ring } from "../../services/ring/contract.ts";
import ringService from "../../services/ring/ring.service.ts";
import { storage, type StoredBlob } from "../../services/storage/contract.ts";
import storageService from "../../services/storage/storage.service.ts";
import upkeepService from "../../services/upkeep/upkeep.service.ts";
import { eventually } from "./eventually.ts";
import { startDisks, type TestDisk } from "./disks.ts";
import { testDatabase } from "./postgres.ts";
import { startServices } from "./services.ts";

/** Disks are asked while everything else starts, on a machine that may be busy. */
const RING_MS = 60_000;

export interface Cluster {
  readonly broker: ServiceBroker;
  readonly db: Database;
  readonly disks: readonly TestDisk[];
  write(source: Readable | Buffer, maxBytes?: number): Promise<StoredBlob>;
  read(blob: string, range?: { start?: number; end?: number }): Promise<Buffer>;
  stop(): Promise<void>;
}

export async function startCluster({
  zones = ["default"],
  count = 3,
  settings = {},
  services = [upkeepService],
  through,
}: Partial<Options> = {}): Promise<Cluster> {
  const [started, database] = await Promise.all([startDisks(count, { zones }), testDatabase()]);
  const { disks, secret } = started;
  const addresses = disks.map(({ address }) => address);
  const environment = { DISKS: ((await through?.(addresses)) ?? addresses).join(","), DISK_SECRET: secret, ...settings };
  Object.assign(process.env, environment);
  const broker = await startServices(database.url, ringService, blobsService, jobsService, storageService, ...services);
  await eventually(() => call(broker, ring.get, {}), { what: "a ring", timeoutMs: RING_MS });
  return {
    broker,
    db: openDatabase(database.ownerUrl, { connectionsMax: loadConfig().DATABASE_POOL }),
    disks,
    async write(source, maxBytes = 2 ** 30) {
      const stream = Buffer.isBuffer(source) ? Readable.from(slicesOf(source), { objectMode: false }) : source;
      return await call(broker, storage.write, { maxBytes }, { stream });
    },
    async read(blob, range = {}) {
      return await buffer(await call(broker, storage.read, { blob, ...range }));
    },
    async stop() {
      await broker.stop();
      await Promise.all([database.drop(), started.stop()]);
      for (const name of Object.keys(environment)) delete process.env[name];
    },
  };
}

interface Options {
  readonly count: number;
  /** Zones of the disks, in turn. */
  readonly zones: readonly string[];
  /** Further settings of the services. */
  readonly settings: Readonly<Record<string, string>>;
  /** Beside those that bytes need; upkeep when not given. */
  readonly services: readonly object[];
  /** Puts something between the services and the disks: answers the addresses at which they meet it. */
  readonly through: (addresses: readonly string[]) => Promise<readonly string[]>;
}

/** As a network would bring them: pieces of odd lengths. */
export function* slicesOf(bytes: Buffer): Generator<Buffer> {
  for (let at = 0, length = 1; at < bytes.length; at += length, length = ((length * 7) % 65_521) + 1) yield bytes.subarray(at, at + length);
}

/** Random bytes: no chunk of one test is there before it. */
export function bytesOf(length: number): Buffer<ArrayBuffer> {
  return randomBytes(length);
}

/** The chunks in the folder of a disk: name → path. */
export async function chunksOn(disk: TestDisk): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for await (const path of glob(`${disk.dir}/chunks/**/*`)) {
    if (/^[0-9a-f]{64}$/.test(basename(path))) found.set(basename(path), path);
  }
  return found;
}
