/** JSON Schemas, as a person reads them. */
import { h } from "../dom.ts";

export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
}

type Schemas = Readonly<Record<string, Schema>>;

/** Deeper than this nothing of the API goes, and a schema that holds itself would. */
const DEPTH_MAX = 6;

export function schemaView(schema: Schema | undefined, schemas: Schemas, depth = 0): HTMLElement {
  if (!schema) return h("p", { class: "quiet" }, "bytes");
  const { name, resolved } = resolve(schema, schemas);
  const inner = resolved.items ? resolve(resolved.items, schemas).resolved : resolved;
  const fields = Object.entries(inner.properties ?? {});
  const said = h("p", { class: "type" }, h("code", {}, nameOf(schema, schemas)), restOf(resolved));
  if (fields.length === 0 || depth >= DEPTH_MAX) return said;
  const list = h("dl", { class: "fields" }, ...fields.flatMap(([field, each]) => fieldView({ field, each, of: inner }, schemas, depth)));
  return depth === 0 ? h("div", {}, said, list) : h("details", {}, h("summary", {}, name ?? nameOf(schema, schemas)), list);
}

interface Field {
  readonly field: string;
  readonly each: Schema;
  readonly of: Schema;
}

function fieldView({ field, each, of }: Field, schemas: Schemas, depth: number): readonly HTMLElement[] {
  const optional = of.required?.includes(field) ? null : h("span", { class: "quiet" }, "optional");
  return [h("dt", {}, h("code", {}, field), optional), h("dd", {}, each.description ?? "", schemaView(each, schemas, depth + 1))];
}

function resolve(schema: Schema, schemas: Schemas): { readonly name: string | undefined; readonly resolved: Schema } {
  const name = schema.$ref?.split("/").at(-1);
  if (name !== undefined) return { name, resolved: schemas[name] ?? {} };
  const alternative = schema.anyOf?.find((each) => each.$ref ?? each.properties);
  return alternative && schema.anyOf?.length === 2 ? resolve(alternative, schemas) : { name, resolved: schema };
}

/** "Video or null", "list of string", "integer". */
function nameOf(schema: Schema, schemas: Schemas): string {
  if (schema.$ref) return resolve(schema, schemas).name ?? "";
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((word) => JSON.stringify(word)).join(" | ");
  if (schema.anyOf) return schema.anyOf.map((each) => nameOf(each, schemas)).join(" or ");
  if (schema.items) return `list of ${nameOf(schema.items, schemas)}`;
  return [schema.type ?? "anything"].flat().join(" or ");
}

function restOf({ minimum, maximum, minLength, maxLength, default: fallback }: Schema): string {
  const words = [
    minimum !== undefined && maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER ? `${minimum} to ${maximum}` : "",
    maxLength === undefined ? "" : `${minLength ?? 0} to ${maxLength} characters`,
    fallback === undefined ? "" : `default ${JSON.stringify(fallback)}`,
  ];
  return words
    .filter(Boolean)
    .map((word) => `, ${word}`)
    .join("");
}
