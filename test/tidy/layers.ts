/**
 * Who may import whom. Services meet only through contracts; dependencies point at the domain; the domain points at nothing; a disk knows no
 * broker; only config knows the environment. The first layer that owns a path decides. "same" and "other" compare services; a kind
 * with "(types)" behind it may be named only where nothing of it is left at run time. In mixins/, a file X.mixin.ts or one at the top knows the
 * broker; a folder's other files are adapters that services share: mixins/database/, mixins/disks/.
 */
import type { Import } from "./sources.ts";

interface Layer {
  readonly name: string;
  readonly owns: RegExp;
  readonly mayImport: readonly string[] | "anything";
}

const node = ["node:pure", "node:io"];
const ownCode = ["domain:same", "code:same", "contract:same"];
const broker = ["moleculer", "rpc", "kernel", "trace", "mixins", "shared adapter", "config", "contract:other", "zod", "package", ...node];

export const layers: readonly Layer[] = [
  { name: "rpc", owns: /^services\/kernel\/rpc\.ts$/, mayImport: ["kernel", "zod", "moleculer (types)", "node:io (types)"] },
  { name: "trace", owns: /^services\/kernel\/trace\.ts$/, mayImport: ["kernel", "package"] },
  { name: "kernel", owns: /^services\/kernel\//, mayImport: ["kernel", "zod", "node:pure"] },
  { name: "domain", owns: /^services\/([^/]+)\/domain\//, mayImport: ["domain:same", "kernel", "zod", "node:pure"] },
  {
    name: "contract",
    owns: /^services\/([^/]+)\/contract\.ts$/,
    mayImport: ["domain:same", "contract:other", "kernel", "rpc", "zod", "node:io (types)"],
  },
  {
    name: "disk",
    owns: /^services\/(disk)\//,
    mayImport: ["domain:same", "code:same", "kernel", "trace", "config", "proto", "zod", "package", ...node],
  },
  {
    name: "adapter",
    owns: /^services\/([^/]+)\/[^/]+\//,
    mayImport: [...ownCode, "kernel", "trace", "shared adapter", "proto", "zod", "package", ...node],
  },
  { name: "service", owns: /^services\/([^/]+)\//, mayImport: [...ownCode, ...broker] },
  { name: "mixin", owns: /^mixins\//, mayImport: ["proto", ...broker] },
  { name: "tracing", owns: /^config\/tracing\.ts$/, mayImport: ["config", "package"] },
  { name: "reports", owns: /^config\/(?:sentry|report)\.ts$/, mayImport: ["config", "kernel", "trace", "package", ...node] },
  { name: "config", owns: /^config\//, mayImport: ["config", "zod", ...node] },
  {
    name: "broker",
    owns: /^moleculer\.config\.ts$/,
    mayImport: ["kernel", "config", "mixins", "shared adapter", "moleculer", "package", ...node],
  },
  {
    name: "launcher",
    owns: /^deploy\/local\//,
    mayImport: ["launcher", "operator", "kernel", "config", "mixins", "shared adapter", "broker", "moleculer", "zod", "package", ...node],
  },
  {
    name: "operator",
    owns: /^deploy\/operator\//,
    mayImport: ["operator", "kernel", "rpc", "contract:other", "config", "broker", "moleculer", ...node],
  },
  { name: "build", owns: /^(?:jest\.config\.js|web\/vite\.config\.ts)$/, mayImport: ["package", ...node] },
  // What a reader copies: it knows the API and nothing else of ours.
  { name: "example of a page", owns: /^docs\/uppy\.ts$/, mayImport: ["package"] },
  { name: "example client", owns: /^docs\/client\.ts$/, mayImport: ["example client", "web (types)"] },
  { name: "example", owns: /^docs\//, mayImport: ["example client", ...node] },
  { name: "web", owns: /^web\//, mayImport: ["web", "package"] },
  { name: "proto", owns: /^proto\//, mayImport: ["proto", "package", "node:io"] },
  { name: "proof", owns: /^(?:test|bench)\//, mayImport: "anything" },
];

/** Modules of Node that neither read nor write anything outside of the process. */
const pureNode = new Set(["node:assert", "node:assert/strict", "node:crypto", "node:path", "node:path/posix", "node:util"]);

/** A sentence when the import breaks the rule, nothing when it keeps it. */
export function violation({ from, to, typesOnly }: Import): string | undefined {
  const layer = layers.find(({ owns }) => owns.test(from));
  if (!layer) return `${from}: no layer owns it`;
  const kind = kindOf(to, layer.owns.exec(from)?.[1]);
  const allowed =
    layer.mayImport === "anything" || layer.mayImport.includes(kind) || (typesOnly && layer.mayImport.includes(`${kind} (types)`));
  return allowed ? undefined : `${from}: ${layer.name} must not import ${kind} (${to})`;
}

function kindOf(to: string, service: string | undefined): string {
  if (!to.startsWith("./")) return packageKind(to);
  const [top = "", owner = "", next = ""] = to.slice(2).split("/");
  if (top !== "services") return topKind(top, owner, next);
  if (owner === "kernel") return { "rpc.ts": "rpc", "trace.ts": "trace" }[next] ?? "kernel";
  const part = next === "domain" ? "domain" : next === "contract.ts" ? "contract" : next.endsWith(".service.ts") ? "service" : "code";
  return `${part}:${owner === service ? "same" : "other"}`;
}

function packageKind(name: string): string {
  if (name === "computed") return "computed name";
  if (name.startsWith("node:")) return pureNode.has(name) ? "node:pure" : "node:io";
  if (name === "zod") return "zod";
  return /^@?moleculer(?:[-/]|$)/.test(name) ? "moleculer" : "package";
}

function topKind(top: string, next: string, file: string): string {
  if (top === "moleculer.config.ts") return "broker";
  if (top === "deploy") return { local: "launcher", operator: "operator" }[next] ?? "deploy";
  if (top === "mixins") return file === "" || file.endsWith(".mixin.ts") ? "mixins" : "shared adapter";
  if (top === "docs") return next === "client.ts" ? "example client" : "docs";
  return ["config", "proto", "web", "test", "bench"].includes(top) ? top : "file at the root";
}
