/** The API's description (OpenAPI 3.1), made from the very table and schemas that requests are checked by. */
import { z } from "zod";
import { ERRORS, type ErrorType } from "../kernel/errors.ts";
import type { Role } from "../kernel/principal.ts";
import type { Route, RouteAnswer } from "./dispatch.ts";
import { problemSchema } from "./domain/documents.ts";
import { quotas } from "./limits.ts";
import type { GatewayState } from "./state.ts";

type Json = Readonly<Record<string, unknown>>;

/** The chapters, in the order in which one reads them. */
const chapters: readonly (readonly [name: string, description: string])[] = [
  ["Videos", "What there is, and how it comes in."],
  ["Resumable upload", "Large files, in as many requests as the network needs (tus 1.0.0)."],
  ["Playback", "What players ask for. Private videos play for their owner, and for whoever was handed a signed address."],
  ["Analytics", "Who watches, for whose videos they are."],
  ["Signing in", "Sessions of the page. Programs show tokens instead."],
  ["Users", "Who may come in."],
  ["Tokens", "What programs show."],
  ["Administration", "For administrators."],
  ["Storage", "Disks, and which of them keep what: the same as the commands of `npm run repl`."],
  ["Jobs", "Work that waits, runs or has failed, for administrators."],
  ["Health", "For monitors and load balancers."],
  ["Documentation", "What you are reading."],
];

const ABOUT = `Everything that a TritonTube can be asked. Times are RFC 3339 in UTC, durations seconds, sizes bytes.

Good answers are \`{"data": …}\`, lists with a \`meta\` beside it; refusals are problem documents (RFC 9457) with a stable \`code\`. \`HEAD\` works wherever \`GET\` does; a method that an address does not take is refused with 405, and \`Allow\` names those that it takes. An unknown parameter, or member of a body, is refused, never ignored; a body that is not asked for is not read. Each answer has an \`X-Request-Id\`: a client's own is kept when it is 8 to 64 characters of \`[A-Za-z0-9._-]\`. 
How often one may ask is counted for each user, or address, and kind of operation; an operation names its kind. \`RateLimit\` says what is left, and 429 in \`Retry-After\` when there is more. ${quotasInWords()}.

Beside these operations \`/api/v1/live\` is a WebSocket, which tells of many videos and uploads at once: send \`{"subscribe": ["video:ID", "upload:ID"]}\` or \`{"unsubscribe": …}\`.

Who has to sign in depends on the server (\`AUTH_MODE\`): \`GET /api/v1/session\` tells. Operations name the least role that may ask: \`anonymous\`, \`viewer\`, \`uploader\`, \`admin\`.`;

function quotasInWords(): string {
  const words = Object.entries(quotas).map(([name, { requests, seconds }]) => `\`${name}\` ${requests} in ${seconds} s`);
  return words.join(", ");
}

/** Headers of every answer of a kind: of requests, by what the answer is, and of refusals. */
const CONDITION = { "If-None-Match": "An `ETag` that was answered before: while it is still the same, the answer is 304 without a body." };
const RANGE = {
  Range: "One part of the bytes: `bytes=0-499`, `bytes=500-` or `bytes=-500`. Several at once are answered with all of it.",
  "If-Range": "An `ETag`: where the bytes are no longer those, all of them are answered.",
};
const RETRY_AFTER = { "Retry-After": "Seconds after which to ask again." };
const OF_REFUSALS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  401: { "WWW-Authenticate": "How to sign in." },
  416: { "Content-Range": "How many bytes there are: `bytes */1000`." },
  429: RETRY_AFTER,
  503: RETRY_AFTER,
};

/** What any request may be answered. */
const ALWAYS: readonly ErrorType[] = [
  "INVALID_REQUEST",
  "FORBIDDEN_ORIGIN",
  "INTERNAL",
  "TOO_BUSY",
  "SERVICE_UNAVAILABLE",
  "DATABASE_UNAVAILABLE",
];
const OF_CREDENTIALS: readonly ErrorType[] = ["UNAUTHENTICATED", "RATE_LIMITED"];
const OF_JSON_BODIES: readonly ErrorType[] = [
  "UNSUPPORTED_MEDIA_TYPE",
  "BODY_TOO_LARGE",
  "UPLOAD_ABORTED",
  "UPLOAD_STALLED",
  "LENGTH_MISMATCH",
];

export function openapiOf(routes: readonly Route<GatewayState>[], version: string): Json {
  const schemas = new Schemas();
  const paths = Object.fromEntries(
    [...Map.groupBy(routes, ({ path }) => templateOf(path))].map(([path, group]) => [
      path,
      Object.fromEntries(group.map((route) => [route.method.toLowerCase(), operationOf(route, schemas)])),
    ]),
  );
  const used = new Set(routes.map(({ tag }) => tag));
  return {
    openapi: "3.1.0",
    info: { title: "TritonTube", version, description: ABOUT, license: { name: "Apache-2.0", identifier: "Apache-2.0" } },
    servers: [{ url: "/", description: "this server" }],
    tags: chapters.filter(([name]) => used.has(name)).map(([name, description]) => ({ name, description })),
    paths,
    components: {
      schemas: schemas.all,
      securitySchemes: {
        token: { type: "http", scheme: "bearer", description: "A token: `POST /api/v1/tokens` makes one." },
        password: { type: "http", scheme: "basic", description: "A name and a password, where `AUTH_MODE` is `basic`." },
        session: {
          type: "apiKey",
          in: "cookie",
          name: "tritontube",
          description: "Of the page. Over HTTPS its name begins with `__Host-`.",
        },
      },
    },
  };
}

/** "/videos/:id/:number.m4s" → "/videos/{id}/{number}.m4s" */
function templateOf(path: string): string {
  return path.replaceAll(/:(\w+)/g, "{$1}");
}

function operationOf(route: Route<GatewayState>, schemas: Schemas): Json {
  const { id, tag, summary, body } = route;
  return {
    operationId: id,
    tags: [tag],
    summary,
    description: descriptionOf(route),
    security: securityOf(route.needs),
    parameters: parametersOf(route, schemas),
    ...(body ? { requestBody: bodyOf(body, schemas) } : {}),
    responses: responsesOf(route, schemas),
  };
}

function descriptionOf({ needs, limit, dearer }: Route<GatewayState>): string {
  const dear = dearer ? `, with \`${dearer.parameter}\` as \`${dearer.limit}\`` : "";
  return `Needs: \`${needs}\`.${limit === "none" ? "" : ` Limited as \`${limit}\`${dear}.`}`;
}

function securityOf(needs: Role): readonly Json[] {
  const shown = [{ token: [] }, { password: [] }, { session: [] }];
  return needs === "anonymous" ? [{}, ...shown] : shown;
}

function parametersOf(
  { path, params, query, answers, headers, neededHeaders = [] }: Route<GatewayState>,
  schemas: Schemas,
): readonly Json[] {
  const said = { ...headers, ...(answers[304] ? CONDITION : {}), ...(answers[206] ? RANGE : {}) };
  const inPath = propertiesOf(schemas.of(params, "input")).filter(({ name }) => new RegExp(`:${name}\\b`).test(path));
  return [
    ...inPath.map(({ name, schema }) => ({ name, in: "path", required: true, schema })),
    ...propertiesOf(schemas.of(query, "input")).map(({ name, schema: { description, ...schema }, required }) => ({
      name,
      in: "query",
      required,
      ...(description === undefined ? {} : { description }),
      schema,
    })),
    ...Object.entries(said).map(([name, description]) => ({
      name,
      in: "header",
      required: neededHeaders.includes(name),
      description,
      schema: { type: "string" },
    })),
  ];
}

interface Property {
  readonly name: string;
  readonly schema: Json;
  readonly required: boolean;
}

function propertiesOf(schema: Json): readonly Property[] {
  const { properties = {}, required = [] } = schema as { properties?: Record<string, Json>; required?: readonly string[] };
  return Object.entries(properties).map(([name, each]) => ({ name, schema: each, required: required.includes(name) }));
}

function bodyOf({ json, streams = [], form }: NonNullable<Route<GatewayState>["body"]>, schemas: Schemas): Json {
  const content = [
    ...(json ? [["application/json", { schema: schemas.of(json, "input") }] as const] : []),
    ...streams.map((type) => [type, type === "multipart/form-data" && form ? { schema: formOf(form, schemas) } : {}] as const),
  ];
  // Who sends no body sends an empty object (http/json.ts).
  return { required: !json?.safeParse({}).success, content: Object.fromEntries(content) };
}

/** Fields first, then files: the server reads the form as it comes. */
function formOf(form: z.ZodType, schemas: Schemas): Json {
  const { properties = {}, ...schema } = schemas.of(form, "input") as { properties?: Json };
  const file = { type: "array", items: { type: "string", contentMediaType: "video/*" }, description: "one or several" };
  return { ...schema, properties: { ...properties, file }, required: ["file"] };
}

function responsesOf(route: Route<GatewayState>, schemas: Schemas): Json {
  const good = Object.entries(route.answers).map(([status, answer]) => [status, answerOf(answer, status, schemas)] as const);
  const taken = new Set(good.map(([status]) => status));
  const bad = [...Map.groupBy(codesOf(route), (code) => String(ERRORS[code].status))]
    .filter(([status]) => !taken.has(status))
    .map(([status, codes]) => [status, refusalOf(status, codes, schemas)] as const);
  const mixed = good.map(([status, answer]) => {
    const codes = codesOf(route).filter((code) => String(ERRORS[code].status) === status);
    return [status, codes.length === 0 ? answer : withRefusal(answer, refusalOf(status, codes, schemas))] as const;
  });
  return Object.fromEntries([...mixed, ...bad].toSorted(([a], [b]) => Number(a) - Number(b)));
}

/** Every code that a route may answer. */
function codesOf(route: Route<GatewayState>): readonly ErrorType[] {
  const { needs, body, limit, answers, params, errors } = route;
  const hasParams = Object.keys((params as { shape?: object }).shape ?? {}).length > 0;
  const json = Object.values(answers).some((answer) => answer.json);
  return [
    ...new Set<ErrorType>([
      ...ALWAYS,
      ...OF_CREDENTIALS.filter((code) => code !== "RATE_LIMITED" || limit !== "none"),
      ...(needs === "anonymous" ? [] : (["FORBIDDEN"] as const)),
      ...(hasParams ? (["ROUTE_NOT_FOUND"] as const) : []),
      ...(json ? (["NOT_ACCEPTABLE"] as const) : []),
      ...(body?.json ? OF_JSON_BODIES : []),
      ...errors,
    ]),
  ];
}

function answerOf({ description, json, media, headers = {} }: RouteAnswer, status: string, schemas: Schemas): Json {
  const types = json ? ["application/json"] : [media ?? []].flat();
  const schema = json ? { schema: schemas.of(json, "output") } : {};
  const told = { ...(["206", "304"].includes(status) ? { ETag: "Names the bytes." } : {}), ...headers };
  return {
    description,
    ...(Object.keys(told).length > 0 ? { headers: headersOf(told) } : {}),
    ...(types.length === 0 ? {} : { content: Object.fromEntries(types.map((type) => [type, schema])) }),
  };
}

function headersOf(headers: Readonly<Record<string, string>>): Json {
  return Object.fromEntries(Object.entries(headers).map(([name, description]) => [name, { description, schema: { type: "string" } }]));
}

function refusalOf(status: string, codes: readonly ErrorType[], schemas: Schemas): Json {
  const description = codes.map((code) => `\`${code}\`: ${ERRORS[code].title}`).join("\n\n");
  const headers = OF_REFUSALS[status];
  const content = { "application/problem+json": { schema: schemas.of(problemSchema, "output") } };
  return { description, "x-codes": codes, ...(headers ? { headers: headersOf(headers) } : {}), content };
}

/** A status that is both an answer and a refusal: a part of the server is down, and the report says so. */
function withRefusal(answer: Json, refusal: Json): Json {
  return { ...refusal, ...answer, content: { ...(answer["content"] as object), ...(refusal["content"] as object) } };
}

/** JSON Schemas of ours, with those that have a name in one place. */
class Schemas {
  readonly all: Record<string, Json> = {};

  of(schema: z.ZodType, io: "input" | "output"): Json {
    const { $schema: _, $defs = {}, ...made } = z.toJSONSchema(schema, { io, unrepresentable: "any", override }) as Record<string, unknown>;
    for (const [name, each] of Object.entries($defs as Record<string, Json>)) this.all[name] ??= relocated(withoutId(each));
    const id = made["id"];
    if (typeof id !== "string") return relocated(made);
    this.all[id] ??= relocated(withoutId(made));
    return { $ref: `#/components/schemas/${id}` };
  }
}

/** What stands in an address as text and means something else is that here: domain/parameters.ts says so in the metadata. So is what it is when it is left out. */
function override({ jsonSchema, zodSchema }: { jsonSchema: Record<string, unknown>; zodSchema: z.core.$ZodType }): void {
  if (zodSchema instanceof z.ZodDefault) jsonSchema["default"] = zodSchema.def.defaultValue;
  const type = ["integer", "number", "boolean"].find((name) => jsonSchema[name] !== undefined);
  if (type !== undefined) {
    const meaning = jsonSchema[type];
    for (const key of [type, "pattern", "enum"]) delete jsonSchema[key];
    Object.assign(jsonSchema, { type }, meaning === true ? {} : meaning);
  }
  delete jsonSchema["readOnly"];
}

function withoutId({ id: _id, ...schema }: Json): Json {
  return schema;
}

function relocated(schema: Json): Json {
  return JSON.parse(JSON.stringify(schema).replaceAll(`"#/$defs/`, `"#/components/schemas/`)) as Json;
}
