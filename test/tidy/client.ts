/** The types of the API's client, made of the API's description. `npm run api:generate` writes them, client.test.ts compares. */
import type { Description, Operation } from "../support/description.ts";

export const CLIENT_TYPES = "web/src/gen/api.ts";

interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | boolean;
  readonly description?: string;
}

/** TypeScript: an interface for each named schema, and one with the operations that ask and answer in JSON, or not at all. */
export function clientTypes({ components, paths }: Description): string {
  const named = Object.entries(components.schemas as Record<string, Schema>).map(
    ([name, schema]) => `${comment(schema)}export interface ${name} ${typeOf(schema)}\n`,
  );
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, operation]) => entryOf(`${method.toUpperCase()} ${path}`, operation)),
  );
  return [
    "/** The API as its description has it. Written by `npm run api:generate`: do not edit. */\n",
    ...named,
    `/** Operations by method and path: what each is asked with, what it answers, and which headers tell something beside it. */\nexport interface Operations ${block(operations)}\n`,
  ].join("\n");
}

function entryOf(name: string, { parameters, requestBody, responses }: Operation): string[] {
  const answers = Object.entries(responses).flatMap(([status, { content }]) => (status.startsWith("2") ? [content] : []));
  if (answers.length === 0 || ![...answers, requestBody?.content].every(isJson)) return [];
  const asked = [
    ...group("path", parameters),
    ...group("query", parameters),
    ...group("header", parameters),
    ...(requestBody
      ? [`readonly body${requestBody.required ? "" : "?"}: ${typeOf(requestBody.content["application/json"]?.schema ?? {})};`]
      : []),
  ];
  const answer = union(answers.map((content) => (content ? typeOf(content["application/json"]?.schema ?? {}) : "undefined")));
  const headers = Object.entries(responses).flatMap(([status, told]) => (status.startsWith("2") ? Object.keys(told.headers ?? {}) : []));
  const told = headers.length === 0 ? "never" : union(headers.map((header) => JSON.stringify(header)));
  const members = [`readonly asked: ${block(asked)};`, `readonly answer: ${answer};`, `readonly told: ${told};`];
  return [`"${name}": ${block(members)};`];
}

/** Parameters of one kind: they may be left away when none is required. */
function group(kind: "path" | "query" | "header", parameters: Operation["parameters"]): string[] {
  const mine = parameters.filter((each) => each.in === kind);
  const properties = Object.fromEntries(
    mine.map(({ name, schema, description }) => [name, { ...schema, ...(description && { description }) }]),
  );
  const required = mine.filter((each) => each.required).map(({ name }) => name);
  if (mine.length === 0) return [];
  return [
    `readonly ${kind === "header" ? "headers" : kind}${required.length === 0 ? "?" : ""}: ${typeOf({ type: "object", properties, required })};`,
  ];
}

function typeOf(schema: Schema): string {
  if (schema.$ref !== undefined) return schema.$ref.split("/").at(-1) ?? "";
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return union(schema.enum.map((value) => JSON.stringify(value)));
  if (schema.anyOf) return union(schema.anyOf.map(typeOf));
  if (schema.type === undefined) return unknownOf(schema);
  return union([schema.type].flat().map((type) => simpleType(type, schema)));
}

function simpleType(type: string, schema: Schema): string {
  switch (type) {
    case "string":
    case "boolean":
    case "number":
    case "null":
      return type;
    case "integer":
      return "number";
    case "array":
      return arrayOf(typeOf(schema.items ?? {}));
    case "object":
      return objectType(schema);
    default:
      throw new Error(`The client knows no type ${type}`);
  }
}

function objectType({ properties = {}, required = [], additionalProperties = false }: Schema): string {
  const members = Object.entries(properties).map(
    ([name, schema]) =>
      `${comment(schema)}readonly ${/^\w+$/.test(name) ? name : JSON.stringify(name)}${required.includes(name) ? "" : "?"}: ${typeOf(schema)};`,
  );
  const others = typeof additionalProperties === "object" ? typeOf(additionalProperties) : "unknown";
  // What is said of one member has to hold for the others, too.
  const rest = additionalProperties === false ? [] : [`readonly [name: string]: ${members.length > 0 ? "unknown" : others};`];
  return block([...members, ...rest]);
}

/** A schema that restricts nothing is anything; one with words that this does not know must not become that by accident. */
function unknownOf(schema: Schema): string {
  const words = Object.keys(schema).filter((word) => word !== "description");
  if (words.length > 0) throw new Error(`The client does not know what ${words.join(", ")} means without a type`);
  return "unknown";
}

const block = (lines: readonly string[]) => (lines.length === 0 ? "{}" : `{\n${lines.join("\n").replaceAll(/^/gm, "  ")}\n}`);
const arrayOf = (type: string) => `readonly ${/^\w+$/.test(type) ? type : `(${type})`}[]`;
const isJson = (content: object | undefined) => content === undefined || "application/json" in content;
const union = (types: readonly string[]) => [...new Set(types)].join(" | ");
const comment = ({ description }: Schema) => (description === undefined ? "" : `/** ${description.replaceAll("*/", "* /")} */\n`);
