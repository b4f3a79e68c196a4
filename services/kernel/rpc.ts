/**
 * Typed calls and events. A contract is written by hand once (`services/X/contract.ts`): a wrong action name, parameter, result,
 * a missing or a superfluous action does not compile. The schema that gives the type is the one that validates.
 */
import type { ActionSchema, CallingOptions, Context, Service } from "moleculer";
import type { Readable } from "node:stream";
import type { z } from "zod";
import { errorType, failure, type ErrorType } from "./errors.ts";

/** Carries a type and no value. */
interface Returns<R> {
  readonly result?: R;
}
export const returns = <R>(): Returns<R> => ({});

interface ActionSpec<P extends z.ZodType, R> {
  readonly params: P;
  readonly returns: Returns<R>;
  /** "node": only callers in the same process (bytes never cross NATS). "cluster": any node. No action is reachable by HTTP by itself. */
  readonly scope: "node" | "cluster";
  /** Whether calling twice is harmless: only then the broker retries. */
  readonly idempotent: boolean;
  /** What says at a later attempt that an earlier one was carried out, and only its answer was lost. Then it is done (null): only for what answers nothing. */
  readonly doneWhen?: ErrorType;
  /** How long a caller waits, ms. Moleculer's own default is for ever. 0 = no limit: only for calls that carry a stream, which have idle limits of their own. */
  readonly timeoutMs?: number;
}

/** Long enough for a query behind a database restart (0.2–0.5 s after its return), short enough for a person. */
const TIMEOUT_MS = 10_000;
/** Attempts after the first of an idempotent call: three nodes of a service cover a rolling restart. */
const RETRIES = 2;

/**
 * Calls of one action that a node works on at once, and those that wait for their turn: eight connections to the database answer 64 as fast as any number, and
 * a thousand behind them are answered before their callers give up. More is refused (TOO_BUSY), and one action that hangs takes no memory without an end.
 */
const BULKHEAD = { enabled: true, concurrency: 64, maxQueueSize: 1024 };

export interface Action<P extends z.ZodType = z.ZodType, R = unknown> extends ActionSpec<P, R> {
  readonly name: string;
}
type ParamsOf<A> = A extends Action<infer P, infer _R> ? z.input<P> : never;
type ParsedOf<A> = A extends Action<infer P, infer _R> ? z.output<P> : never;
type ResultOf<A> = A extends Action<infer _P, infer R> ? R : never;

/** Declares one action inside `contract`. */
export function action<P extends z.ZodType, R>(spec: ActionSpec<P, R>): ActionSpec<P, R> {
  return spec;
}

type Contract<D> = { readonly [K in keyof D]: D[K] extends ActionSpec<infer P, infer R> ? Action<P, R> : never };

/** Names the actions of a service: `contract("videos", {get: …}).get.name === "videos.get"`. */
export function contract<D extends Record<string, ActionSpec<z.ZodType, unknown>>>(service: string, actions: D): Contract<D> {
  const named = Object.entries(actions).map(([name, spec]) => [name, { ...spec, name: `${service}.${name}` }]);
  return Object.fromEntries(named) as Contract<D>;
}

/** Anything that can make a call: a context inside a handler, the broker outside of one. */
export interface Caller {
  call<R>(action: string, params: unknown, options?: CallingOptions): Promise<R>;
}

/** Calls an action of a contract. `stream` goes along by reference, and only to an action of scope "node". */
export function call<A extends Action>(
  from: Caller,
  target: A,
  params: ParamsOf<A>,
  options: { stream?: Readable } = {},
): Promise<ResultOf<A>> {
  if (options.stream && target.scope !== "node") throw new Error(`${target.name} may be on another node, and no stream crosses NATS`);
  const retries = target.idempotent && !options.stream ? RETRIES : 0;
  return from.call<ResultOf<A>>(target.name, params, {
    timeout: target.timeoutMs ?? TIMEOUT_MS,
    retries,
    ...options,
  });
}

export interface Event<T> {
  readonly name: string;
  readonly payload?: T;
}
/** Declares an event: a past fact, told to every node. Lost when nobody listens: never the only carrier of a truth. */
export const event = <T extends object>(name: string): Event<T> => ({ name });

interface Broadcaster {
  broadcast(event: string, payload: unknown): Promise<void>;
}
export async function broadcast<T extends object>(from: Broadcaster, what: Event<T>, payload: T): Promise<void> {
  await from.broadcast(what.name, payload);
}

/** What `implement` takes; a part of it may stand in a file of its own, as `Pick<Handlers<…>, …>`. */
export type Handlers<C, TThis> = {
  [K in keyof C]: (this: TThis, params: ParsedOf<C[K]>, ctx: Context<ParsedOf<C[K]>>) => Promise<ResultOf<C[K]>>;
};

/** The `actions` block that fulfils a contract: no action fewer, no action more; each validates what it is given before its handler sees it. */
export function implement<TThis = Service>() {
  return <C extends Record<string, Action>>(of: C, handlers: Handlers<C, TThis>): Record<keyof C & string, ActionSchema<TThis>> => {
    const entries = Object.entries(of).map(([name, spec]) => [name, schemaOf(spec, handlers[name as keyof C] as never)]);
    return Object.fromEntries(entries) as Record<keyof C & string, ActionSchema<TThis>>;
  };
}

/** What a call carries of its earlier attempts (mixins/attempts.ts). */
export interface Attempted {
  /** Whether the caller has made this call before, and had no answer that it could use. */
  repeated?: boolean;
}

function schemaOf<TThis>(spec: Action, handler: (this: TThis, params: unknown, ctx: Context) => Promise<unknown>): ActionSchema<TThis> {
  return {
    visibility: spec.scope === "node" ? "protected" : "public",
    // What streams has limits of its own.
    ...(spec.scope === "cluster" ? { bulkhead: BULKHEAD } : {}),
    async handler(this: TThis, ctx: Context) {
      // Read before: what this action calls is told anew.
      const repeated = (ctx.meta as Attempted).repeated === true;
      try {
        return await handler.call(this, parse(spec, ctx.params), ctx);
      } catch (error) {
        if (repeated && spec.doneWhen !== undefined && errorType(error) === spec.doneWhen) return null;
        throw error;
      }
    },
  };
}

function parse(spec: Action, params: unknown): unknown {
  const parsed = spec.params.safeParse(params ?? {});
  if (parsed.success) return parsed.data;
  const fields = parsed.error.issues.map((issue) => ({ path: issue.path.join("."), message: issue.message }));
  throw failure("INVALID_REQUEST", `${spec.name} was called with parameters that it does not take.`, { fields });
}
