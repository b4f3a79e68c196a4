import { join } from "node:path";
import { neighbours } from "../support/neighbours.ts";
import { files, textOf } from "./sources.ts";
import { between, rendered, tables } from "./tables.ts";

const documents = files.filter((path) => path === "README.md" || /^docs\/.*\.md$/.test(path));

/** A formatter aligns tables: that is no difference. */
const plain = (markdown: string | undefined) => markdown?.replaceAll(/ +/g, " ").replaceAll(/-{3,}/g, "---").trim();

it("shows settings, errors, actions and the disk protocol as the code has them; if not, run `npm run docs`", async () => {
  for (const table of await tables()) {
    expect(table.rows.length).toBeGreaterThan(5);
    expect({ [table.file]: plain(between(textOf(table.file), table.name)) }).toEqual({ [table.file]: plain(rendered(table)) });
  }
});

it("names only paths that exist", () => {
  const missing = documents.flatMap((document) =>
    pathsIn(textOf(document)).flatMap((path) => (exists(path) ? [] : [`${document}: ${path}`])),
  );
  expect(documents.length).toBeGreaterThan(5);
  expect(missing).toEqual([]);
});

it("links only to documents that exist", () => {
  const broken = documents.flatMap((document) =>
    [...textOf(document).matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)]
      .map(([, target = ""]) => join(document, "..", target))
      .flatMap((target) => (exists(target) ? [] : [`${document}: ${target}`])),
  );
  expect(broken).toEqual([]);
});

it("names only scripts that package.json has", () => {
  const { scripts } = JSON.parse(textOf("package.json")) as { scripts: Record<string, string> };
  const named = documents.flatMap((document) => [...textOf(document).matchAll(/\bnpm run ([\w:-]+)/g)].map(([, name = ""]) => name));
  expect(named).toContain("check");
  expect([...new Set(named)].filter((name) => !(name in scripts))).toEqual([]);
});

it.each([
  ["README.md", 9],
  ["docs/security.md", 50],
])("promises in %s only what a test proves, by the name that the test has now", (document, least) => {
  const claims = [...textOf(document).matchAll(/`(test\/[\w./-]+\.test\.ts)`: "([^"]+)"/g)];
  expect(claims.length).toBeGreaterThan(least);
  expect(claims.filter(([, path = "", title = ""]) => !textOf(path).includes(`"${title}"`)).map(([claim]) => claim)).toEqual([]);
});

it("tells of each line of the security checklist which tests stand for it, and how many cases they have", () => {
  const rows = [...textOf("docs/security.md").matchAll(/^\| ([\d, ]+?) +\|.*\|([^|]+)\|$/gm)];
  const lines = rows.flatMap(([, numbers = ""]) => numbers.split(", ").map(Number));
  const elsewhere = [13, 16];
  expect([...new Set([...lines, ...elsewhere])].toSorted((a, b) => a - b)).toEqual(Array.from({ length: 25 }, (_, index) => index + 1));
  expect(rows.filter(([row, , count = ""]) => !/`test\/[^`]+`: "/.test(row) || count.trim() === "")).toEqual([]);
});

describe("decision records", () => {
  const records = documents.filter((path) => path.startsWith("docs/decisions/"));

  it("are all told of in the README, in their order", () => {
    const told = [...textOf("README.md").matchAll(/\(docs\/decisions\/(\d{4}-[\w-]+\.md)\)/g)].map(([, file]) => file);
    expect(told).toEqual(records.map((path) => path.slice("docs/decisions/".length)).toSorted());
  });

  it("have numbers of their own", () => {
    const numbers = records.map((path) => Number(/\/(\d{4})-[a-z0-9-]+\.md$/.exec(path)?.[1]));
    expect(numbers.filter((number, index) => !(number > 0) || numbers.indexOf(number) !== index)).toEqual([]);
  });

  it.each(records)("%s says what was decided, why, what it costs, and what would change our mind", (path) => {
    const text = textOf(path);
    expect(text).toMatch(new RegExp(`^# ${/\d{4}/.exec(path)?.[0]}\\. `));
    expect([...text.matchAll(/^## (.+)$/gm)].map(([, title]) => title)).toEqual([
      "Context",
      "Decision",
      "Consequences",
      "What would change our mind",
    ]);
  });
});

it("installs in .ci/run every neighbour that a test may ask for", () => {
  const packages = Object.values(neighbours).map(({ install }) => install.split(" ").at(-1));
  expect(packages.filter((name) => !textOf(".ci/run").includes(` ${name}`))).toEqual([]);
});

/** Whether a file, a folder or what a glob stands for is in the repository: from its root, or as the end of the path of a file. */
function exists(path: string): boolean {
  const pattern = path
    .replace(/\/$/, "")
    .replaceAll(/[.+^$()|[\]\\]/g, "\\$&")
    .replaceAll("{", "(?:")
    .replaceAll("}", ")")
    .replaceAll(",", "|")
    .replaceAll(/\*\*?/g, (stars) => (stars === "*" ? "[^/]*" : ".*"));
  const wanted = new RegExp(isRooted(path) ? `^(?:${pattern})(?:/|$)` : `(?:^|/)${pattern}$`);
  return files.some((file) => wanted.test(file));
}

/** What a document sets in code and looks like a path of this repository. Globs and `{a,b}` are paths, too. */
function pathsIn(markdown: string): string[] {
  const code = [...markdown.matchAll(/`([^`\n]+)`/g)].map(([, text = ""]) => text);
  return code
    .filter((text) => isRooted(text) || /^[\w.*{},/-]+\.(?:md|jsonc?|[jt]s|proto|ya?ml)$/.test(text))
    .filter((path) => !path.startsWith("web/dist"));
}

function isRooted(path: string): boolean {
  return /^(?:\.ci|bench|config|deploy|docs|mixins|proto|services|test|web)\/[\w./*{},-]*$/.test(path);
}
