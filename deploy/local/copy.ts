/** `npm run db:backup -- FILE` and `npm run db:restore -- FILE`: of DATABASE_URL, or of the embedded database, whether it runs or not. */
import { resolve } from "node:path";
import { loadConfig } from "../../config/index.ts";
import { backup, restore } from "../../mixins/database/backup.ts";
import { startPostgres } from "./postgres.ts";

const [command, file] = process.argv.slice(2);
if ((command !== "backup" && command !== "restore") || file === undefined) throw new Error("Say which file: npm run db:backup -- FILE");
const { DATABASE_URL, DATABASE_OWNER_URL = DATABASE_URL, DATA_DIR } = loadConfig();
const embedded =
  DATABASE_OWNER_URL === undefined ? await startPostgres({ dataDir: resolve(DATA_DIR), log: (text) => console.error(text) }) : undefined;
const url = DATABASE_OWNER_URL ?? embedded?.url ?? "";
try {
  const sums = await (command === "backup" ? backup : restore)(url, resolve(file));
  for (const [table, { rows, sha256 }] of Object.entries(sums)) console.log(`${table}: ${rows} rows, sha256 ${sha256.slice(0, 16)}`);
} finally {
  await embedded?.stop();
}
