/** The broker of every process: how its services find each other, wait, retry and stop. The values come from config/. */
import { hostname } from "node:os";
import { ServiceBroker, type BrokerOptions, type Middleware } from "moleculer";
import { loadConfig, type Config } from "./config/index.ts";
import { attempts } from "./mixins/attempts.ts";
import { natsBus } from "./mixins/bus.ts";
import { createLogger, requestScope } from "./mixins/log.ts";
import { mistakesOfEvents } from "./mixins/mistakes.ts";
import { tracedCalls } from "./mixins/traces.ts";
import { errorType, type ErrorType } from "./services/kernel/errors.ts";

/** Longer than any query or control call may take, so that stopping cuts nothing off; shorter than the patience of a container's runtime (10 s). */
const STOP_MS = 8000;

/**
 * Moleculer's own order puts the time-out outside of the circuit breaker, which then never sees one (moleculer #1202): 16 of 16 calls
 * timed out and nothing opened. Inside, the breaker counts them. What belongs to a request begins inside of the bulkhead: a call that waited there is
 * started by another one's end.
 */
function middlewares(ofRequests: readonly Middleware[]): (string | Middleware)[] {
  const order: (string | Middleware)[] = ServiceBroker.INTERNAL_MIDDLEWARES.filter((name) => name !== "Timeout");
  order.splice(order.indexOf("CircuitBreaker"), 0, "Timeout");
  order.splice(order.indexOf("Bulkhead"), 0, ...ofRequests);
  return order;
}

/** The framework's own chatter is for its developers; ours is for operators. */
const logLevels = (level: string) => ({
  "TRANSIT*": "warn",
  "TX*": "warn",
  // Tries again several times a second; the bus says what there is to say (mixins/bus.ts).
  TRANSPORTER: "fatal",
  REGISTRY: "warn",
  BROKER: "error",
  DISCOVERY: "warn",
  "**": level,
});

/** What every node of a service would answer: the database is the same for all, and who is busy lives. To ask nobody would give the same failure another name, and for longer. */
const BLAMELESS: ReadonlySet<ErrorType | undefined> = new Set<ErrorType>(["DATABASE_UNAVAILABLE", "TOO_BUSY"]);

function blamesNode(error: Error): boolean {
  return Number((error as { code?: unknown }).code) >= 500 && !BLAMELESS.has(errorType(error));
}

export default function brokerOptions(config: Config = loadConfig()): BrokerOptions {
  const logger = createLogger(config);
  return {
    nodeID: config.NODE_ID ?? `${hostname()}-${process.pid}`,
    namespace: "tritontube",
    metadata: { zone: config.ZONE },
    logger: { type: "Pino", options: { createLogger: (level: string, bindings: object) => logger.child(bindings, { level }) } },
    logLevel: logLevels(config.LOG_LEVEL) as never,
    transporter: config.NATS_URL === undefined ? null : natsBus(config.NATS_URL, config.NATS_CA_FILE),
    // 15 times faster than JSON for bytes, and as fast for the rest (measured).
    serializer: "Notepack",
    // Never for ever, which is Moleculer's default; each call sets its own (services/kernel/rpc.ts).
    requestTimeout: 10_000,
    // A node that died without a word is not asked any more after 6 to 12 s; calls that may be repeated are, on another.
    heartbeatInterval: 2,
    heartbeatTimeout: 6,
    // Without it a stopping node rejects the calls that it is serving.
    tracking: { enabled: true, shutdownTimeout: STOP_MS },
    retryPolicy: {
      enabled: true,
      retries: 0,
      delay: 50,
      maxDelay: 1000,
      factor: 2,
      check: (error) => (error as { retryable?: boolean }).retryable === true,
    },
    circuitBreaker: {
      enabled: true,
      threshold: 0.5,
      minRequestCount: 20,
      windowTime: 30,
      halfOpenTime: 5000,
      check: blamesNode,
    },
    registry: { strategy: "RoundRobin", preferLocal: true },
    metrics: {
      enabled: config.METRICS_PORT !== undefined,
      reporter: [{ type: "Prometheus", options: { host: config.METRICS_HOST, port: config.METRICS_PORT ?? 0 } }],
    },
    internalMiddlewares: false,
    middlewares: middlewares([
      requestScope,
      attempts,
      ...(config.OTLP_URL === undefined ? [] : [tracedCalls]),
      ...(config.SENTRY_DSN === undefined ? [] : [mistakesOfEvents]),
    ]),
    // Signals belong to the launcher, which stops the database and the disks after the services.
    skipProcessEventRegistration: true,
  };
}
