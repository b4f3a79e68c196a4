/** A process of its own that does a few things for requests, and sends their traces to OTLP_URL: the exporter does not run inside of Jest. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { ServiceBroker, type Context } from "moleculer";
import { loadConfig } from "../../config/index.ts";
import { startTracing } from "../../config/tracing.ts";
import brokerOptions from "../../moleculer.config.ts";
import { send } from "../../services/gateway/http/reply.ts";
import { tracedRequests } from "../../services/gateway/http/traces.ts";
import { begin, isTraced, traced, traceId, traceparent, type OpenStep } from "../../services/kernel/trace.ts";

const config = loadConfig({ NODE_ID: "here", LOG_LEVEL: "fatal" });
const endTracing = await startTracing(config, { service: "tritontube", instance: "here", tell: () => {} });
const open = Promise.withResolvers<void>();
const broker = new ServiceBroker(brokerOptions(config));
broker.createService({
  name: "work",
  actions: {
    alone: {
      bulkhead: { enabled: true, concurrency: 1, maxQueueSize: 10 },
      handler: async (ctx: Context<{ of: string }>) => await traced({ name: `within ${ctx.params.of}` }, async () => await open.promise),
    },
  },
  events: { heard: async () => await traced({ name: "an event" }, async () => {}) },
});
await broker.start();

async function request(name: string, work: () => Promise<unknown>): Promise<void> {
  const step: OpenStep | undefined = begin({ name }, null);
  await (step?.within(work) ?? work()).catch(() => {});
  step?.end();
}

async function endOf(res: ServerResponse): Promise<void> {
  await new Promise<void>((resolve) => res.end(resolve));
}

/** Somebody who says that each of his requests belongs to a trace. */
async function ask(method: string, trace = "ef".repeat(16)): Promise<void> {
  const { port } = server.address() as AddressInfo;
  await fetch(`http://127.0.0.1:${port}/`, { method, headers: { traceparent: `00-${trace}-${"cd".repeat(8)}-01` } });
}

/** Of answers that are ready in the same moment: the trace that each belongs to, and the one that it is told of when it is over. */
const endings: { of: string; toldOf: string | undefined }[] = [];
const all = Promise.withResolvers<void>();
const TOGETHER = ["1a", "2b", "3c"].map((byte) => byte.repeat(16));
let arrived = 0;

async function answerTogether(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const [, of = ""] = String(req.headers["traceparent"]).split("-");
  res.once("close", () => endings.push({ of, toldOf: traceId() }));
  arrived += 1;
  if (arrived === TOGETHER.length) all.resolve();
  await all.promise;
  await send(req, res, { status: 200, json: {} });
}

const waiting = ["first", "second"].map(async (of) => await request(of, async () => await broker.call("work.alone", { of })));
open.resolve();
await Promise.all(waiting);
await request("third", async () => await broker.broadcast("heard", {}));
await request(
  "fourth",
  async () => await traced({ name: "failing" }, async () => await Promise.reject(new Error("the password is sesame"))),
);
const server = createServer(
  tracedRequests((req, res) => {
    if (req.method === "POST") void answerTogether(req, res);
    else void traced({ name: `within a ${req.method}` }, async () => await endOf(res));
  }, config.OTLP_READS),
);
await once(server.listen(0, "127.0.0.1"), "listening");
for (const method of ["GET", "HEAD", "PUT"]) await ask(method);
await Promise.all(TOGETHER.map(async (trace) => await ask("POST", trace)));
server.close();
begin({ name: "told" }, `00-${"ab".repeat(16)}-${"cd".repeat(8)}-01`)?.end();
begin({ name: "not told" }, "00-nonsense-01")?.end();
const nobodys = await traced({ name: "nobody's" }, async () => ({ traced: isTraced(), traceparent: traceparent() ?? null }));
await broker.stop();
await endTracing();
process.stdout.write(JSON.stringify({ nobodys, endings }));
