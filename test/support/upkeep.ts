/** A cluster in which nothing happens by itself: a test says what upkeep does, and when it dies. */
import { randomUUID } from "node:crypto";
import { execute, rows } from "../../mixins/database/sql.ts";
import { blobs } from "../../services/blobs/contract.ts";
import { call } from "../../services/kernel/rpc.ts";
import { ownersOf, ring } from "../../services/ring/contract.ts";
import { portsOf } from "../../services/upkeep/cluster.ts";
import { collect } from "../../services/upkeep/work/collect.ts";
import type { Ports } from "../../services/upkeep/work/ports.ts";
import { chunksOn, startCluster, type Cluster } from "./cluster.ts";

export const NEVER = new AbortController().signal;

export interface QuietCluster extends Cluster {
  readonly ports: Ports;
  /** What an operator was told. */
  readonly told: string[];
  chunksOf(blob: string): Promise<string[]>;
  /** Ids of the disks that should hold a chunk. */
  owners(chunk: string): Promise<string[]>;
  /** Ids of the disks that do. */
  holders(chunk: string): Promise<string[]>;
  /** Says in the rows that everything was last touched long before the time of grace. */
  age(): Promise<void>;
  /** What collectors do that come round twice with a long time between. */
  collectAll(): Promise<void>;
  /** Makes a video of a blob. */
  name(blob: string): Promise<void>;
  blobs(): Promise<string[]>;
  chunks(): Promise<string[]>;
  /** How many copies are known to be missing. */
  lacking(): Promise<number>;
  /** Every copy that should be there is there, and no other. */
  isTidy(): Promise<boolean>;
}

export const NAME_BLOB =
  "insert into videos (id, title, filename, source_blob, source_size, status) values ($1, 't', 'f', $2, 1, 'queued')";

export async function startQuietCluster(options: Parameters<typeof startCluster>[0] = {}): Promise<QuietCluster> {
  const cluster = await startCluster({ services: [], ...options });
  const { broker, db, disks } = cluster;
  const told: string[] = [];
  const logger = { warn: (message: string) => void told.push(message) } as unknown as Parameters<typeof portsOf>[1];
  const ports = portsOf(broker, logger);
  const names = async (text: string) => (await rows<{ name: string }>(db, text)).map(({ name }) => name);
  const owners = async (chunk: string) => ownersOf(await call(broker, ring.get, {}), chunk).map(({ id }) => id);
  const chunks = async () => await names("select encode(sha256, 'hex') as name from chunks");
  const age = async () => {
    await execute(db, "update blobs set touched_at = now() - interval '2 days' where touched_at is not null");
    await execute(db, "update chunks set touched_at = now() - interval '2 days'");
  };
  return {
    ...cluster,
    ports,
    told,
    async chunksOf(blob) {
      const manifest = await call(broker, blobs.get, { blob });
      const bytes = Buffer.from(manifest.chunks);
      return Array.from({ length: bytes.length / 32 }, (_, n) => bytes.subarray(n * 32, n * 32 + 32).toString("hex"));
    },
    owners,
    async holders(chunk) {
      const held = await Promise.all(disks.map(async (disk) => ({ id: disk.id, has: (await chunksOn(disk)).has(chunk) })));
      return held.filter(({ has }) => has).map(({ id }) => id);
    },
    age,
    async collectAll() {
      await age();
      await call(broker, blobs.collect, {});
      await age();
      await collect(ports, NEVER);
    },
    async name(blob) {
      await execute(db, NAME_BLOB, [randomUUID(), Buffer.from(blob, "hex")]);
    },
    blobs: async () => await names("select encode(id, 'hex') as name from blobs"),
    chunks,
    lacking: async () => (await rows(db, "select 1 from missing_copies")).length,
    async isTidy() {
      const wanted = await Promise.all((await chunks()).map(async (chunk) => (await owners(chunk)).map((disk) => `${disk}/${chunk}`)));
      const found = await Promise.all(disks.map(async (disk) => [...(await chunksOn(disk)).keys()].map((chunk) => `${disk.id}/${chunk}`)));
      return JSON.stringify(wanted.flat().toSorted()) === JSON.stringify(found.flat().toSorted());
    },
  };
}

class Killed extends Error {}

/** Ports that end with everything else when they are used for the nth time: before the call is made, or after it was. */
export function dying(ports: Ports, nth: number, moment: "before" | "after"): { ports: Ports; readonly calls: number } {
  let calls = 0;
  const proxy = new Proxy(ports, {
    get(target, name) {
      const port = Reflect.get(target, name) as (...given: unknown[]) => Promise<unknown>;
      if (name === "warn") return port;
      return async (...given: unknown[]) => {
        calls += 1;
        if (calls > nth || (calls === nth && moment === "before")) throw new Killed();
        const answer = await port(...given);
        if (calls >= nth) throw new Killed();
        return answer;
      };
    },
  });
  return {
    ports: proxy,
    get calls() {
      return calls;
    },
  };
}
