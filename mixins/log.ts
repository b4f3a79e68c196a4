/** Logs: one JSON object a line with the id of the request that caused it, or lines for a person. */
import { AsyncLocalStorage } from "node:async_hooks";
import { pino, type Logger, type LoggerOptions } from "pino";
import { PinoPretty } from "pino-pretty";
import type { Context, Middleware } from "moleculer";
import type { Config } from "../config/index.ts";
import { traceId } from "../services/kernel/trace.ts";

const scope = new AsyncLocalStorage<{ readonly requestId: string }>();

/** A logger to standard error: standard output belongs to what a program answers. */
export function createLogger(config: Config): Logger {
  const options: LoggerOptions = {
    level: config.LOG_LEVEL,
    base: null,
    mixin: surroundings,
    mixinMergeStrategy: (fields, around) => (around === NOTHING ? fields : { ...around, ...fields }),
    hooks: { logMethod: fieldsFirst },
  };
  const stream =
    config.LOG_FORMAT === "pretty"
      ? PinoPretty({ destination: 2, sync: true, singleLine: true, ignore: "nodeID,ns,svc,mod", messageFormat: "[{mod}] {msg}" })
      : standardError;
  return pino(options, stream);
}

/** Of the lines that a busy gateway writes, nearly all: they tell of their request by themselves. */
const NOTHING = {};

/** What a line belongs to. */
function surroundings(): object {
  const inside = scope.getStore();
  const id = traceId();
  return inside === undefined && id === undefined ? NOTHING : { ...inside, ...(id === undefined ? {} : { traceId: id }) };
}

/** Written line by line, the log would cost a busy gateway as much as what it tells of. A process that is killed takes this much of its log with it. */
const TOGETHER_MS = 50;
/** One write takes so much without being cut. */
const TOGETHER_CHARACTERS = 16 * 1024;

/** Lines that come in the same moment go out as one. */
class GatheredLines {
  #lines = "";
  #timer: NodeJS.Timeout | undefined;
  #out: ReturnType<typeof pino.destination> | undefined;

  write(line: string): void {
    if (this.#out === undefined) process.once("exit", () => this.#end());
    this.#out ??= pino.destination({ dest: 2, sync: false });
    this.#lines += line;
    if (this.#lines.length >= TOGETHER_CHARACTERS) this.#pass();
    else this.#timer ??= setTimeout(() => this.#pass(), TOGETHER_MS).unref();
  }

  #pass(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#lines !== "") this.#out?.write(this.#lines);
    this.#lines = "";
  }

  #end(): void {
    this.#pass();
    this.#out?.flushSync();
  }
}

const standardError = new GatheredLines();

/** Moleculer's loggers are given the message and then the fields; pino takes them the other way round, and would drop them. */
function fieldsFirst(this: Logger, args: Parameters<Logger["info"]>, write: Logger["info"]): void {
  const [message, fields] = args as unknown[];
  if (typeof message !== "string" || typeof fields !== "object") return write.apply(this, args);
  write.call(this, fields instanceof Error ? { err: fields } : fields, message);
}

/** Gives every log line inside an action the id of the request that it serves. */
export const requestScope: Middleware = {
  name: "RequestScope",
  localAction: (next: (ctx: Context) => Promise<unknown>) => (ctx: Context) =>
    ctx.requestID === null ? next(ctx) : scope.run({ requestId: ctx.requestID }, () => next(ctx)),
};
