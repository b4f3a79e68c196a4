/**
 * `npm run demo:ring [-- --chunks 10000 --bytes 65536]`: a running TritonTube gets a fourth disk and loses its first one, while somebody uploads and somebody
 * reads. Says what an operator types and sees, and what the others noticed. Ends with an error when a request failed, when more moved than 1.02 times the
 * least, or when anything is not what it was.
 */
import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { ServiceBroker } from "moleculer";
import { bytes as inWords, number } from "../deploy/operator/text.ts";
import { joinSocket } from "../deploy/operator/socket.ts";
import { startPostgres } from "../deploy/local/postgres.ts";
import { closeDatabase } from "../mixins/database/connection.ts";
import blobsService from "../services/blobs/blobs.service.ts";
import { call } from "../services/kernel/rpc.ts";
import type { Moves, RingPlan } from "../services/ring/contract.ts";
import ringService from "../services/ring/ring.service.ts";
import { storage } from "../services/storage/contract.ts";
import storageService from "../services/storage/storage.service.ts";
import { startDisks } from "../test/support/disks.ts";
import { startServices } from "../test/support/services.ts";
import { removeFolder, startTritonTube, temporaryFolder, type TritonTube } from "../test/support/tritontube.ts";
import { median, percentile } from "./statistics.ts";

const AT_ONCE = 8;
/** Between two uploads: each becomes a job, which must not take the machine from what is measured. */
const UPLOAD_PAUSE_MS = 1000;
const READ_PAUSE_MS = 20;
const LOOK_MS = 2000;
/** What may move, by the least. */
const PROMISED = 1.02;

/** Requests of one kind: how long each took, and those that failed. */
class Requests {
  readonly #took: number[] = [];
  readonly failures: string[] = [];

  async try(work: () => Promise<void>): Promise<void> {
    const began = performance.now();
    try {
      await work();
      this.#took.push(performance.now() - began);
    } catch (error) {
      this.failures.push(String(error));
    }
  }

  toString(): string {
    const [half, most] = [median(this.#took), percentile(this.#took, 0.99)].map((ms) => `${ms.toFixed(0)} ms`);
    return `${number(this.#took.length)} went well (median ${half}, 99 of 100 below ${most}), ${this.failures.length} failed`;
  }
}

/** A blob that was acknowledged, and must be what it was at any later time. */
interface Kept {
  readonly blob: string;
  readonly bytes: Buffer;
}

/** Blobs of one chunk each; of their bytes only the first are kept here, the rest is what its hash says. */
async function fill(broker: ServiceBroker, count: number, size: number): Promise<Kept[]> {
  const kept: Kept[] = [];
  const fillOne = async (): Promise<void> => {
    while (kept.length < count) {
      const content = randomBytes(size);
      const place = kept.push({ blob: "", bytes: content }) - 1;
      const { blob } = await call(broker, storage.put, { bytes: content });
      kept[place] = { blob, bytes: content.subarray(0, 32) };
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, fillOne));
  return kept;
}

async function readBack(broker: ServiceBroker, { blob, bytes }: Kept): Promise<void> {
  const content = await buffer(await call(broker, storage.read, { blob }));
  if (!content.subarray(0, bytes.length).equals(bytes)) throw new Error(`Blob ${blob} is not what it was.`);
}

async function readAll(broker: ServiceBroker, kept: readonly Kept[]): Promise<void> {
  let next = 0;
  const readNext = async (): Promise<void> => {
    for (let one = kept[next++]; one; one = kept[next++]) await readBack(broker, one);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, readNext));
}

async function upload(url: string): Promise<void> {
  const content = randomBytes(256 * 1024);
  content.write("\0\0\0\x20ftypisom", 0, "latin1");
  const response = await fetch(`${url}/api/v1/videos/upload`, {
    method: "POST",
    headers: { "content-type": "video/mp4", "x-filename": "demo.mp4" },
    body: content,
  });
  if (response.status !== 202) throw new Error(`An upload was answered ${response.status}: ${await response.text()}`);
}

/** Somebody uploads, and two read what was stored before, until it is said that it is enough. */
function startLoad(url: string, broker: ServiceBroker, kept: readonly Kept[]) {
  const stopping = new AbortController();
  const uploads = new Requests();
  const reads = new Requests();
  const again = async (requests: Requests, pauseMs: number, work: () => Promise<void>): Promise<void> => {
    while (!stopping.signal.aborted) {
      await requests.try(work);
      await sleep(pauseMs);
    }
  };
  const readAny = async (): Promise<void> => await readBack(broker, kept[Math.floor(Math.random() * kept.length)]!);
  const running = [
    again(uploads, UPLOAD_PAUSE_MS, async () => await upload(url)),
    again(reads, READ_PAUSE_MS, readAny),
    again(reads, READ_PAUSE_MS, readAny),
  ];
  return {
    uploads,
    reads,
    async stop() {
      stopping.abort();
      await Promise.all(running);
    },
  };
}

/** What an operator types, and what is answered. */
class Operator {
  readonly #joined: Awaited<ReturnType<typeof joinSocket>>;

  constructor(joined: Awaited<ReturnType<typeof joinSocket>>) {
    this.#joined = joined;
  }

  async types(line: string): Promise<void> {
    const { text, failed } = await this.#joined.evaluate(line);
    console.log(`\ntritontube> ${line}\n${text}`);
    if (failed) throw new Error(`"${line}" was refused.`);
  }

  async asks<T>(line: string): Promise<T> {
    return JSON.parse((await this.#joined.evaluate(`${line} --json`)).text) as T;
  }

  leaves(): void {
    this.#joined.close();
  }
}

interface Overview {
  readonly moves: Moves;
  readonly disks: readonly { readonly id: string; readonly address: string; readonly chunks: number }[];
}

async function change(
  operator: Operator,
  [first, , , fourth]: readonly { readonly id: string; readonly address: string }[],
): Promise<RingPlan> {
  await operator.types("ring");
  await operator.types(`ring add ${fourth!.address}`);
  await operator.types(`ring drain ${first!.id.slice(0, 8)}`);
  const { plan } = await operator.asks<{ plan: RingPlan }>("ring plan");
  await operator.types("ring apply");
  for (;;) {
    await sleep(LOOK_MS);
    const { moves } = await operator.asks<Overview>("ring");
    const { partitions, bytes } = moves;
    console.log(
      `  ${number(partitions.done)} of ${number(partitions.total)} partitions, ${inWords(bytes.done)} of ${inWords(bytes.total)}`,
    );
    if (partitions.done === partitions.total) break;
  }
  while ((await operator.asks<Overview>("ring")).disks.find(({ id }) => id === first!.id)!.chunks > 0) await sleep(LOOK_MS);
  await operator.types("ring");
  return plan;
}

interface Setting {
  readonly tritonTube: TritonTube;
  readonly broker: ServiceBroker;
  readonly disks: readonly { readonly id: string; readonly address: string }[];
}

async function demonstrate({ tritonTube, broker, disks }: Setting, count: number, size: number): Promise<string[]> {
  console.log(`${number(count)} chunks of ${inWords(size)} are stored …`);
  const kept = await fill(broker, count, size);
  const load = startLoad(tritonTube.url, broker, kept);
  const operator = new Operator(await joinSocket(tritonTube.dataDir));
  const plan = await change(operator, disks);
  await load.stop();
  const { moves } = await operator.asks<Overview>("ring");
  await operator.types(`ring remove ${disks[0]!.id.slice(0, 8)}`);
  await operator.types("ring apply");
  await operator.types("repairs");
  operator.leaves();
  await readAll(broker, kept);
  const [byPartitions, byBytes] = [plan.copies / plan.minimum, moves.copiedBytes / plan.bytes];
  console.log(`\nuploads: ${load.uploads.toString()}\nreads:   ${load.reads.toString()}`);
  console.log(
    `moved:   ${inWords(moves.copiedBytes)}; ${byPartitions.toFixed(3)} of the least by partitions, ${byBytes.toFixed(3)} by bytes`,
  );
  console.log(`and all ${number(kept.length)} blobs are what they were.`);
  return [
    ...load.uploads.failures,
    ...load.reads.failures,
    ...(Math.max(byPartitions, byBytes) > PROMISED ? [`More moved than ${PROMISED} times the least.`] : []),
  ];
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { chunks: { type: "string", default: "10000" }, bytes: { type: "string", default: "65536" } } });
  const folder = await temporaryFolder("tritontube-demo-");
  const started = await startDisks(4, { zones: ["a", "b", "c", "a"] });
  await mkdir(join(folder, "data"), { recursive: true });
  const postgres = await startPostgres({ dataDir: folder, log: () => {} });
  const addresses = started.disks.map(({ address }) => address);
  const settings = { DATABASE_URL: postgres.url, DISK_SECRET: started.secret, DISKS: addresses.slice(0, 3).join(",") };
  const tritonTube = await startTritonTube({ dataDir: join(folder, "data"), env: { ...settings, LOG_LEVEL: "warn" } });
  Object.assign(process.env, settings);
  // A second node of the same cluster, without a bus: it hears of a new ring only by looking at its row.
  const broker = await startServices(postgres.url, ringService, blobsService, storageService);
  try {
    const wrong = await demonstrate({ tritonTube, broker, disks: started.disks }, Number(values.chunks), Number(values.bytes));
    for (const sentence of wrong) console.error(sentence);
    if (wrong.length > 0) process.exitCode = 1;
  } finally {
    await broker.stop();
    await closeDatabase();
    await tritonTube.stop();
    await postgres.stop();
    await started.stop();
    await removeFolder(folder);
  }
}

await main();
