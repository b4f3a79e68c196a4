/** From the table of routes to what is done at each address: HEAD, OPTIONS, 405, rights and the refusal of what is not known follow from it. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { z } from "zod";
import { errorType, failure, type ErrorType, type FieldError } from "../kernel/errors.ts";
import { hasRole, type Principal, type Role } from "../kernel/principal.ts";
import type { Caller } from "../kernel/rpc.ts";
import type { Identity } from "../users/contract.ts";
import { accepts } from "./domain/accept.ts";
import { refusalWords } from "./domain/wording.ts";
import type { Client } from "./http/client.ts";
import { readJson } from "./http/json.ts";
import { send, targetOf, type Reply } from "./http/reply.ts";
import { timedIn } from "./http/timings.ts";

/** HEAD and OPTIONS follow from the others; a route has one of its own where they mean something else. */
export type Method = "GET" | "HEAD" | "OPTIONS" | "POST" | "PUT" | "PATCH" | "DELETE";

/** A request whose parameters and rights were checked. */
export interface Request<P = unknown, Q = unknown, B = unknown> {
  readonly params: P;
  readonly query: Q;
  /** What the route's body schema made of it; undefined where the route has none, or reads it by itself. */
  readonly body: B;
  /** Who asks: handed on to each action that looks at whose a thing is. */
  readonly as: Principal;
  /** The user behind `as`, if there is one. */
  readonly identity: Identity | undefined;
  readonly client: Client;
  /** Calls made through it carry the request's id. */
  readonly caller: Caller;
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
}

/** What a route takes besides its address. */
export interface RequestBody<B extends z.ZodType = z.ZodType> {
  /** JSON of this shape, read and checked before the handler runs. */
  readonly json?: B;
  /** Types of content that the handler reads by itself, as a stream. */
  readonly streams?: readonly string[];
  /** A form's fields, where one of the streams is multipart/form-data. */
  readonly form?: z.ZodType;
}

/** One good answer of a route. */
export interface RouteAnswer {
  readonly description: string;
  /** The whole document, `data` and all; without it and without `media` there is no body. */
  readonly json?: z.ZodType;
  readonly media?: string | readonly string[];
  /** Headers that mean something here, with what they say. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** How often one may ask: the classes are in http/limits.ts. */
export type LimitClass = "read" | "write" | "upload" | "part" | "beat" | "media" | "still" | "signIn" | "none";

export interface Route<S, P extends z.ZodType = z.ZodType, Q extends z.ZodType = z.ZodType, B extends z.ZodType = z.ZodType> {
  /** The operation's name in the API's documentation and in clients made from it. */
  readonly id: string;
  readonly method: Method;
  readonly path: string;
  /** One sentence for the API's documentation. */
  readonly summary: string;
  /** The chapter that it stands in. */
  readonly tag: string;
  /** The least role that may ask. Whose thing it is, the action decides. */
  readonly needs: Role;
  readonly limit: LimitClass;
  /** A parameter of the query with which it is another class's. */
  readonly dearer?: { readonly parameter: string; readonly limit: LimitClass };
  /** What the segments of the path may be: the same for each method of a path. Anything else is no address at all. */
  readonly params: P;
  readonly query: Q;
  /** Headers that the handler reads, with what they say. Those of conditions and ranges follow from the answers. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Those of them without which it is refused. */
  readonly neededHeaders?: readonly string[];
  readonly body?: RequestBody<B>;
  readonly answers: Readonly<Record<number, RouteAnswer>>;
  /** What it may fail with, besides what every route may. */
  readonly errors: readonly ErrorType[];
  /** What the audit keeps of a request, besides who, what and when; routes without it leave no trace there. Never a secret. */
  audit?(request: Request<z.output<P>, z.output<Q>, z.output<B>>): Readonly<Record<string, unknown>>;
  handler(state: S, request: Request<z.output<P>, z.output<Q>, z.output<B>>): Promise<Reply>;
}

/** Ties the types of the schemas to the handler's. */
export function routesOf<S>() {
  return <P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType = z.ZodUndefined>(route: Route<S, P, Q, B>): Route<S> => route;
}

/** A request for an address that there is. */
export interface Asked {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** The segments of the path that have a name, decoded. */
  readonly segments: Readonly<Record<string, string>>;
  /** Calls made through it carry the request's id. */
  readonly caller: Caller;
}

export interface Admitted {
  readonly as: Principal;
  readonly identity: Identity | undefined;
  readonly client: Client;
}

/** What the gateway does with a request before, after and instead of its handler. */
export interface Doorkeeper<S> {
  readonly state: S;
  /** Finds out who asks, and whether they ask too often. UNAUTHENTICATED, SIGNATURE_INVALID, RATE_LIMITED. */
  admit(request: Omit<Asked, "segments"> & { route: Route<S>; limit: LimitClass; params: unknown; signature: unknown }): Promise<Admitted>;
  /** Something was done, or tried, to what the parameters of an address name, or made: what is remembered of it may be untrue. */
  changed(params: unknown): void;
  /** Keeps what was done, or tried. Never fails. */
  audit(route: Route<S>, request: Request, outcome: string): Promise<void>;
  refuse(req: IncomingMessage, res: ServerResponse, error: unknown): void;
}

export type Answering = (asked: Asked) => void;

/** One alias a path, for every method. */
export function aliasesOf<S>(table: readonly Route<S>[], keeper: Doorkeeper<S>): Record<string, Answering> {
  const paths = Map.groupBy(table, ({ path }) => path);
  return Object.fromEntries(
    [...paths].map(([path, routes]) => [
      `* ${path}`,
      (asked) => {
        answer(routes, keeper, asked).catch((error: unknown) => keeper.refuse(asked.req, asked.res, error));
      },
    ]),
  );
}

async function answer<S>(routes: readonly Route<S>[], keeper: Doorkeeper<S>, { req, res, segments, caller }: Asked): Promise<void> {
  const params = pathParams(routes, segments);
  const of = (method: string | undefined) => routes.find((each) => each.method === method);
  const route = of(req.method) ?? (req.method === "HEAD" ? of("GET") : undefined);
  if (!route) {
    await send(req, res, optionsOf(routes, req, res));
    return;
  }
  if (route.method === "OPTIONS") res.setHeader("Allow", methodsOf(routes));
  const raw = queryOf(targetOf(req));
  const admitted = await keeper.admit({ req, res, caller, route, limit: limitOf(route, raw), params, signature: raw["signature"] });
  authorise(admitted.as, route.needs, req);
  demandAcceptable(route, req);
  const query = checked(route.query, raw);
  const body = route.body?.json ? checked(route.body.json, await readJson(req, res)) : undefined;
  await send(req, res, await handle(route, keeper, { ...admitted, params, query, body, caller: timed(caller, res), req, res }));
}

function limitOf<S>({ limit, dearer }: Route<S>, query: Readonly<Record<string, unknown>>): LimitClass {
  return dearer && query[dearer.parameter] !== undefined ? dearer.limit : limit;
}

/** The same caller, which notes how long each service takes. */
function timed(caller: Caller, res: ServerResponse): Caller {
  return {
    call: async (action, params, options) =>
      await timedIn(res, action.slice(0, action.indexOf(".")), async () => await caller.call(action, params, options)),
  };
}

function handle<S>(route: Route<S>, keeper: Doorkeeper<S>, request: Request): Promise<Reply> {
  const handled = route.audit ? audited(route, keeper, request) : route.handler(keeper.state, request);
  return changes(route) ? told(handled, keeper, request) : handled;
}

async function told<S>(handled: Promise<Reply>, keeper: Doorkeeper<S>, { params }: Request): Promise<Reply> {
  try {
    return await handled;
  } finally {
    keeper.changed(params);
  }
}

/** What is on its way in changes no video until it is there, which an event tells; and what a player tells changes none at all. */
function changes<S>({ method, limit }: Route<S>): boolean {
  return !["GET", "HEAD", "OPTIONS"].includes(method) && limit !== "part" && limit !== "beat";
}

async function audited<S>(route: Route<S>, keeper: Doorkeeper<S>, request: Request): Promise<Reply> {
  try {
    const reply = await route.handler(keeper.state, request);
    await keeper.audit(route, request, "done");
    return reply;
  } catch (error) {
    await keeper.audit(route, request, errorType(error) ?? "INTERNAL");
    throw error;
  }
}

/** Who asks for a kind of document that this address never answers would not know what to do with it. Players say little of what they take, so media are for all. */
function demandAcceptable<S>({ answers }: Route<S>, req: IncomingMessage): void {
  const { accept } = req.headers;
  if (accepts(accept, "application/json") || !Object.values(answers).some(({ json }) => json)) return;
  throw failure("NOT_ACCEPTABLE", "This address answers application/json.");
}

/** Who could be let in by signing in is told so; who did sign in is told that it is not enough. */
function authorise(as: Principal, needs: Role, { headers }: IncomingMessage): void {
  if (hasRole(as, needs)) return;
  if (as.role === "anonymous") {
    const hint = headers.cookie === undefined ? "" : " A session speaks for this server's own page only: a program shows a token.";
    throw failure("UNAUTHENTICATED", `Sign in as ${needs} or more to do this.${hint}`);
  }
  throw failure("FORBIDDEN", `This takes the role ${needs}; yours is ${as.role}.`);
}

function methodsOf<S>(routes: readonly Route<S>[]): string {
  const methods = routes.flatMap(({ method }) => (method === "GET" ? [method, "HEAD"] : [method]));
  return [...new Set([...methods, "OPTIONS"])].join(", ");
}

function optionsOf<S>(routes: readonly Route<S>[], req: IncomingMessage, res: ServerResponse): Reply {
  const allow = methodsOf(routes);
  if (req.method === "OPTIONS") return { status: 204, headers: { Allow: allow } };
  res.setHeader("Allow", allow);
  throw failure("METHOD_NOT_ALLOWED", `This address takes ${allow}.`);
}

/** Where a schema has no words of its own. */
const WORDS = { error: refusalWords };

/** `%2F` is decoded, too: a segment may hold anything, so it is nothing until its schema has said what it is. */
function pathParams<S>(routes: readonly Route<S>[], segments: Asked["segments"]): unknown {
  const parsed = routes[0]?.params.safeParse(segments, WORDS);
  if (parsed?.success) return parsed.data;
  const fields = fieldErrors(parsed?.error);
  throw failure("ROUTE_NOT_FOUND", `There is nothing at this address: ${sentence(fields)}.`, { fields });
}

function queryOf(target: string): Record<string, string | string[]> {
  const start = target.indexOf("?");
  if (start < 0) return {};
  const query = new URLSearchParams(target.slice(start + 1));
  return Object.fromEntries(
    [...new Set(query.keys())].map((name) => {
      const values = query.getAll(name);
      return [name, values.length === 1 ? (values[0] ?? "") : values];
    }),
  );
}

/** INVALID_REQUEST with every field that the schema refuses, unknown ones too. */
export function checked<T extends z.ZodType>(schema: T, value: unknown): z.output<T> {
  const parsed = schema.safeParse(value, WORDS);
  if (parsed.success) return parsed.data;
  const fields = fieldErrors(parsed.error);
  throw failure("INVALID_REQUEST", `The request is not valid: ${sentence(fields)}.`, { fields });
}

function fieldErrors(error: z.ZodError | undefined): FieldError[] {
  return (error?.issues ?? []).flatMap((issue) =>
    issue.code === "unrecognized_keys"
      ? issue.keys.map((key) => ({ path: [...issue.path, key].join("."), message: "is not known here" }))
      : [{ path: issue.path.join("."), message: issue.message }],
  );
}

function sentence(fields: readonly FieldError[]): string {
  return fields.map(({ path, message }) => `${path} ${message}`.trim()).join("; ");
}
