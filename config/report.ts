/**
 * What is told of a mistake to those outside (config/sentry.ts): a list of what may be told, not of what may not. Where in the code, which type, in which
 * service, and the ids under which the log has the rest. The words of an error are not among it: they may hold a title, an address, a statement.
 */
import { errorType } from "../services/kernel/errors.ts";
import type { Circumstances } from "../services/kernel/mistakes.ts";

export interface Frame {
  readonly filename?: string;
  readonly function?: string;
  readonly lineno?: number;
  readonly colno?: number;
  /** Whether it is code of ours. */
  readonly in_app?: boolean;
}

/** Of this process, the same for each of its reports. */
export interface Origin {
  readonly release: string;
  readonly node: string;
  readonly zone: string;
  /** The frames of a stack, the outermost first. */
  readonly framesOf: (stack: string) => readonly Frame[];
}

interface Told {
  readonly type: string;
  readonly value: string;
  readonly stacktrace?: { frames: Frame[] };
}

/** The members of an event, in the words of its receiver. */
export interface Report {
  readonly platform: "node";
  readonly level: "error" | "fatal";
  readonly release: string;
  readonly server_name: string;
  readonly tags: Record<string, string>;
  readonly contexts: Record<string, Record<string, string>>;
  readonly exception: { values: Told[] };
  readonly extra: Record<string, number>;
}

/** A cause of a cause of a cause says nothing new. */
const CAUSES_MAX = 4;
const FRAMES_MAX = 50;
/** A word of the code. */
const NAME = /^[\w$.#<>[\] ]{1,80}$/;
/** As the gateway makes them; a client's own may be anything that it likes. */
const MADE_ID = /^[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}$/;
const SOURCE = /(?:^|\/)((?:services|mixins|config|proto|deploy|node_modules)\/[\w@./+-]+\.[cm]?[jt]s)$/;
const NODE_SOURCE = /^node:[\w/]+$/;
/** What an engine says of code, where nothing but a name of the code can stand. */
const ENGINE_WORDS = [
  /^Cannot (?:read|set) properties of (?:undefined|null) \((?:reading|setting) '[A-Za-z_$]{1,30}'\)$/,
  /^[A-Za-z_$.]{1,60} is not (?:a function|a constructor|iterable|defined)$/,
  /^Assignment to constant variable\.$/,
  /^Maximum call stack size exceeded$/,
  /^Cannot access '[A-Za-z_$]{1,30}' before initialization$/,
  /^Invalid (?:array|string|typed array) length(?:: \d{1,15})?$/,
  /^Do not know how to serialize a BigInt$/,
];

export function reportOf(error: unknown, about: Circumstances, origin: Origin, traceparent?: string): Report {
  const { sqlState } = ((error as { data?: unknown } | null)?.data ?? {}) as { sqlState?: unknown };
  const tags = {
    service: about.service,
    // Where it was thrown, when it has come from another node.
    node: only(/^[\w.-]{1,100}$/, (error as { nodeID?: unknown } | null)?.nodeID) ?? origin.node,
    zone: origin.zone,
    code: errorType(error) ?? "INTERNAL",
    sql_state: only(/^[0-9A-Z]{5}$/, sqlState),
    doing: about.doing,
    request_id: only(MADE_ID, about.requestId),
    job: only(/^\d{1,19}$/, about.jobId),
    trace_id: traceparent?.split("-")[1],
  };
  return {
    platform: "node",
    level: "error",
    release: origin.release,
    server_name: origin.node,
    tags: Object.fromEntries(Object.entries(tags).filter((tag): tag is [string, string] => tag[1] !== undefined)),
    contexts: { runtime: { name: "node", version: process.version }, ...traceOf(traceparent) },
    exception: { values: chainOf(error).map((one) => told(one, origin.framesOf)) },
    extra: about.attempt === undefined ? {} : { attempt: about.attempt },
  };
}

/** What a process may tell: a mistake in every request would be another flood. What is left out is counted, and told with the next report. */
const AT_ONCE = 20;
const ONE_MORE_MS = 30_000;
/** A mistake that is made again and again is told once in this time. */
const SAME_MS = 60_000;
const KINDS_MAX = 1000;

export class Moderation {
  readonly #toldAt = new Map<string, number>();
  #left = AT_ONCE;
  #filledAt: number | undefined;
  #untold = 0;

  /** The report as it is to be sent; undefined when it is one too many. */
  admit(report: Report, nowMs: number): Report | undefined {
    this.#fill(nowMs);
    if (this.#left < 1 || this.#isRecent(kindOf(report), nowMs)) {
      this.#untold += 1;
      return undefined;
    }
    this.#left -= 1;
    const extra = this.#untold === 0 ? report.extra : { ...report.extra, untold: this.#untold };
    this.#untold = 0;
    return { ...report, extra };
  }

  #fill(nowMs: number): void {
    this.#left = Math.min(AT_ONCE, this.#left + (nowMs - (this.#filledAt ?? nowMs)) / ONE_MORE_MS);
    this.#filledAt = nowMs;
  }

  #isRecent(kind: string, nowMs: number): boolean {
    const at = this.#toldAt.get(kind);
    if (at !== undefined && nowMs - at < SAME_MS) return true;
    if (this.#toldAt.size >= KINDS_MAX) this.#toldAt.clear();
    this.#toldAt.set(kind, nowMs);
    return false;
  }
}

/** What two reports of one mistake have in common. */
function kindOf({ exception: { values } }: Report): string {
  const last = values.at(-1);
  const { filename, lineno } = last?.stacktrace?.frames.findLast(({ in_app }) => in_app) ?? {};
  return `${last?.type} ${filename}:${lineno}`;
}

function traceOf(traceparent: string | undefined): Record<string, Record<string, string>> {
  const [, trace_id = "", span_id = ""] = traceparent?.split("-") ?? [];
  return trace_id === "" ? {} : { trace: { trace_id, span_id } };
}

/** The receiver's order: what was thrown last comes last. */
function chainOf(error: unknown): unknown[] {
  const chain = [error];
  for (let cause = causeOf(error); cause !== undefined && chain.length < CAUSES_MAX; cause = causeOf(cause)) chain.unshift(cause);
  return chain;
}

const causeOf = (error: unknown): unknown => (error as { cause?: unknown } | null | undefined)?.cause ?? undefined;

function told(error: unknown, framesOf: Origin["framesOf"]): Told {
  if (!(error instanceof Error)) return { type: `thrown ${typeof error}`, value: "(not an Error)" };
  const frames = framesOf(withoutWords(error)).flatMap(frameOf).slice(-FRAMES_MAX);
  const type = only(/^[A-Za-z]{1,60}$/, error.name) ?? "Error";
  return { type, value: wordsOf(error), ...(frames.length > 0 ? { stacktrace: { frames } } : {}) };
}

function wordsOf({ message }: Error): string {
  return ENGINE_WORDS.some((words) => words.test(message)) ? message : "(the log has the words)";
}

/** A message of many lines could look like frames. */
function withoutWords({ stack, message }: Error): string {
  const text = typeof stack === "string" ? stack : "";
  const end = message === "" ? -1 : text.indexOf(message);
  return end < 0 ? text : text.slice(end + message.length);
}

/** Files of ours, of packages and of Node, by their names in the project: no path of this machine. */
function frameOf({ filename = "", function: name, lineno = 0, colno = 0 }: Frame): Frame[] {
  const file = NODE_SOURCE.test(filename) ? filename : SOURCE.exec(filename)?.[1];
  return file === undefined ? [] : [{ filename: file, function: only(NAME, name) ?? "?", lineno, colno, in_app: !file.startsWith("node") }];
}

function only(pattern: RegExp, value: unknown): string | undefined {
  return typeof value === "string" && pattern.test(value) ? value : undefined;
}
