/** Sends the steps of this process (services/kernel/trace.ts) where OTLP_URL says. */
import { context, propagation, trace } from "@opentelemetry/api";
import type { SpanExporter } from "@opentelemetry/sdk-trace";
import type { Config } from "./index.ts";

/** Steps go out together, once a second: whoever looks for one does not wait longer. */
const TOGETHER_MS = 1000;
/** What one process keeps of steps that are not sent, about 8 MB; what comes then is lost. */
const KEPT_MAX = 8192;
/** A receiver that does not answer costs the steps that wait for it, and nothing else. */
const SEND_MS = 5000;
/** What a process that ends waits for its last steps. */
const END_MS = 1000;

interface Process {
  /** tritontube-disk, and tritontube for whatever has a broker. */
  readonly service: string;
  /** Which of several. */
  readonly instance: string;
  /** Is told when steps cannot be sent, and when they can again. */
  readonly tell: (message: string) => void;
}

/** Answers how to send what is left. Without OTLP_URL nothing is loaded, and nothing happens. */
export async function startTracing(config: Config, { service, instance, tell }: Process): Promise<() => Promise<void>> {
  if (config.OTLP_URL === undefined) return async () => {};
  const [{ AsyncLocalStorageContextManager }, { W3CTraceContextPropagator }, { resourceFromAttributes }, { OTLPTraceExporter }, sdk] =
    await Promise.all([
      import("@opentelemetry/context-async-hooks"),
      import("@opentelemetry/core"),
      import("@opentelemetry/resources"),
      import("@opentelemetry/exporter-trace-otlp-http"),
      import("@opentelemetry/sdk-trace"),
    ]);
  const url = `${config.OTLP_URL.replace(/\/$/, "")}/v1/traces`;
  const exporter = telling(new OTLPTraceExporter({ url, timeoutMillis: SEND_MS }), tell);
  const provider = new sdk.TracerProvider({
    resource: resourceFromAttributes({ "service.name": service, "service.instance.id": instance, "tritontube.zone": config.ZONE }),
    // Whoever begins a trace has decided; what a caller decided for his own is not asked.
    sampler: new sdk.AlwaysOnSampler(),
    spanProcessors: [
      new sdk.BatchSpanProcessor({ exporter, scheduledDelayMillis: TOGETHER_MS, maxQueueSize: KEPT_MAX, exportTimeoutMillis: SEND_MS }),
    ],
  });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  trace.setGlobalTracerProvider(provider);
  return async () => {
    // Whoever takes no steps does not decide how a process ends.
    const sent = provider.shutdown().catch(() => undefined);
    await Promise.race([sent, new Promise((resolve) => setTimeout(resolve, END_MS).unref())]);
  };
}

/** The same exporter, which says once that it does not come through, and once that it does again. */
function telling(exporter: SpanExporter, tell: (message: string) => void): SpanExporter {
  let failing = false;
  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        const fails = result.error !== undefined;
        if (fails !== failing) tell(fails ? "steps of traces cannot be sent to OTLP_URL: they are lost" : "steps of traces are sent again");
        failing = fails;
        done(result);
      });
    },
    shutdown: async () => await exporter.shutdown(),
  };
}
