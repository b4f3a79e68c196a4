/**
 * `npm run bench:storage [-- --rounds 3 --large 1024 --delay 5 --only 1MB]`: blobs of 100 KB, 1 MB, 8 MB and `large` MiB, written to and read from three
 * disks (three copies, two durable before the answer, verified when read), in turns with a plain node:http server that keeps one copy (the same
 * hash, the same fsync) and, for reads, with nginx. Then the same through a wire of `delay` ms, and what a reader costs that has stopped reading.
 * Every client runs in this process, and hashes what it reads from the rivals: nobody else has verified it.
 */
import { fork, type ChildProcess } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
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
  put(size: number, key: string): Promise<string>;
  get(key: string): Promise<number>;
}

function tritontube({ broker }: Cluster): Side {
  return {
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

function http(url: string): Side {
  return {
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

/** Bytes a second of `count` pieces of work, `lanes` at a time. */
async function rateOf({ bytes, count, lanes }: Load, work: (index: number) => Promise<unknown>): Promise<number> {
  let next = 0;
  const started = performance.now();
  const lane = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return (bytes * count) / ((performance.now() - started) / 1000);
}

async function compare(load: Load, rounds: number, sides: { ours: Side; rival: Side; nginx?: Side | undefined }): Promise<string> {
  const rates = {
    put: { ours: [] as number[], rival: [] as number[] },
    get: { ours: [] as number[], rival: [] as number[], nginx: [] as number[] },
  };
  for (let round = 0; round < rounds; round++) {
    const keys = { ours: [] as string[], rival: [] as string[] };
    for (const side of ["rival", "ours"] as const) {
      rates.put[side].push(
        await rateOf(load, async (n) => keys[side].push(await sides[side].put(load.bytes, `${load.name}-${round}-${n}`))),
      );
    }
    const read = (side: Side, from: readonly string[]) =>
      rateOf(load, async (n) => {
        const size = await side.get(from[n]!);
        if (size !== load.bytes) throw new Error(`${size} of ${load.bytes} bytes came`);
      });
    rates.get.rival.push(await read(sides.rival, keys.rival));
    if (sides.nginx) rates.get.nginx.push(await read(sides.nginx, keys.rival));
    rates.get.ours.push(await read(sides.ours, keys.ours));
  }
  const put = { ours: median(rates.put.ours), rival: median(rates.put.rival) };
  const got = { ours: median(rates.get.ours), rival: median(rates.get.rival), nginx: median(rates.get.nginx) };
  const cells = [
    load.name,
    mb(put.ours),
    mb(put.rival),
    (3 * put.ours) / put.rival,
    mb(got.ours),
    mb(got.rival),
    got.ours / got.rival,
    mb(got.nginx),
    got.ours / got.nginx,
  ];
  return cells.map((cell) => (typeof cell === "number" ? (Number.isNaN(cell) ? "-" : cell.toFixed(2)) : cell).padStart(9)).join(" ");
}

const mb = (rate: number): string => (Number.isNaN(rate) ? "-" : (rate / 1e6).toFixed(0));
const HEAD = ["blob", "PUT MB/s", "rival", "a copy ×", "GET MB/s", "rival", "×", "nginx", "×"].map((cell) => cell.padStart(9)).join(" ");

async function start(module: string, ...given: string[]): Promise<{ child: ChildProcess; answer: unknown }> {
  const child = fork(module, given);
  const [answer] = (await once(child, "message")) as [unknown];
  return { child, answer };
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
  const before = process.memoryUsage();
  const stalled = await Promise.all(
    Array.from({ length: readers }, async () => {
      const [response] = (await once(get(url, { agent }), "response")) as [IncomingMessage];
      return response;
    }),
  );
  let held = -1;
  for (let now = 0, looks = 0; now !== held && looks < LOOKS_MAX; now = process.memoryUsage().arrayBuffers, looks++) {
    held = now;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    globalThis.gc?.();
  }
  const each = (held - before.arrayBuffers) / readers;
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
  const children = [rival.child];
  const rounds = Number(values.rounds);
  try {
    const cluster = await startCluster();
    try {
      console.log(HEAD);
      for (const load of loads) {
        const sides = { ours: tritontube(cluster), rival: http(`http://127.0.0.1:${rival.answer as number}`), nginx: http(nginx.url) };
        console.log(await compare(load, rounds, sides));
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
          console.log(await compare(load, 1, { ours: tritontube(distant), rival: http(`http://${far}`) }));
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
