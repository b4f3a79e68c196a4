/**
 * `npm run bench:storage [-- --rounds 5 --large 1024 --delay 5 --only 1MB]`: blobs of 100 KB, 1 MB, 8 MB and `large` MiB, written to and read from three
 * disks, in turns with a plain node:http server that keeps one copy and, for reads, with nginx. Then the same through a wire of `delay` ms, and what a
 * reader costs that has stopped reading. Every client runs in this process.
 *
 * Both sides promise the same. A write is hashed where it leaves and where it arrives, and answered when it is fsynced, renamed, and its folder fsynced:
 * all three copies of ours, as no disk is late. A read is verified where it is read from the medium and where it arrives. nginx verifies nothing, only its client hashes what comes.
 * A read is cold when no file of the round is in the page cache, and warm right after that.
 */
import { fork, type ChildProcess } from "node:child_process";
import { createHash, type Hash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { Agent, createServer, get, request, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { parseArgs } from "node:util";
import { call } from "../services/kernel/rpc.ts";
import { storage } from "../services/storage/contract.ts";
import { startCluster, type Cluster } from "../test/support/cluster.ts";
import { removeFolder, temporaryFolder } from "../test/support/tritontube.ts";
import { delayModule } from "./delay.ts";
import { Comparison, type Folders, HEAD, type Load, type Side, type Sides } from "./comparison.ts";
import { startNginx } from "./nginx.ts";
import { family } from "./processes.ts";
import { rivalModule } from "./rival.ts";

/** The memory of stalled readers is looked at until it stays the same, for half a minute at most. */
const LOOK_MS = 500;
const LOOKS_MAX = 60;

const KiB = 1024;
const MiB = 1024 * KiB;
/** What a socket brings at once. */
const SLICE_BYTES = 64 * KiB;
const AGENT = new Agent({ keepAlive: true });

/** Bytes that nobody has stored yet: one random mebibyte again and again, numbered. Hashed as they go, where their sender is to know what he sent. */
let serial = 0;
const block = randomBytes(MiB);
function* unique(size: number, hash?: Hash): Generator<Buffer> {
  for (let at = 0; at < size; at += MiB) {
    const part = Buffer.from(block.subarray(0, Math.min(MiB, size - at)));
    part.writeUInt32LE(serial++, 64);
    hash?.update(part);
    for (let from = 0; from < part.length; from += SLICE_BYTES) yield part.subarray(from, from + SLICE_BYTES);
  }
}
const sourceOf = (size: number, hash?: Hash): Readable => Readable.from(unique(size, hash), { objectMode: false, highWaterMark: MiB });

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
      const hash = createHash("sha256");
      await pipeline(sourceOf(size, hash), outgoing);
      if ((await text((await answered)[0])) !== hash.digest("hex")) throw new Error(`other bytes than those of ${key} were kept`);
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

const filesOf = ({ disks }: Cluster): string[] => disks.map(({ dir }) => dir);

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "5" },
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
  const compare = async (sides: Sides, folders: Folders): Promise<void> => {
    await Comparison.warmUp(sides, folders);
    console.log(HEAD);
    for (const load of loads) console.log(await new Comparison(load, sides, folders).run(Number(values.rounds)));
  };
  try {
    const cluster = await startCluster();
    try {
      const sides = { ours: tritontube(cluster), rival: http(url, [rival.child.pid!]), nginx: http(nginx.url, []) };
      await compare(sides, { scratch: folder, rival: [folder], ours: filesOf(cluster) });
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
      const rivalsWire = children.at(-1)!;
      const distant = await startCluster({ through: wire });
      try {
        console.log(`\nthrough a wire of ${values.delay} ms`);
        const sides = { ours: tritontube(distant), rival: http(`http://${far}`, [rival.child.pid!, rivalsWire.pid!]) };
        await compare(sides, { scratch: folder, rival: [folder], ours: filesOf(distant) });
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
