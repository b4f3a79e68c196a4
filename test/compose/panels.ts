/** What the dashboards and the alerts ask is asked of the real Prometheus of the cluster. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { eventually } from "../support/eventually.ts";
import { type Compose, ROOT } from "./docker.ts";

interface Dashboard {
  readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[];
}

interface Answer {
  readonly status: string;
  readonly error?: string;
  readonly data?: { readonly result: readonly unknown[] };
}

interface Rules {
  readonly data: {
    readonly groups: readonly { readonly rules: readonly { readonly name: string; readonly health: string; readonly state: string }[] }[];
  };
}

/** Of these there is nothing to show as long as all is well. */
const EMPTY_IN_PEACE = ["Copies that are missing", "Calls that fail, a second", "Everything was verified within"];
/** Discovery of a new target, and two scrapes for a rate. */
const FIRST_MS = 120_000;

/** Throws for a question that Prometheus refuses, or that it has no figures for. */
export async function askPanels(compose: Compose, say: (line: string) => void): Promise<void> {
  const at = `http://${await compose.published("prometheus", 9090)}`;
  const panels = await allPanels();
  const empty: string[] = [];
  for (const { title, expr } of panels) {
    if (EMPTY_IN_PEACE.includes(title)) empty.push(...((await hasFigures(at, title, expr)) ? [] : [title]));
    else await eventually(async () => await hasFigures(at, title, expr), { timeoutMs: FIRST_MS, what: `figures for "${title}" (${expr})` });
  }
  const rules = await eventually(async () => await evaluated(at), { timeoutMs: FIRST_MS, what: "every alert is evaluated" });
  const firing = rules.filter(({ state }) => state === "firing").map(({ name }) => name);
  say(`${panels.length - empty.length} of ${panels.length} panels have figures; empty, as they may be while all is well: ${listed(empty)}`);
  say(`${rules.length} alerts are evaluated; firing: ${listed(firing)}`);
}

function listed(names: readonly string[]): string {
  return names.length === 0 ? "none" : `${names.length} (${names.join(", ")})`;
}

async function allPanels(): Promise<readonly { title: string; expr: string }[]> {
  const folder = join(ROOT, "deploy/grafana/dashboards");
  const files = await Promise.all(
    (await readdir(folder)).map(async (name) => JSON.parse(await readFile(join(folder, name), "utf8")) as Dashboard),
  );
  return files.flatMap(({ panels }) => panels.flatMap(({ title, targets }) => targets.map(({ expr }) => ({ title, expr }))));
}

async function hasFigures(at: string, title: string, query: string): Promise<boolean> {
  const { status, error, data } = await asked<Answer>(`${at}/api/v1/query?${new URLSearchParams({ query }).toString()}`);
  if (status !== "success") throw new Error(`"${title}" cannot be asked: ${error}`);
  return (data?.result.length ?? 0) > 0;
}

async function evaluated(at: string): Promise<Rules["data"]["groups"][number]["rules"] | undefined> {
  const { data } = await asked<Rules>(`${at}/api/v1/rules`);
  const rules = data.groups.flatMap((group) => group.rules);
  return rules.length > 0 && rules.every(({ health }) => health === "ok") ? rules : undefined;
}

async function asked<T>(url: string): Promise<T> {
  return (await (await fetch(url)).json()) as T;
}
