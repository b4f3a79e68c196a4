/** What traces are sent to: takes steps as OTLP over HTTP brings them, and draws a trace as a tree. */
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { jobs } from "../../services/jobs/contract.ts";
import { call } from "../../services/kernel/rpc.ts";
import { untilStatus, uploadFile } from "./client.ts";
import { eventually } from "./eventually.ts";
import type { Processes } from "./processes.ts";

const TRACE_MS = 240_000;

export interface ReceivedStep {
  readonly traceId: string;
  readonly id: string;
  /** Null for the root. */
  readonly parent: string | null;
  readonly name: string;
  /** tritontube, or tritontube-disk; and which of them. */
  readonly service: string;
  readonly instance: string;
  readonly beganMs: number;
  readonly endedMs: number;
  readonly failed: boolean;
  readonly attributes: Readonly<Record<string, unknown>>;
}

interface Attribute {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}
interface Sent {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scopeSpans: readonly { readonly spans: readonly SentSpan[] }[];
  }[];
}
interface SentSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly Attribute[];
  readonly status: { readonly code?: number };
}

export interface Receiver {
  /** For OTLP_URL. */
  readonly url: string;
  /** All that have come, in no order. */
  readonly steps: readonly ReceivedStep[];
  stop(): Promise<void>;
}

export async function startReceiver(): Promise<Receiver> {
  const steps: ReceivedStep[] = [];
  const server = createServer((req, res) => {
    void take(req, steps).finally(() => res.writeHead(200, { "Content-Type": "application/json" }).end("{}"));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    steps,
    async stop() {
      if (!server.listening) return;
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function take(req: IncomingMessage, steps: ReceivedStep[]): Promise<void> {
  const sent = await json(req);
  if (req.url === "/v1/traces") steps.push(...received(sent as Sent));
}

function received({ resourceSpans }: Sent): ReceivedStep[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const about = valuesOf(resource.attributes);
    return scopeSpans.flatMap(({ spans }) => spans.map((span) => spanOf(span, about)));
  });
}

function spanOf({ parentSpanId = "", ...span }: SentSpan, about: Readonly<Record<string, unknown>>): ReceivedStep {
  return {
    traceId: span.traceId,
    id: span.spanId,
    parent: parentSpanId === "" ? null : parentSpanId,
    name: span.name,
    service: String(about["service.name"]),
    instance: String(about["service.instance.id"]),
    beganMs: Number(BigInt(span.startTimeUnixNano) / 1000n) / 1000,
    endedMs: Number(BigInt(span.endTimeUnixNano) / 1000n) / 1000,
    failed: span.status.code === 2,
    attributes: valuesOf(span.attributes),
  };
}

function valuesOf(attributes: readonly Attribute[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}

/**
 * Uploads a file, waits until all that follows from it is done, and answers every step of its trace: when no job is left of which none is known, and no step
 * whose parent is not.
 */
export async function traceOfUpload(
  { urls, broker }: Pick<Processes, "urls" | "broker">,
  receiver: Receiver,
  path: string,
): Promise<readonly ReceivedStep[]> {
  const { id } = await uploadFile(urls[0]!, path);
  await untilStatus(urls[0]!, id, ["ready"], TRACE_MS);
  const isAbout = ({ attributes }: ReceivedStep): boolean => attributes["tritontube.video"] === id;
  const trace = (): ReceivedStep[] => {
    const traceId = receiver.steps.find(isAbout)?.traceId;
    return receiver.steps.filter((step) => step.traceId === traceId);
  };
  const whole = async (): Promise<boolean> => {
    const { work: all } = await call(broker, jobs.history, { videoId: id });
    return all.every(({ state }) => state === "done") && trace().filter(isAbout).length >= all.length && orphans(trace()).length === 0;
  };
  await eventually(whole, { what: "every step of the trace of an upload", timeoutMs: TRACE_MS });
  return trace();
}

/** Those whose parent has not come. */
export function orphans(steps: readonly ReceivedStep[]): readonly ReceivedStep[] {
  const known = new Set(steps.map(({ id }) => id));
  return steps.filter(({ parent }) => parent !== null && !known.has(parent));
}

/** A line for what is called alike and belongs to the same: how often, where, when the first began, and how long the longest took. */
export function drawTrace(steps: readonly ReceivedStep[]): string {
  const children = Map.groupBy(steps, ({ parent }) => parent);
  const began = Math.min(...steps.map(({ beganMs }) => beganMs));
  const draw = (group: readonly ReceivedStep[], indent: string): string[] => {
    const below = Map.groupBy(
      group.flatMap(({ id }) => children.get(id) ?? []).toSorted((a, b) => a.beganMs - b.beganMs),
      ({ name }) => name.replace(/^sql .*/, "sql"),
    );
    return [...below].flatMap(([name, some]) => [`${indent}${lineOf(name, some, began)}`, ...draw(some, `${indent}  `)]);
  };
  const roots = children.get(null) ?? [];
  return roots.flatMap((root) => [lineOf(root.name, [root], began), ...draw([root], "  ")]).join("\n");
}

function lineOf(name: string, steps: readonly ReceivedStep[], began: number): string {
  const where = [...new Set(steps.map(({ service, instance }) => (service === "tritontube-disk" ? "disks" : instance)))].join(", ");
  const longest = Math.max(...steps.map(({ beganMs, endedMs }) => endedMs - beganMs));
  const times = steps.length === 1 ? "" : ` ×${steps.length}`;
  return `${name}${times} (${where}): at ${ms(steps[0]!.beganMs - began)}, ${ms(longest)}`;
}

function ms(value: number): string {
  return value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value).toLocaleString("en")} ms`;
}
