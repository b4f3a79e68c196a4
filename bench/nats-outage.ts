/**
 * `npm run test:nats [-- --minutes 5]`: NATS is stopped while people watch, ask and upload through a cluster of processes, and started again. What was begun
 * must play on without a failure, from before NATS stops until after it is back; the rest be refused at once, and never hang; no process grow by more than
 * 50 MB; and everything, uploads among it, work again within 10 s.
 */
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { segmentAddresses, untilStatus, uploadFile } from "../test/support/client.ts";
import { eventually } from "../test/support/eventually.ts";
import { another, makeSource } from "../test/support/media.ts";
import { isReady, startProcesses, type Processes } from "../test/support/processes.ts";
import { removeFolder, temporaryFolder } from "../test/support/tritontube.ts";
import { percentile } from "./statistics.ts";

const GROWTH_BYTES_MAX = 50 * 1024 * 1024;
const RECOVERY_MS_MAX = 10_000;
/** Half the time-out of a call (services/kernel/rpc.ts): who waits longer was not refused, but given up. Nobody else makes a refusal wait. */
const REFUSAL_MS_MAX = 5000;
/** Longer than anything that the product promises to end by itself: what takes longer hangs. */
const HANG_MS = 60_000;
/** Everything is used before it is measured: code is compiled, caches and heaps are as full as they get. */
const WARM_UP_MS = 60_000;
const SAMPLE_MS = 2000;
const VIEWERS = 4;
const PAUSE_MS = 50;

const KINDS = ["watched", "asked", "uploaded"] as const;
/** NATS has stopped and is missed nowhere yet; every gateway misses it; it is back. */
const STAGES = ["noticing", "away", "returning"] as const;

interface Outcome {
  /** 0 stands for a connection that was lost, and for an answer that did not come. */
  readonly status: number;
  /** With a 503 that is a problem document. */
  readonly isRefused: boolean;
  readonly ms: number;
}

type Outcomes = Readonly<Record<(typeof KINDS)[number], readonly Outcome[]>>;

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
  takeStock(): Outcomes {
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
  const answer = await fetch(address, { ...init, signal: AbortSignal.timeout(HANG_MS) }).then(
    async (response) => await response.arrayBuffer().then(() => response),
    () => undefined,
  );
  const isProblem = answer?.headers.get("content-type")?.startsWith("application/problem+json") === true;
  into.push({ status: answer?.status ?? 0, isRefused: answer?.status === 503 && isProblem, ms: performance.now() - began });
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
    const noticingMs = await stop(cluster);
    const noticing = load.takeStock();
    const during = await mostDuring(cluster, minutes * 60_000);
    const away = load.takeStock();
    const recoveryMs = await recovery(cluster, film);
    await load.stop();
    return report({ minutes, before, during, noticingMs, recoveryMs, noticing, away, returning: load.takeStock() });
  } finally {
    await cluster.stop();
    await removeFolder(folder);
  }
}

/** Until every gateway misses NATS, ms. */
async function stop({ nats, urls }: Processes): Promise<number> {
  const began = performance.now();
  await nats.halt();
  await eventually(async () => (await Promise.all(urls.map(isReady))).every((ready) => !ready), { what: "gateways that are not ready" });
  return performance.now() - began;
}

/** Until every gateway is ready, answers what takes others, and takes in a film, ms. */
async function recovery({ nats, urls }: Processes, film: string): Promise<number> {
  const bytes = await readFile(film);
  await nats.resume();
  const began = performance.now();
  await Promise.all(urls.map(async (url) => await eventually(async () => await isWell(url, bytes), { what: `${url} to do everything` })));
  return performance.now() - began;
}

async function isWell(url: string, film: Buffer): Promise<boolean> {
  if (!(await isReady(url)) || (await answerTo(`${url}/api/v1/videos?q=${Math.random()}`)) !== 200) return false;
  const headers = { "Content-Type": "video/mp4" };
  // The bytes of before are known there; these are not.
  return (
    (await answerTo(`${url}/api/v1/videos/upload?title=after`, { method: "POST", headers, body: new Uint8Array(another(film)) })) === 202
  );
}

async function answerTo(address: string, init: RequestInit = {}): Promise<number> {
  const outcomes: Outcome[] = [];
  await timed(outcomes, address, init);
  return outcomes[0]!.status;
}

interface Findings extends Readonly<Record<(typeof STAGES)[number], Outcomes>> {
  readonly minutes: number;
  readonly before: ReadonlyMap<string, number>;
  readonly during: ReadonlyMap<string, number>;
  readonly noticingMs: number;
  readonly recoveryMs: number;
}

interface Growth {
  readonly name: string;
  readonly growth: number;
  readonly most: number;
}

function report(found: Findings): number {
  const growth = growthOf(found);
  printMemory(growth);
  printAnswers(found);
  const watched = of(found, "watched");
  console.log(
    `NATS was away for ${found.minutes} minutes, and missed after ${seconds(found.noticingMs)}: ${watched.filter(({ status }) => status !== 200).length} of ${watched.length} requests for segments failed, all worked again after ${seconds(found.recoveryMs)}`,
  );
  const problems = [...missing(found), ...broken(found), ...unpunctual(found, growth)];
  for (const problem of problems) console.log(`NOT AS PROMISED: ${problem}`);
  return problems.length === 0 ? 0 : 1;
}

function growthOf({ before, during }: Findings): readonly Growth[] {
  return [...during].map(([name, most]) => ({ name: name.replace(/.*\//, "disk "), growth: most - (before.get(name) ?? 0), most }));
}

function printMemory(growth: readonly Growth[]): void {
  console.table(
    Object.fromEntries(
      growth.map((one) => [
        one.name,
        { "most before, MB": mb(one.most - one.growth), "most while away, MB": mb(one.most), "grown, MB": mb(one.growth) },
      ]),
    ),
  );
}

/** A row for each kind and stage. */
function printAnswers(found: Findings): void {
  const rows = KINDS.flatMap((kind) => STAGES.map((stage) => [`${kind}, ${stage}`, factsOf(found[stage][kind])] as const));
  console.table(Object.fromEntries(rows));
}

function factsOf(outcomes: readonly Outcome[]): Readonly<Record<string, number | string>> {
  const times = outcomes.map(({ ms }) => ms);
  const [p50, p99] = [0.5, 0.99].map((share) => (times.length === 0 ? "" : Math.round(percentile(times, share))));
  return { requests: times.length, "p50, ms": p50!, "p99, ms": p99!, answers: tally(outcomes) };
}

/** Of all stages. */
function of(found: Findings, kind: (typeof KINDS)[number]): readonly Outcome[] {
  return STAGES.flatMap((stage) => found[stage][kind]);
}

/** What nobody did while NATS was away, nothing is known of. */
function missing({ away }: Findings): readonly string[] {
  return KINDS.filter((kind) => away[kind].length === 0).map((kind) => `nothing was ${kind} while NATS was away: take more minutes`);
}

const isAnswered = (good: number) => (one: Outcome) => one.status === good || one.isRefused;

function broken(found: Findings): readonly string[] {
  return [
    ...(of(found, "watched").every(({ status }) => status === 200) ? [] : ["what was begun did not play on"]),
    ...(found.away.asked.every(({ isRefused }) => isRefused) ? [] : ["something was asked of others, and not refused with 503"]),
    ...(of(found, "asked").every(isAnswered(200)) ? [] : ["a search was neither answered nor refused with 503"]),
    ...(of(found, "uploaded").every(isAnswered(202)) ? [] : ["an upload was neither acknowledged nor refused with 503"]),
  ];
}

/** Apart for each kind and stage: there are so many more searches, and so many more while NATS is known to be away, that they would hide the others. */
function unpunctual(found: Findings, growth: readonly Growth[]): readonly string[] {
  const kinds = (["asked", "uploaded"] as const).flatMap((kind) => STAGES.map((stage) => ({ kind, stage })));
  const late = kinds.flatMap(({ kind, stage }) => {
    const p99 = percentile(
      found[stage][kind].flatMap(({ isRefused, ms }) => (isRefused ? [ms] : [])),
      0.99,
    );
    return p99 >= REFUSAL_MS_MAX ? [`of what was ${kind}, ${stage}, one refusal in a hundred took ${seconds(p99)} or more`] : [];
  });
  const grown = growth.filter((one) => one.growth > GROWTH_BYTES_MAX).map(({ name }) => name);
  return [
    ...late,
    ...(grown.length > 0 ? [`more than 50 MB came to ${grown.join(", ")}`] : []),
    ...(found.recoveryMs > RECOVERY_MS_MAX ? ["recovery took more than 10 s"] : []),
  ];
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function mb(bytes: number): number {
  return Math.round(bytes / 1e6);
}

/** "200: 512, 503: 3" */
function tally(outcomes: readonly Outcome[]): string {
  const counts = Map.groupBy(outcomes, ({ status }) => status);
  return [...counts].map(([status, all]) => `${status}: ${all.length}`).join(", ");
}

function minutesOf(text: string): number {
  const minutes = Number(text);
  if (!Number.isFinite(minutes) || minutes <= 0) throw new Error(`--minutes takes a number above 0, not "${text}".`);
  return minutes;
}

const { values } = parseArgs({ options: { minutes: { type: "string", default: "5" } } });
process.exitCode = await main(minutesOf(values.minutes));
