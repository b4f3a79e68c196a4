/** `npm run docs`: writes the tables of tables.ts into their documents. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { root, textOf } from "./sources.ts";
import { tables, withTable } from "./tables.ts";

for (const table of await tables()) writeFileSync(join(root, table.file), withTable(textOf(table.file), table));
