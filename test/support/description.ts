/** Holds every answer that a test sees against the API's own description: what is not described does not happen. */
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { apiRoutes } from "../../services/gateway/routes.ts";
import { openapiOf } from "../../services/gateway/openapi.ts";

interface Described {
  readonly method: string;
  /** Of the request line. */
  readonly target: string;
  readonly status: number;
  readonly type: string;
  readonly body: Buffer;
}

export interface Operation {
  readonly operationId: string;
  readonly parameters: readonly {
    readonly name: string;
    readonly in: "path" | "query" | "header";
    readonly required: boolean;
    readonly schema: object;
    readonly description?: string;
  }[];
  readonly requestBody?: { readonly required?: boolean; readonly content: Readonly<Record<string, { readonly schema?: object }>> };
  readonly security: readonly object[];
  readonly responses: Readonly<Record<string, DescribedResponse>>;
}
interface DescribedResponse {
  readonly content?: Readonly<Record<string, { readonly schema?: object }>>;
  readonly "x-codes"?: readonly string[];
  readonly headers?: Readonly<Record<string, object>>;
}
export interface Description {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
}

export const description = openapiOf(apiRoutes, "0.0.0") as unknown as Description;

const ajv = new Ajv2020({ strict: false, allErrors: true, formats: { "date-time": true } });
(addFormats as unknown as (on: Ajv2020) => void)(ajv);
ajv.addSchema({ $id: "description", components: description.components });

const compiled = new WeakMap<object, ValidateFunction>();

/** What is wrong with a value by a schema of the description; nothing when it keeps it. */
export function breaches(schema: object, value: unknown): string[] {
  const validate =
    compiled.get(schema) ??
    ajv.compile(JSON.parse(JSON.stringify(schema).replaceAll('"#/components', '"description#/components')) as object);
  compiled.set(schema, validate);
  if (validate(value)) return [];
  return (validate.errors ?? []).map(({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`);
}

const patterns = Object.entries(description.paths).map(([template, operations]) => ({
  // The more a template says by itself, the sooner it is asked.
  weight: template.split("{").length,
  pattern: new RegExp(`^${template.replaceAll(/[.]/g, "\\.").replaceAll(/\{\w+\}/g, "[^/]+")}$`),
  operations,
}));
patterns.sort((a, b) => a.weight - b.weight);

/** The operation that a request is; undefined for pages, preflights and what is at no address. */
function operationAt(method: string, target: string): Operation | undefined {
  const [path = ""] = target.split("?");
  const name = method === "HEAD" ? "get" : method.toLowerCase();
  return patterns.find(({ pattern }) => pattern.test(path))?.operations[name];
}

/** What is wrong with an answer of the API: that its description has none of the kind. */
export function descriptionBreach({ method, target, status, type, body }: Described): Error | undefined {
  const why = wrongWith({ method, target, status, type, body });
  return why === undefined
    ? undefined
    : new Error(`${method} ${target} answered ${status} ${type}, which the API's description does not have: ${why}`);
}

function wrongWith({ method, target, status, type, body }: Described): string | undefined {
  const [media = ""] = type.split(";");
  if (media === "application/problem+json") {
    const wrong = body.length > 0 ? breaches(description.components.schemas["Problem"] ?? {}, JSON.parse(body.toString())) : [];
    if (wrong.length > 0) return wrong.join("; ");
  }
  const operation = operationAt(method, target);
  // A parameter that is none makes it no address. And what a test makes fail behind the gateway may fail in any way.
  if (!operation || status === 404 || status === 405) return undefined;
  const response = operation.responses[status];
  if (!response) return status >= 500 ? undefined : `only ${Object.keys(operation.responses).join(", ")}`;
  const content = response.content?.[media];
  if (media !== "" && !content) return `only ${Object.keys(response.content ?? {}).join(", ")}`;
  const wrong = content?.schema && body.length > 0 ? breaches(content.schema, JSON.parse(body.toString())) : [];
  return wrong.length > 0 ? wrong.join("; ") : undefined;
}
