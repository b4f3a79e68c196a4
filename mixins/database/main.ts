/** `npm run db:migrate`: brings the schema of DATABASE_URL up to this code, before or without any service. */
import { loadConfig } from "../../config/index.ts";
import { migrate } from "./migrate.ts";

const { DATABASE_URL } = loadConfig();
if (DATABASE_URL === undefined) throw new Error("DATABASE_URL is not set; `npm start` migrates its own database by itself.");
const made = await migrate(DATABASE_URL);
process.stdout.write(made.length === 0 ? "the schema is up to date\n" : `migrated: ${made.join(", ")}\n`);
