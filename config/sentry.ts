/** Tells of mistakes of this process (services/kernel/mistakes.ts) where SENTRY_DSN says, as far as config/report.ts lets it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { BaseTransportOptions, createTransport, StackParser } from "@sentry/core";
import { listenForMistakes } from "../services/kernel/mistakes.ts";
import { traceparent } from "../services/kernel/trace.ts";
import type { Config } from "./index.ts";
import { Moderation, reportOf, type Report } from "./report.ts";

/** A receiver that does not answer costs the report that waits for it, and nothing else. */
const SEND_MS = 5000;
/** Reports that wait to be sent; what comes then is lost. */
const WAITING_MAX = 30;
/** What a process that ends waits for its last reports. */
const END_MS = 1000;

interface Process {
  /** Which of several. */
  readonly instance: string;
  /** Is told when reports cannot be sent, and when they can again. */
  readonly tell: (message: string) => void;
}

/** Answers how to send what is left. Without SENTRY_DSN nothing is loaded, and nothing happens. */
export async function startSentry(config: Config, { instance, tell }: Process): Promise<() => Promise<void>> {
  const dsn = config.SENTRY_DSN;
  if (dsn === undefined) return async () => {};
  const [sdk, server] = await Promise.all([import("@sentry/core"), import("@sentry/core/server")]);
  const stackParser = sdk.createStackParser(server.nodeStackLineParser());
  const client = new server.ServerRuntimeClient({
    dsn,
    stackParser,
    // None of its own: they replace modules of Node, read requests, and listen to what nobody here means for others.
    integrations: [],
    traceLifecycle: "static",
    sendClientReports: false,
    transport: (options) => sdk.createTransport({ ...options, bufferSize: WAITING_MAX }, telling(posting(options), tell)),
    // What others have added to an event stays here.
    beforeSend: ({ event_id, timestamp }, { data }) => ({ ...(data as Report), event_id, timestamp, type: undefined }) as never,
  });
  listenForMistakes(listening(config, instance, stackParser, (report) => client.captureEvent(report, { data: report }, new sdk.Scope())));
  return async () => {
    listenForMistakes();
    await Promise.race([client.close(END_MS), new Promise((resolve) => setTimeout(resolve, END_MS).unref())]);
  };
}

function listening(
  { ZONE: zone }: Config,
  node: string,
  framesOf: StackParser,
  send: (report: Report) => void,
): NonNullable<Parameters<typeof listenForMistakes>[0]> {
  const origin = { release: releaseOf(), node, zone, framesOf };
  const moderation = new Moderation();
  return (error, circumstances) => {
    const report = moderation.admit(reportOf(error, circumstances, origin, traceparent()), performance.now());
    if (report) send(report);
  };
}

function releaseOf(): string {
  const { name, version } = JSON.parse(readFileSync(join(import.meta.dirname, "../package.json"), "utf8")) as Record<string, string>;
  return `${name}@${version}`;
}

type Post = Parameters<typeof createTransport>[1];

function posting({ url, headers = {} }: BaseTransportOptions): Post {
  return async ({ body }) => {
    const bytes = typeof body === "string" ? body : Buffer.from(body);
    const answer = await fetch(url, {
      method: "POST",
      headers: { ...headers, "Content-Type": "application/x-sentry-envelope" },
      body: bytes,
      signal: AbortSignal.timeout(SEND_MS),
    });
    await answer.body?.cancel();
    const limits = answer.headers.get("x-sentry-rate-limits");
    return { statusCode: answer.status, headers: { "x-sentry-rate-limits": limits, "retry-after": answer.headers.get("retry-after") } };
  };
}

/** The same, which says once that nothing comes through, and once that it does again. */
function telling(post: Post, tell: (message: string) => void): Post {
  let failing = false;
  const told = (fails: boolean): void => {
    if (fails !== failing)
      tell(fails ? "mistakes cannot be told to SENTRY_DSN: the log has them" : "mistakes are told to SENTRY_DSN again");
    failing = fails;
  };
  return async (request) => {
    try {
      const answer = await post(request);
      told((answer.statusCode ?? 0) >= 400);
      return answer;
    } catch (error) {
      told(true);
      throw error;
    }
  };
}
