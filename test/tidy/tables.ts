/** Tables that documents show and code decides. `npm run docs` writes them, tables.test.ts compares. */
import { join } from "node:path";
import { status as statusNames } from "@grpc/grpc-js";
import { secrets, settings, type SettingName } from "../../config/schema.ts";
import { ERRORS } from "../../services/kernel/errors.ts";
import type { Action } from "../../services/kernel/rpc.ts";
import { protocolOf } from "./protocol.ts";
import { files, root, sources, stringsOf, textOf } from "./sources.ts";
import { z } from "zod";

interface Table {
  readonly file: string;
  readonly name: string;
  readonly rows: readonly (readonly string[])[];
}

export async function tables(): Promise<readonly Table[]> {
  return [
    { file: "README.md", name: "settings", rows: settingRows() },
    { file: "docs/errors.md", name: "errors", rows: errorRows() },
    { file: "docs/architecture.md", name: "actions", rows: await actionRows() },
    { file: "docs/grpc.md", name: "methods", rows: methodRows() },
    { file: "docs/grpc.md", name: "messages", rows: fieldRows() },
    { file: "docs/grpc.md", name: "statuses", rows: statusRows() },
  ];
}

const marked = (name: string) => new RegExp(`(?<=<!-- ${name} -->\n)[^]*?(?=<!-- /${name} -->)`);

/** The lines between the two marks of a table; undefined when a document has no such marks. */
export function between(document: string, name: string): string | undefined {
  return marked(name).exec(document)?.[0];
}

/** The document with its table as it should be. */
export function withTable(document: string, table: Table): string {
  if (between(document, table.name) === undefined) throw new Error(`${table.file} has no place for the table of ${table.name}`);
  return document.replace(marked(table.name), () => rendered(table));
}

/** Markdown, unaligned: the formatter aligns it. */
export function rendered({ rows: [head = [], ...body] }: Table): string {
  return ["", line(head), line(head.map(() => "---")), ...body.map(line), "", ""].join("\n");
}

const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
const code = (word: unknown) => `\`${String(word)}\``;

function settingRows(): string[][] {
  const rows = Object.entries(settings).map(([name, setting]) => {
    const fallback = setting.safeParse(undefined).data;
    const { enum: words } = z.toJSONSchema(setting, { io: "input", unrepresentable: "any" });
    const choice = words && words.length > 2 ? `: ${words.map(code).join(", ")}` : "";
    const file = secrets.includes(name as SettingName) ? `, or ${code(`${name}_FILE`)}` : "";
    return [code(name) + file, fallback === undefined ? "" : shownDefault(name, fallback), `${setting.description ?? ""}${choice}`];
  });
  return [["Setting", "Default", "What it is"], ...rows];
}

function shownDefault(name: string, value: unknown): string {
  const MiB = 1024 * 1024;
  const size = name.includes("BYTES") ? Number(value) / MiB : 0;
  return `${code(value)}${size >= 1024 ? ` (${size / 1024} GiB)` : size > 0 ? ` (${size} MiB)` : ""}`;
}

function errorRows(): string[][] {
  const rows = Object.entries(ERRORS).map(([type, { status, grpc, retryable, title }]) => [
    code(type),
    String(status),
    String(grpc),
    retryable ? "yes" : "no",
    title,
  ]);
  return [["Code", "HTTP", "gRPC", "Try again", "Title"], ...rows];
}

const protocol = () => protocolOf(textOf("proto/tritontube/disk/v1/disk.proto"));

function methodRows(): string[][] {
  const rows = protocol().methods.map(({ name, request, answer, words }) => [code(name), code(request), code(answer), words]);
  return [["Method", "Takes", "Answers", "What it does"], ...rows];
}

function fieldRows(): string[][] {
  const rows = protocol().fields.map(({ message, name, number, type, words }) => [
    code(message),
    name === "" ? "" : code(name),
    number,
    type === "" ? "" : code(type),
    words,
  ]);
  return [["Message", "Field", "Number", "Type", "What it is"], ...rows];
}

/** The failures that a disk names. What is none of them leaves it as INTERNAL. */
function statusRows(): string[][] {
  const named = new Set(sources.filter((path) => path.startsWith("services/disk/")).flatMap(stringsOf));
  const rows = Object.entries(ERRORS)
    .filter(([type]) => named.has(type))
    .map(([type, { grpc, retryable, title }]) => [code(statusNames[grpc]), String(grpc), code(type), retryable ? "yes" : "no", title]);
  return [["Status", "Number", "`tritontube-error`", "Try again", "Title"], ...rows];
}

async function actionRows(): Promise<string[][]> {
  const paths = files.filter((path) => /^services\/[^/]+\/contract\.ts$/.test(path));
  const rows = await Promise.all(
    paths.toSorted().map(async (path) => {
      const exported = Object.values((await import(join(root, path))) as object).flatMap(namedIn);
      const actions = exported.filter((value): value is Action => "scope" in value);
      const list = (wanted: (action: Action) => boolean) => words(actions.filter(wanted).map(({ name }) => name));
      return [
        code(path.split("/")[1]),
        list(({ scope, idempotent }) => scope === "cluster" && idempotent),
        list(({ scope, idempotent }) => scope === "cluster" && !idempotent),
        list(({ scope }) => scope === "node"),
        words(exported.flatMap((value) => ("scope" in value ? [] : [value.name])).toSorted()),
      ];
    }),
  );
  return [["Service", "Any node may call, and call again", "Any node may call, once", "Its own process may call", "It tells"], ...rows];
}

const words = (names: readonly string[]) => names.map(code).join(" ");

/** The actions of a contract, or the event that an export is; nothing for any other export. */
function namedIn(value: unknown): { name: string }[] {
  if (isNamed(value)) return [value];
  return Object.values(value ?? {}).filter((item): item is Action => isNamed(item) && "scope" in item);
}

function isNamed(value: unknown): value is { name: string } {
  return typeof value === "object" && value !== null && "name" in value && typeof value.name === "string";
}
