/** From the table of routes to moleculer-web: HEAD, OPTIONS, 405 and the refusal of what is not known follow from it. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { z } from "zod";
import { failure, type FieldError } from "../kernel/errors.ts";
import type { Caller } from "../kernel/rpc.ts";
import { send, targetOf, type Reply } from "./http/reply.ts";

export type Method = "GET" | "POST" | "DELETE";

/** A request whose parameters were checked. */
export interface Request<P, Q> {
  readonly params: P;
  readonly query: Q;
  /** Calls made through it carry the request's id. */
  readonly caller: Caller;
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
}

export interface Route<S, P extends z.ZodType = z.ZodType, Q extends z.ZodType = z.ZodType> {
  readonly method: Method;
  readonly path: string;
  /** One sentence for the API's documentation. */
  readonly summary: string;
  /** What the segments of the path may be: the same for each method of a path. Anything else is no address at all. */
  readonly params: P;
  readonly query: Q;
  handler(state: S, request: Request<z.output<P>, z.output<Q>>): Promise<Reply>;
}

/** Ties the types of the schemas to the handler's. */
export function routesOf<S>() {
  return <P extends z.ZodType, Q extends z.ZodType>(route: Route<S, P, Q>): Route<S> => route;
}

/** What moleculer-web adds to a request. */
export interface WebRequest extends IncomingMessage {
  $ctx: Caller;
  $params: { readonly params?: Readonly<Record<string, string>> };
}

type Alias = (req: WebRequest, res: ServerResponse) => void;
type Refuse = (req: IncomingMessage, res: ServerResponse, error: unknown) => void;

/** One alias a path, for every method. */
export function aliasesOf<S>(table: readonly Route<S>[], state: S, refuse: Refuse): Record<string, Alias> {
  const paths = Map.groupBy(table, ({ path }) => path);
  return Object.fromEntries(
    [...paths].map(([path, routes]) => [
      `* ${path}`,
      (req, res) => {
        answer(routes, state, req, res).catch((error: unknown) => refuse(req, res, error));
      },
    ]),
  );
}

async function answer<S>(routes: readonly Route<S>[], state: S, req: WebRequest, res: ServerResponse): Promise<void> {
  const params = pathParams(routes, req);
  const method = req.method === "HEAD" ? "GET" : req.method;
  const route = routes.find((each) => each.method === method);
  if (!route) {
    await send(req, res, optionsOf(routes, req, res));
    return;
  }
  const query = checked(route.query, queryOf(targetOf(req)));
  await send(req, res, await route.handler(state, { params, query, caller: req.$ctx, req, res }));
}

function optionsOf<S>(routes: readonly Route<S>[], req: IncomingMessage, res: ServerResponse): Reply {
  const methods = routes.flatMap(({ method }) => (method === "GET" ? [method, "HEAD"] : [method]));
  const allow = [...methods, "OPTIONS"].join(", ");
  if (req.method === "OPTIONS") return { status: 204, headers: { Allow: allow } };
  res.setHeader("Allow", allow);
  throw failure("METHOD_NOT_ALLOWED", `This address takes ${allow}.`);
}

/** moleculer-web decodes `%2F`: a parameter may hold anything, so it is nothing until its schema has said what it is. */
function pathParams<S>(routes: readonly Route<S>[], req: WebRequest): unknown {
  const parsed = routes[0]?.params.safeParse(req.$params.params ?? {});
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
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const fields = fieldErrors(parsed.error);
  throw failure("INVALID_REQUEST", `The request is not valid: ${sentence(fields)}.`, { fields });
}

function fieldErrors(error: z.ZodError | undefined): FieldError[] {
  return (error?.issues ?? []).flatMap((issue) =>
    issue.code === "unrecognized_keys"
      ? issue.keys.map((key) => ({ path: key, message: "is not known here" }))
      : [{ path: issue.path.join("."), message: issue.message }],
  );
}

function sentence(fields: readonly FieldError[]): string {
  return fields.map(({ path, message }) => `${path} ${message}`).join("; ");
}
