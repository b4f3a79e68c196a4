/** The files of the repository, and what they say: read once, by parser where it matters. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseSync, Visitor } from "oxc-parser";

export const root = join(import.meta.dirname, "../..");

/** Everything that is committed or would be: paths from the root. A checkout may belong to another user than the one who tests it. */
export const files: readonly string[] = execFileSync(
  "git",
  ["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
  { cwd: root, encoding: "utf8" },
)
  .split("\0")
  .filter((path) => path !== "" && existsSync(join(root, path)));

/** Code of ours: not what a generator wrote. */
export const sources = files.filter((path) => /\.[cm]?[jt]sx?$/.test(path) && !/^(?:proto|web\/src)\/gen\//.test(path));

export const textOf = (path: string): string => readFileSync(join(root, path), "utf8");

export interface Import {
  readonly from: string;
  /** "./path/from/the/root.ts", the name of a package, "node:x", or "computed" where a program makes the name. */
  readonly to: string;
  /** Whether it is gone at run time. */
  readonly typesOnly: boolean;
}

/** Every module that a file names: imports, re-exports, dynamic imports, import types and calls of `require`. */
export function importsOf(from: string): Import[] {
  const { program, module } = parseSync(from, textOf(from));
  const found: { name: string; typesOnly: boolean }[] = [
    ...module.staticImports.map(({ moduleRequest, entries }) => ({
      name: moduleRequest.value,
      typesOnly: entries.length > 0 && entries.every(({ isType }) => isType),
    })),
    ...module.staticExports.flatMap(({ entries }) =>
      entries.flatMap(({ moduleRequest, isType }) => (moduleRequest ? [{ name: moduleRequest.value, typesOnly: isType }] : [])),
    ),
  ];
  new Visitor({
    ImportExpression: ({ source }) => void found.push({ name: literal(source), typesOnly: false }),
    TSImportType: ({ source }) => void found.push({ name: source.value, typesOnly: true }),
    CallExpression({ callee, arguments: [first] }) {
      if (callee.type === "Identifier" && callee.name === "require") found.push({ name: literal(first), typesOnly: false });
    },
  }).visit(program);
  return found.map(({ name, typesOnly }) => ({ from, to: name.startsWith(".") ? `./${join(dirname(from), name)}` : name, typesOnly }));
}

function literal(node: { type: string; value?: unknown } | undefined): string {
  return node?.type === "Literal" ? String(node.value) : "computed";
}

/** Every identifier that a file writes, with its line. */
export function identifiersOf(path: string): { name: string; line: number }[] {
  const text = textOf(path);
  const { program } = parseSync(path, text);
  const found: { name: string; line: number }[] = [];
  const keep = ({ name, start }: { name: string; start: number }) =>
    void found.push({ name, line: text.slice(0, start).split("\n").length });
  new Visitor({ Identifier: keep, PrivateIdentifier: keep }).visit(program);
  return found;
}

/** Every string that a file writes as it is. */
export function stringsOf(path: string): string[] {
  const found: string[] = [];
  const { program } = parseSync(path, textOf(path));
  new Visitor({ Literal: ({ value }) => void (typeof value === "string" && found.push(value)) }).visit(program);
  return found;
}
