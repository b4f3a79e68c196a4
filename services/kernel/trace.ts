/**
 * What is done for a request, step by step, over OpenTelemetry's interface, where a step is a span: until somebody starts a tracer (config/tracing.ts) nothing
 * is traced, and asking costs next to nothing. Only what is asked from outside begins a trace (`begin`); everything else belongs to one, or is not traced.
 */
import {
  type Attributes,
  type Context,
  context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
} from "@opentelemetry/api";
import { errorType } from "./errors.ts";

export { SpanKind as StepKind } from "@opentelemetry/api";

const tracer = trace.getTracer("tritontube");

export interface Step {
  readonly name: string;
  readonly kind?: SpanKind;
  /** Never what a person said, nor a secret: ids, kinds, counts. */
  readonly attributes?: Attributes;
}

/** Whether what runs now belongs to a request that is traced, also when the step that it came from has ended: a stream is read after it was opened. */
export function isTraced(): boolean {
  return traceId() !== undefined;
}

/** Of the trace that this belongs to, for log lines. */
export function traceId(): string | undefined {
  const span = trace.getActiveSpan()?.spanContext();
  return span !== undefined && (span.traceFlags & TraceFlags.SAMPLED) !== 0 ? span.traceId : undefined;
}

/** What another process is told of the step that it goes on (W3C Trace Context); undefined when nothing is traced. */
export function traceparent(): string | undefined {
  return isTraced() ? traceparentOf(context.active()) : undefined;
}

/** `work` as a part of what runs now. */
export function traced<T>(names: Step, work: () => Promise<T>): Promise<T> {
  return isTraced() ? spanning(names, context.active(), work) : work();
}

/** `work` as a part of what another process, or another time, has told; of nothing when it has told nothing. */
export function continued<T>(parent: unknown, names: Step, work: () => Promise<T>): Promise<T> {
  return typeof parent === "string" ? spanning(names, contextOf(parent), work) : outside(work);
}

/** `work` as no part of what runs now: it goes on for everybody. */
export function outside<T>(work: () => T): T {
  return context.with(ROOT_CONTEXT, work);
}

/** A step whose end is told, and `within` which others are done. */
export interface OpenStep {
  /** What the other end of a call is told. */
  readonly traceparent: string;
  within<T>(work: () => T): T;
  /** A better name than was known when it began. */
  name(name: string): void;
  end(attributes?: Attributes, failure?: string): void;
}

/** Part of what runs now, or of what another process has told; with `null` of nothing. Undefined when nothing is traced, or this is not to be. */
export function begin(names: Step, parent?: string | null): OpenStep | undefined {
  const around = parent === undefined ? context.active() : contextOf(parent ?? "");
  const span = tracer.startSpan(names.name, { kind: names.kind ?? SpanKind.INTERNAL, attributes: names.attributes ?? {} }, around);
  if (!span.isRecording()) return undefined;
  const inside = trace.setSpan(around, span);
  return {
    traceparent: traceparentOf(inside),
    within: (work) => context.with(inside, work),
    name: (name) => void span.updateName(name),
    end(attributes = {}, failure) {
      span.setAttributes(attributes);
      if (failure !== undefined) fail(span, failure);
      span.end();
    },
  };
}

async function spanning<T>({ name, kind = SpanKind.INTERNAL, attributes = {} }: Step, parent: Context, work: () => Promise<T>): Promise<T> {
  return await tracer.startActiveSpan(name, { kind, attributes }, parent, async (span) => {
    try {
      return await work();
    } catch (error) {
      // A message may name what nobody is to read there.
      fail(span, errorType(error) ?? "INTERNAL");
      throw error;
    } finally {
      span.end();
    }
  });
}

function fail(span: Span, type: string): void {
  span.setAttribute("error.type", type);
  span.setStatus({ code: SpanStatusCode.ERROR });
}

function traceparentOf(around: Context): string {
  const carrier: { traceparent?: string } = {};
  propagation.inject(around, carrier);
  return carrier.traceparent ?? "";
}

/** What is not well formed is nothing. What else a caller says of a trace (`tracestate`) is not taken over. */
function contextOf(parent: string): Context {
  return propagation.extract(ROOT_CONTEXT, { traceparent: parent });
}
