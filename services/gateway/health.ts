/** Whether the main job (take a video in, show it) works, and which part is to blame when it does not. */
import { setTimeout as delay } from "node:timers/promises";
import type { ServiceBroker } from "moleculer";
import { isBusUp } from "../../mixins/bus.ts";
import { jobs, type QueueDepth } from "../jobs/contract.ts";
import { errorType } from "../kernel/errors.ts";
import { WRITE_QUORUM } from "../kernel/limits.ts";
import { call } from "../kernel/rpc.ts";
import { ring, type DiskHealth } from "../ring/contract.ts";
import { storage } from "../storage/contract.ts";
import { transcoder, type TranscoderInfo } from "../transcoder/contract.ts";
import { videos } from "../videos/contract.ts";
import type { Answer } from "./http/reply.ts";

/** What does not answer within this is not well, and a probe does not wait longer. A disk that hangs is told of after two seconds, which are not the check's end. */
const CHECK_MS = 3000;
/** Asking every disk is work: many probes a second share one answer. */
const FRESH_MS = 1000;
/** Jobs that wait this long mean that there are too few transcoders, or none. */
const QUEUE_WAIT_S_MAX = 600;

type Status = "ok" | "degraded" | "down";
interface Check {
  readonly status: Status;
  readonly [fact: string]: unknown;
}
interface HealthReport {
  readonly status: Status;
  readonly checks: Readonly<Record<"database" | "broker" | "disks" | "queue" | "transcoder", Check>>;
  readonly version: string;
  /** Seconds. */
  readonly uptime: number;
}

/** The report is no envelope and no problem document: monitors read `status` at the top. */
export class Health {
  readonly #broker: ServiceBroker;
  readonly #version: string;
  #last: { readonly at: number; readonly report: Promise<HealthReport> } | undefined;

  constructor(broker: ServiceBroker, version: string) {
    this.#broker = broker;
    this.#version = version;
  }

  async report(): Promise<Answer> {
    const now = performance.now();
    if (!this.#last || now - this.#last.at > FRESH_MS) this.#last = { at: now, report: this.#check() };
    const report = await this.#last.report;
    return { status: report.status === "down" ? 503 : 200, json: report };
  }

  /** The process runs: nothing else is asked, so that a database that is away makes nobody restart the gateway. */
  live(): Answer {
    return { status: 200, json: { status: "ok", uptime: uptime() } };
  }

  /** Whether requests can be sent here: every service that the main job needs is known, and can be asked. Moleculer goes on knowing them when NATS is away. */
  ready(): Answer {
    const needed = [videos.get, storage.write, ring.get];
    const unknown = needed
      .filter(({ name }) => !this.#broker.registry.actions.isAvailable(name))
      .map(({ name }) => name.replace(/\..*/, ""));
    const missing = isBusUp(this.#broker) ? unknown : ["nats", ...unknown];
    return missing.length === 0 ? { status: 200, json: { status: "ok" } } : { status: 503, json: { status: "down", missing } };
  }

  async #check(): Promise<HealthReport> {
    const broker = this.#broker;
    const [database, bus, disks, queue, transcoding] = await Promise.all([
      check(async () => ({ status: "ok", roundTripMs: Math.round((await call(broker, videos.health, {})).databaseMs) })),
      check(() => brokerCheck(broker)),
      check(async () => disksCheck(await call(broker, ring.disks, {}))),
      check(async () => queueCheck(await call(broker, jobs.depth, {}))),
      check(async () => transcoderCheck(await call(broker, transcoder.info, {}))),
    ]);
    const checks = { database, broker: bus, disks, queue, transcoder: transcoding };
    return { status: overall(checks), checks, version: this.#version, uptime: uptime() };
  }
}

/** Without the database or a quorum of disks nothing can be taken in; without the rest, videos still play, and work waits. */
function overall(checks: HealthReport["checks"]): Status {
  if (checks.database.status === "down" || checks.disks.status === "down") return "down";
  return Object.values(checks).every(({ status }) => status === "ok") ? "ok" : "degraded";
}

/** Why is said by a word of the error table alone: the report is for everyone. */
async function check(probe: () => Promise<Check>): Promise<Check> {
  const patience = new AbortController();
  const late = delay(CHECK_MS, { status: "down", error: "TIMEOUT" } as const, { signal: patience.signal });
  late.catch(() => {});
  const asked = probe().catch((error: unknown): Check => ({ status: "down", error: errorType(error) ?? "SERVICE_UNAVAILABLE" }));
  return await Promise.race([asked, late]).finally(() => patience.abort());
}

/** Between two pings of the bus only a round trip to the server tells. */
async function brokerCheck(broker: ServiceBroker): Promise<Check> {
  if (!isBusUp(broker)) return { status: "down", error: "SERVICE_UNAVAILABLE" };
  const client = (broker.transit as { tx?: { client?: { flush?: () => Promise<void> } } } | undefined)?.tx?.client;
  await client?.flush?.();
  return { status: "ok", nodes: broker.registry.nodes.list({ onlyAvailable: true, withServices: false }).length };
}

function disksCheck(disks: readonly DiskHealth[]): Check {
  const serving = disks.filter(({ state }) => state === "in" || state === "draining");
  const up = serving.filter((disk) => disk.up).length;
  const down = serving.length - up;
  // A ring of one disk keeps one copy: that is what its operator chose.
  const needed = Math.max(1, Math.min(WRITE_QUORUM, up + down));
  const status = up < needed ? "down" : down > 0 ? "degraded" : "ok";
  return { status, up, down };
}

/** Names and versions are for operators, not for everyone who asks. */
function transcoderCheck({ running, slots }: TranscoderInfo): Check {
  return { status: "ok", running, slots };
}

function queueCheck(kinds: readonly QueueDepth[]): Check {
  const total = (of: (depth: QueueDepth) => number): number => kinds.reduce((sum, depth) => sum + of(depth), 0);
  const oldestS = Math.max(0, ...kinds.map((kind) => kind.oldestS));
  const status = oldestS > QUEUE_WAIT_S_MAX ? "degraded" : "ok";
  return { status, queued: total((d) => d.queued), running: total((d) => d.running), failed: total((d) => d.failed), oldestS };
}

function uptime(): number {
  return Math.round(process.uptime());
}
