/** What the role of the services may do with each table (mixins/database/rights.ts) is what the code's statements do, read from their text. */
import { parseSync, Visitor } from "oxc-parser";
import { migrations } from "../../mixins/database/migrations/index.ts";
import { RIGHTS } from "../../mixins/database/rights.ts";
import { sources, textOf } from "./sources.ts";

/** Statements of the owner: they need no right. */
const OF_THE_OWNER = /^mixins\/database\/(?:migrations\/|migrate\.ts|rights\.ts|backup\.ts)/;

/** Each string and template of a file, without its comments; what a program fills in is left out. */
function textsIn(path: string): string[] {
  const found: string[] = [];
  new Visitor({
    Literal: ({ value }) => void (typeof value === "string" && found.push(value)),
    TemplateLiteral: ({ quasis }) => void found.push(quasis.map(({ value }) => value.cooked ?? "").join("…")),
  }).visit(parseSync(path, textOf(path)).program);
  return found;
}

/** "insert videos" and the like, for each thing that a statement does to a table. */
function writesIn(text: string): string[] {
  const named = (pattern: RegExp) => [...text.matchAll(pattern)].map(([, table = ""]) => table);
  return [
    ...named(/\binsert into (?:public\.)?([a-z_]+)/g).map((table) => `insert ${table}`),
    ...named(/\bdelete from (?:public\.)?([a-z_]+)/g).map((table) => `delete ${table}`),
    ...named(/\bupdate (?:public\.)?([a-z_]+)(?:\s+(?:as\s+)?[a-z]+)?\s+set\b/g).map((table) => `update ${table}`),
    ...named(/\binsert into (?:public\.)?([a-z_]+)(?:(?!\binsert into\b)[^])*?\bdo update\b/g).map((table) => `update ${table}`),
  ];
}

/** Triggers act with the right of whoever fires them. */
const bodies = migrations.flatMap(({ up }) => [...up.matchAll(/\$\$([^]*?)\$\$/g)].map(([, body = ""]) => body));
const ofServices = sources.filter((path) => /^(?:services|mixins)\//.test(path) && !OF_THE_OWNER.test(path)).flatMap(textsIn);

function tables(): string[] {
  const found = new Set(["schema_migrations"]);
  for (const { up } of migrations) {
    for (const [, table = ""] of up.matchAll(/\bcreate (?:unlogged )?table ([a-z_]+)/g)) found.add(table);
    for (const [, table = ""] of up.matchAll(/\bdrop table ([a-z_]+)/g)) found.delete(table);
  }
  return [...found].toSorted();
}

it("gives the services the rights that their statements need, on every table, and no other", () => {
  const needed = [...new Set([...ofServices, ...bodies].flatMap(writesIn))]
    .filter((write) => tables().includes(write.split(" ")[1] ?? ""))
    .toSorted();
  const given = Object.entries(RIGHTS).flatMap(([table, rights]) => rights.map((right) => `${right} ${table}`));
  expect(needed.length).toBeGreaterThan(40);
  expect(given.toSorted()).toEqual(needed);
  expect(Object.keys(RIGHTS)).toEqual(tables());
});

it("lets no program build a statement that truncates, or changes the schema", () => {
  expect(
    ofServices.filter((text) => /\b(?:truncate|(?:alter|drop|create) (?:unlogged )?(?:table|role|function|index|extension))\b/i.test(text)),
  ).toEqual([]);
});
