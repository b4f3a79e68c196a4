/**
 * `npm run bench:storage [-- --rounds 3 --large 1024 --delay 5 --only 1MB]`: blobs of 100 KB, 1 MB, 8 MB and `large` MiB, written to and read from three
 * disks (three copies, two durable before the answer, verified when read), in turns with a plain node:http server that keeps one copy (the same
 * hash, the same fsync) and, for reads, with nginx. Then the same through a wire of `delay` ms, and what a reader costs that has stopped reading.
 * Every client runs in this process, and hashes what it reads from the rivals: nobody else has verified it. The first round of each is not
 * counted: both sides run code then that V8 has not compiled yet. Ratios are those of the medians of bytes a second and, beside them, of CPU a
 * byte, of all processes of a side with its client and its database: what else the machine does moves that less. The database does not sync.
 */
import { fork, type ChildProcess } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir, open, rm } from "node:fs/promises";
import { Agent, createServer, get, request, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { parseArgs } from "node:util";
import { call } from "../services/kernel/rpc.ts";
import { storage } from "../services/storage/contract.ts";
import { startCluster, type Cluster } from "../test/support/cluster.ts";
import { removeFolder, temporaryFolder } from "../test/support/tritontube.ts";
import { delayModule } from "./delay.ts";
import { startNginx } from "./nginx.ts";
import { cpuSeconds, family } from "./processes.ts";
import { rivalModule } from "./rival.ts";
import { median } from "./statistics.ts";

/** The memory of stalled readers is looked at until it stays the same, for half a minute at most. */
const LOOK_MS = 500;
const LOOKS_MAX = 60;

const KiB = 1024;
const MiB = 1024 * KiB;
/** What a socket brings at once. */
const SLICE_BYTES = 64 * KiB;
const AGENT = new Agent({ keepAlive: true });

interface Load {
  readonly name: string;
  readonly bytes: number;
  /** Blobs in one measurement, and how many at a time. */
  readonly count: number;
  readonly lanes: number;
}

/** Bytes that nobody has stored yet: one random mebibyte again and again, numbered. */
let serial = 0;
const block = randomBytes(MiB);
function* unique(size: number): Generator<Buffer> {
  for (let at = 0; at < size; at += MiB) {
    const part = Buffer.from(block.subarray(0, Math.min(MiB, size - at)));
    part.writeUInt32LE(serial++, 64);
    for (let from = 0; from < part.length; from += SLICE_BYTES) yield part.subarray(from, from + SLICE_BYTES);
  }
}
const sourceOf = (size: number): Readable => Readable.from(unique(size), { objectMode: false, highWaterMark: MiB });

interface Side {
  /** Who works for it. */
  pids(): Promise<number[]>;
  put(size: number, key: string): Promise<string>;
  get(key: string): Promise<number>;
}

function tritontube({ broker }: Cluster): Side {
  return {
    async pids() {
      // The rivals are idle meanwhile.
      return (await family(process.pid)).map(({ pid }) => pid);
    },
    async put(size) {
      return (await call(broker, storage.write, { maxBytes: size }, { stream: sourceOf(size) })).blob;
    },
    async get(blob) {
      let size = 0;
      for await (const piece of await call(broker, storage.read, { blob })) size += (piece as Buffer).length;
      return size;
    },
  };
}

function http(url: string, servers: readonly number[]): Side {
  return {
    async pids() {
      return [process.pid, ...servers];
    },
    async put(size, key) {
      const outgoing = request(`${url}/${key}`, { method: "PUT", agent: AGENT, headers: { "content-length": size } });
      const answered = once(outgoing, "response") as Promise<[IncomingMessage]>;
      await pipeline(sourceOf(size), outgoing);
      await (await answered)[0].toArray();
      return key;
    },
    async get(key) {
      const [response] = (await once(get(`${url}/${key}`, { agent: AGENT }), "response")) as [IncomingMessage];
      if (response.statusCode !== 200) throw new Error(`${url}/${key} answered ${response.statusCode}`);
      const hash = createHash("sha256");
      let size = 0;
      for await (const piece of response as AsyncIterable<Buffer>) {
        hash.update(piece);
        size += piece.length;
      }
      hash.digest();
      return size;
    },
  };
}

interface Measured {
  /** Bytes a second, and a second of CPU. */
  readonly rate: number;
  readonly perCpu: number;
}

/** `count` pieces of work, `lanes` at a time. */
async function measure({ bytes, count, lanes }: Load, side: Side, work: (index: number) => Promise<unknown>): Promise<Measured> {
  const pids = await side.pids();
  const before = await cpuSeconds(pids);
  let next = 0;
  const started = performance.now();
  const lane = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  const seconds = (performance.now() - started) / 1000;
  return { rate: (bytes * count) / seconds, perCpu: (bytes * count) / ((await cpuSeconds(pids)) - before) };
}

/**
 * Has the machine's host give memory for as much page cache as is about to be written: a virtual machine gets it with the first touch of each page,
 * at ten times the cost of the write, and whoever happens to touch it would pay.
 */
async function warmPages(folder: string, bytes: number): Promise<void> {
  const path = join(folder, "pages");
  const file = await open(path, "w");
  for (let at = 0; at < bytes; at += MiB) await file.write(block, 0, MiB, at);
  await file.close();
  await rm(path);
}

type Sides = { readonly ours: Side; readonly rival: Side; readonly nginx?: Side };
const COPIES = { ours: 3, rival: 1 };

class Comparison {
  readonly #load: Load;
  readonly #sides: Sides;
  readonly #folder: string;
  readonly #put = { ours: [] as Measured[], rival: [] as Measured[] };
  readonly #get = { ours: [] as Measured[], rival: [] as Measured[], nginx: [] as Measured[] };

  constructor(load: Load, sides: Sides, folder: string) {
    this.#load = load;
    this.#sides = sides;
    this.#folder = folder;
  }

  async run(rounds: number): Promise<string> {
    for (let round = 0; round <= rounds; round++) await this.#round(round);
    for (const measured of [...Object.values(this.#put), ...Object.values(this.#get)]) measured.shift();
    return this.#row();
  }

  async #round(round: number): Promise<void> {
    const { bytes, count, name } = this.#load;
    const keys = { ours: [] as string[], rival: [] as string[] };
    for (const who of ["rival", "ours"] as const) {
      await warmPages(this.#folder, bytes * count * COPIES[who]);
      const side = this.#sides[who];
      const put = async (n: number): Promise<void> => void (keys[who][n] = await side.put(bytes, `${name}-${round}-${n}`));
      this.#put[who].push(await measure(this.#load, side, put));
    }
    for (const who of ["rival", "nginx", "ours"] as const) {
      const side = this.#sides[who];
      const from = keys[who === "ours" ? "ours" : "rival"];
      if (side) this.#get[who].push(await measure(this.#load, side, async (n) => await this.#read(side, from[n]!)));
    }
  }

  async #read(side: Side, key: string): Promise<void> {
    const size = await side.get(key);
    if (size !== this.#load.bytes) throw new Error(`${size} of ${this.#load.bytes} bytes came`);
  }

  #row(): string {
    const puts = [mb(this.#put.ours), mb(this.#put.rival), 3 * ratio(this.#put, "rate"), 3 * ratio(this.#put, "perCpu")];
    const gets = [mb(this.#get.ours), mb(this.#get.rival), ratio(this.#get, "rate"), ratio(this.#get, "perCpu")];
    const nginx = [mb(this.#get.nginx), ratio({ ours: this.#get.ours, rival: this.#get.nginx }, "rate")];
    const cells = [this.#load.name, ...puts, ...gets, ...nginx];
    return cells.map((cell) => (typeof cell === "number" ? told(cell, 2) : cell).padStart(9)).join(" ");
  }
}

function medianOf(measured: readonly Measured[], what: keyof Measured): number {
  return median(measured.map((each) => each[what]));
}

function ratio({ ours, rival }: { ours: readonly Measured[]; rival: readonly Measured[] }, what: keyof Measured): number {
  return medianOf(ours, what) / medianOf(rival, what);
}

const told = (value: number, digits: number): string => (Number.isNaN(value) ? "-" : value.toFixed(digits));
const mb = (measured: readonly Measured[]): string => told(medianOf(measured, "rate") / 1e6, 0);
const HEAD = ["blob", "PUT MB/s", "rival", "a copy ×", "by CPU", "GET MB/s", "rival", "×", "by CPU", "nginx", "×"]
  .map((cell) => cell.padStart(9))
  .join(" ");

async function start(module: string, ...given: string[]): Promise<{ child: ChildProcess; answer: unknown }> {
  const child = fork(module, given);
  const [answer] = (await once(child, "message")) as [unknown];
  return { child, answer };
}

/** Bytes of buffers that somebody still needs, when that stays the same. */
async function heldByBuffers(): Promise<number> {
  let held = -1;
  for (let now = 0, looks = 0; now !== held && looks < LOOKS_MAX; now = process.memoryUsage().arrayBuffers, looks++) {
    held = now;
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  return held;
}

/** Memory that readers take who have read the first bytes and no more: of this process, which serves them, and of the disks. */
async function stalledReaders(cluster: Cluster, readers: number): Promise<string> {
  const { blob } = await call(cluster.broker, storage.write, { maxBytes: 64 * MiB }, { stream: sourceOf(64 * MiB) });
  const server = createServer(
    (_, response) => void call(cluster.broker, storage.read, { blob }).then((stream) => pipeline(stream, response).catch(() => undefined)),
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const agent = new Agent();
  const before = await heldByBuffers();
  const stalled = await Promise.all(
    Array.from({ length: readers }, async () => {
      const [response] = (await once(get(url, { agent }), "response")) as [IncomingMessage];
      return response;
    }),
  );
  const each = ((await heldByBuffers()) - before) / readers;
  for (const response of stalled) response.destroy();
  agent.destroy();
  server.close();
  return `${readers} stalled readers: ${(each / 1e6).toFixed(2)} MB each`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "3" },
      large: { type: "string", default: "1024" },
      delay: { type: "string", default: "5" },
      only: { type: "string" },
    },
  });
  const large = Number(values.large);
  const loads: Load[] = [
    { name: "100KB", bytes: 100_000, count: 320, lanes: 16 },
    { name: "1MB", bytes: 1_000_000, count: 96, lanes: 8 },
    { name: "8MB", bytes: 8_000_000, count: 24, lanes: 4 },
    { name: `${large}MiB`, bytes: large * MiB, count: 1, lanes: 1 },
  ].filter(({ name }) => values.only === undefined || values.only.split(",").includes(name));
  const folder = await temporaryFolder("tritontube-bench-");
  await mkdir(join(folder, "www"));
  const rival = await start(rivalModule, join(folder, "www"));
  const nginx = await startNginx(folder);
  const url = `http://127.0.0.1:${rival.answer as number}`;
  const children = [rival.child];
  const rounds = Number(values.rounds);
  try {
    const cluster = await startCluster();
    try {
      console.log(HEAD);
      for (const load of loads) {
        const sides = { ours: tritontube(cluster), rival: http(url, [rival.child.pid!]), nginx: http(nginx.url, []) };
        console.log(await new Comparison(load, sides, folder).run(rounds));
      }
      console.log(await stalledReaders(cluster, 20));
    } finally {
      await cluster.stop();
    }
    if (Number(values.delay) > 0) {
      const wire = async (addresses: readonly string[]): Promise<string[]> => {
        const { child, answer } = await start(delayModule, values.delay, ...addresses);
        children.push(child);
        return (answer as number[]).map((port) => `127.0.0.1:${port}`);
      };
      const [far] = await wire([`127.0.0.1:${rival.answer as number}`]);
      const distant = await startCluster({ through: wire });
      try {
        console.log(`\nthrough a wire of ${values.delay} ms`);
        console.log(HEAD);
        for (const load of loads.filter(({ count }) => count > 1)) {
          const sides = { ours: tritontube(distant), rival: http(`http://${far}`, [rival.child.pid!]) };
          console.log(await new Comparison(load, sides, folder).run(rounds));
        }
      } finally {
        await distant.stop();
      }
    }
  } finally {
    nginx.stop();
    for (const child of children) child.kill();
    await removeFolder(folder);
  }
}

await main();
process.exit(0);
