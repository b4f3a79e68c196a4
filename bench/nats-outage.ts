/**
 * `npm run test:nats [-- --minutes 5]`: NATS is stopped while people watch, ask and upload through a cluster of processes, and started again. What was begun
 * must play on without a failure, the rest be refused at once, no process grow by more than 50 MB, and everything work again within 10 s.
 */
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { segmentAddresses, untilStatus, uploadFile } from "../test/support/client.ts";
import { eventually } from "../test/support/eventually.ts";
import { makeSource } from "../test/support/media.ts";
import { isReady, startProcesses, type Processes } from "../test/support/processes.ts";
import { removeFolder, temporaryFolder } from "../test/support/tritontube.ts";
import { percentile } from "./statistics.ts";

const GROWTH_BYTES_MAX = 50 * 1024 * 1024;
const RECOVERY_MS_MAX = 10_000;
/** Everything is used before it is measured: code is compiled, caches and heaps are as full as they get. */
const WARM_UP_MS = 60_000;
const SAMPLE_MS = 2000;
const VIEWERS = 4;
const PAUSE_MS = 50;

interface Outcome {
  readonly status: number;
  readonly ms: number;
}

/** People, each of whom does one thing after the other. */
class Load {
  readonly watched: Outcome[] = [];
  readonly asked: Outcome[] = [];
  readonly uploaded: Outcome[] = [];
  readonly #ending = new AbortController();
  readonly #running: Promise<unknown>;

  constructor(urls: readonly string[], addresses: readonly string[], film: Buffer) {
    let turn = 0;
    const next = <T>(list: readonly T[]): T => list[turn++ % list.length]!;
    const watch = async (): Promise<void> => await timed(this.watched, next(addresses));
    const ask = async (): Promise<void> => await timed(this.asked, `${next(urls)}/api/v1/videos?q=film-${turn}`);
    const upload = async (): Promise<void> =>
      await timed(this.uploaded, `${next(urls)}/api/v1/videos/upload?title=film`, {
        method: "POST",
        headers: { "Content-Type": "video/mp4" },
        body: new Uint8Array(film),
      });
    const steps = [
      ...Array.from({ length: VIEWERS }, () => watch),
      ask,
      ask,
      async () => await upload().then(async () => await sleep(20 * PAUSE_MS)),
    ];
    this.#running = Promise.all(steps.map(async (step) => await this.#again(step)));
  }

  /** What comes from now on is counted anew. */
  takeStock(): Readonly<Record<"watched" | "asked" | "uploaded", readonly Outcome[]>> {
    return { watched: this.watched.splice(0), asked: this.asked.splice(0), uploaded: this.uploaded.splice(0) };
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }

  async #again(step: () => Promise<void>): Promise<void> {
    while (!this.#ending.signal.aborted) {
      await step();
      await sleep(PAUSE_MS);
    }
  }
}

async function timed(into: Outcome[], address: string, init: RequestInit = {}): Promise<void> {
  const began = performance.now();
  const status = await fetch(address, { ...init, signal: AbortSignal.timeout(60_000) }).then(
    async (response) => {
      await response.arrayBuffer();
      return response.status;
    },
    () => 0,
  );
  into.push({ status, ms: performance.now() - began });
}

/** What a process has in memory, bytes (proc(5)). */
async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+([0-9]+) kB/.exec(status)?.[1] ?? Number.NaN) * 1024;
}

async function memoryOf({ nodes, disks }: Processes): Promise<ReadonlyMap<string, number>> {
  const all = [...Object.values(nodes).flat(), ...disks];
  return new Map(await Promise.all(all.map(async ({ name, pid }) => [name, await residentBytes(pid)] as const)));
}

/** The most that each has had, sampled until `ms` are over. */
async function mostDuring(cluster: Processes, ms: number): Promise<ReadonlyMap<string, number>> {
  const most = new Map<string, number>();
  for (const until = Date.now() + ms; Date.now() < until; await sleep(SAMPLE_MS)) {
    for (const [name, bytes] of await memoryOf(cluster)) most.set(name, Math.max(bytes, most.get(name) ?? 0));
  }
  return most;
}

async function main(minutes: number): Promise<number> {
  const folder = await temporaryFolder("tritontube-outage-");
  const cluster = await startProcesses({ nodes: { gateway: 2 } });
  try {
    const film = await makeSource(folder, { seconds: 8 });
    const { id } = await uploadFile(cluster.urls[0]!, film);
    await untilStatus(cluster.urls[0]!, id, ["ready"]);
    const addresses = (
      await Promise.all(cluster.urls.map(async (url) => await segmentAddresses(`${url}/api/v1/videos/${id}/master.m3u8`)))
    ).flat();
    const load = new Load(cluster.urls, addresses, await readFile(film));
    const before = await mostDuring(cluster, WARM_UP_MS);
    load.takeStock();
    await cluster.nats.halt();
    await eventually(async () => (await Promise.all(cluster.urls.map(isReady))).every((ready) => !ready), {
      what: "gateways that are not ready",
    });
    const noticing = load.takeStock();
    const during = await mostDuring(cluster, minutes * 60_000);
    const away = load.takeStock();
    const recoveryMs = await recovery(cluster);
    await load.stop();
    return report({ minutes, before, during, noticing, away, recoveryMs });
  } finally {
    await cluster.stop();
    await removeFolder(folder);
  }
}

/** Until every gateway is ready, and answers what takes others, ms. */
async function recovery({ nats, urls }: Processes): Promise<number> {
  await nats.resume();
  const began = performance.now();
  await eventually(async () => (await Promise.all(urls.map(isWell))).every(Boolean), { what: "gateways that answer" });
  return performance.now() - began;
}

async function isWell(url: string): Promise<boolean> {
  return (await isReady(url)) && (await fetch(`${url}/api/v1/videos?q=${Math.random()}`)).ok;
}

interface Findings {
  readonly minutes: number;
  readonly before: ReadonlyMap<string, number>;
  readonly during: ReadonlyMap<string, number>;
  readonly noticing: ReturnType<Load["takeStock"]>;
  readonly away: ReturnType<Load["takeStock"]>;
  readonly recoveryMs: number;
}

function report({ minutes, before, during, noticing, away, recoveryMs }: Findings): number {
  const growth = [...during].map(([name, most]) => ({ name: name.replace(/.*\//, "disk "), growth: most - (before.get(name) ?? 0), most }));
  console.table(
    Object.fromEntries(
      growth.map((one) => [
        one.name,
        { "most before, MB": mb(one.most - one.growth), "most while away, MB": mb(one.most), "grown, MB": mb(one.growth) },
      ]),
    ),
  );
  const kinds = ["watched", "asked", "uploaded"] as const;
  console.table(
    Object.fromEntries(
      kinds.map((kind) => {
        const times = away[kind].map(({ ms }) => ms);
        const facts = {
          requests: times.length,
          "p50, ms": Math.round(percentile(times, 0.5)),
          "p99, ms": Math.round(percentile(times, 0.99)),
        };
        return [kind, { ...facts, answers: tally(away[kind]), "while it was noticed": tally(noticing[kind]) }];
      }),
    ),
  );
  const failed = away.watched.filter(({ status }) => status !== 200).length;
  const grown = growth.filter((one) => one.growth > GROWTH_BYTES_MAX).map(({ name }) => name);
  console.log(
    `NATS was away for ${minutes} minutes: ${failed} of ${away.watched.length} requests for segments failed, all worked again after ${(recoveryMs / 1000).toFixed(1)} s`,
  );
  const problems = [
    ...(failed > 0 ? ["what was begun did not play on"] : []),
    ...(away.asked.some(({ status }) => status !== 503) ? ["something was asked of others, and not refused with 503"] : []),
    ...(grown.length > 0 ? [`more than 50 MB came to ${grown.join(", ")}`] : []),
    ...(recoveryMs > RECOVERY_MS_MAX ? ["recovery took more than 10 s"] : []),
  ];
  for (const problem of problems) console.log(`NOT AS PROMISED: ${problem}`);
  return problems.length === 0 ? 0 : 1;
}

function mb(bytes: number): number {
  return Math.round(bytes / 1e6);
}

/** "200: 512, 503: 3"; 0 stands for a connection that was lost. */
function tally(outcomes: readonly Outcome[]): string {
  const counts = Map.groupBy(outcomes, ({ status }) => status);
  return [...counts].map(([status, all]) => `${status}: ${all.length}`).join(", ");
}

const { values } = parseArgs({ options: { minutes: { type: "string", default: "5" } } });
process.exitCode = await main(Number(values.minutes));
