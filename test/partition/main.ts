/**
 * `npm run test:partition`: the network between storage and one of four disks is cut while people upload and read, and mended again.
 *
 * Real services and real disk processes; every packet to and from the port of the disk is dropped by nftables, so that neither end is told. No
 * upload and no read may fail, nothing may wait for the disk any more 3 s after the cut, and after the mending the disk gets what it missed.
 * What waits for the disk is seen where storage asks it: how long whole calls take is a matter of the machine, and only told.
 * Where this process may not use nftables, the disk is stopped (SIGSTOP) instead: its connections open, and stay silent.
 */
import { spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { blobs } from "../../services/blobs/contract.ts";
import { call } from "../../services/kernel/rpc.ts";
import type { DiskPool } from "../../services/storage/disks/pool.ts";
import { bytesOf, type Cluster, startCluster } from "../support/cluster.ts";
import type { TestDisk } from "../support/disks.ts";
import { eventually } from "../support/eventually.ts";

const BLOB_BYTES = 1024 * 1024;
const CALM_MS = 5000;
const CUT_MS = 15_000;
const DETECTED_MS = 3000;
const HEALED_MS = 60_000;

interface Call {
  readonly what: "upload" | "read";
  readonly beganAt: number;
  readonly ms: number;
  readonly error: string | undefined;
}

/** When storage began and ended to wait for one disk to take or to give bytes. */
interface Wait {
  readonly beganAt: number;
  readonly endedAt: number;
}

/** Who waits for the disk from now on. */
function watchWaits(cluster: Cluster, { id }: TestDisk): readonly Wait[] {
  const { pool } = cluster.broker.getLocalService("storage") as unknown as { readonly pool: DiskPool };
  const waits: Wait[] = [];
  const timed = async <R>(disk: { readonly id: string }, work: () => Promise<R>): Promise<R> => {
    const beganAt = performance.now();
    return await work().finally(() => void (disk.id === id && waits.push({ beganAt, endedAt: performance.now() })));
  };
  const [put, get] = [pool.put.bind(pool), pool.get.bind(pool)];
  pool.put = async (disk, ...given) => await timed(disk, async () => await put(disk, ...given));
  pool.get = async (disk, ...given) => await timed(disk, async () => await get(disk, ...given));
  return waits;
}

/** Uploads and reads, each after the other, until the signal. */
class People {
  readonly calls: Call[] = [];
  readonly stored = new Map<string, Buffer>();
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  async upload(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const bytes = bytesOf(BLOB_BYTES);
      await this.#timed("upload", async () => void this.stored.set((await this.#cluster.write(bytes)).blob, bytes));
    }
  }

  async read(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const known = [...this.stored];
      const chosen = known[randomInt(Math.max(1, known.length))];
      if (chosen) await this.#timed("read", async () => await this.verify(...chosen));
      else await eventually(() => this.stored.size > 0, { what: "a blob" });
    }
  }

  async verify(blob: string, bytes: Buffer): Promise<void> {
    if (!(await this.#cluster.read(blob)).equals(bytes)) throw new Error(`blob ${blob} came back with other bytes`);
  }

  async #timed(what: Call["what"], work: () => Promise<void>): Promise<void> {
    const beganAt = performance.now();
    const error = await work().then(
      () => undefined,
      (reason: unknown) => String(reason),
    );
    this.calls.push({ what, beganAt, ms: performance.now() - beganAt, error });
  }
}

interface Cut {
  readonly how: string;
  make(): void;
  mend(): void;
}

const nft = (rules: string) => spawnSync("nft", ["-f", "-"], { input: rules }).status === 0;

function cutOf(disk: TestDisk): Cut {
  const port = disk.address.split(":").at(-1);
  const table = "table inet tritontube_partition";
  const drop = `${table} { chain cut { type filter hook input priority 0; tcp dport ${port} drop; tcp sport ${port} drop; }; }`;
  if (nft(`${drop}\ndelete ${table}`)) {
    return { how: "packets dropped by nftables", make: () => void nft(drop), mend: () => void nft(`delete ${table}`) };
  }
  return { how: "SIGSTOP, since nftables cannot be used", make: () => void disk.kill("SIGSTOP"), mend: () => void disk.kill("SIGCONT") };
}

/** While people go on. */
async function lasting(ms: number): Promise<void> {
  const end = performance.now() + ms;
  await eventually(() => performance.now() > end, { what: "the end of a while", timeoutMs: 2 * ms });
}

async function main(): Promise<number> {
  const cluster = await startCluster({ count: 4, zones: ["a", "b", "c", "d"] });
  const cut = cutOf(cluster.disks[0]!);
  try {
    return await observe(cluster, cut);
  } finally {
    cut.mend();
    await cluster.stop();
  }
}

async function observe(cluster: Cluster, cut: Cut): Promise<number> {
  const people = new People(cluster);
  const waits = watchWaits(cluster, cluster.disks[0]!);
  const ending = new AbortController();
  const busy = [people.upload(ending.signal), people.upload(ending.signal), people.read(ending.signal), people.read(ending.signal)];
  await lasting(CALM_MS);
  const cutAt = performance.now();
  cut.make();
  await lasting(CUT_MS);
  const mendedAt = performance.now();
  cut.mend();
  const owed = async (): Promise<number> => {
    const copies = (await call(cluster.broker, blobs.backlog, {})).map((disk) => disk.copies);
    return copies.reduce((sum, count) => sum + count, 0);
  };
  const owedCopies = await owed();
  await lasting(CALM_MS);
  ending.abort();
  await Promise.all(busy);
  await eventually(async () => (await owed()) === 0, { what: "every copy that was missed", timeoutMs: HEALED_MS });
  const healedMs = performance.now() - mendedAt;
  for (const [blob, bytes] of people.stored) await people.verify(blob, bytes);
  return tell(people, { waits, how: cut.how, cutAt, mendedAt, owedCopies, healedMs });
}

interface Times {
  readonly waits: readonly Wait[];
  readonly how: string;
  readonly cutAt: number;
  readonly mendedAt: number;
  readonly owedCopies: number;
  readonly healedMs: number;
}

function longest(calls: readonly Call[]): number {
  return Math.round(Math.max(0, ...calls.map(({ ms }) => ms)));
}

function tell(people: People, { waits, how, cutAt, mendedAt, owedCopies, healedMs }: Times): number {
  const during = people.calls.filter(({ beganAt, ms }) => beganAt + ms > cutAt && beganAt < mendedAt);
  const calm = people.calls.filter(({ beganAt, ms }) => beganAt + ms < cutAt);
  const held = waits.filter(({ beganAt, endedAt }) => endedAt > cutAt && beganAt < mendedAt);
  const detectedMs = Math.max(0, ...held.map(({ endedAt }) => endedAt - cutAt));
  const failed = people.calls.filter(({ error }) => error !== undefined);
  const count = (what: Call["what"]) => during.filter((one) => one.what === what).length;
  console.table({
    cut: how,
    "uploads while it was cut": count("upload"),
    "reads while it was cut": count("read"),
    "calls that failed": failed.length,
    "the longest call before the cut, ms": longest(calm),
    "the longest call while it was cut, ms": longest(during),
    "waits for the disk since the cut": held.length,
    "the last of them ended, ms after the cut": Math.round(detectedMs),
    "copies owed to the disk when it was mended": owedCopies,
    "all there, ms after it was mended": Math.round(healedMs),
    "blobs read back": people.stored.size,
  });
  for (const { what, error } of failed.slice(0, 5)) console.log(`${what}: ${error}`);
  const good = failed.length === 0 && held.length > 0 && detectedMs <= DETECTED_MS && count("upload") > 0 && owedCopies > 0;
  console.log(good ? "The partition was noticed, worked around and healed." : "THE PARTITION WAS NOT HANDLED AS PROMISED.");
  return good ? 0 : 1;
}

process.exitCode = await main();
