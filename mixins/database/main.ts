/** `npm run db:migrate`: brings the schema up to this code, before or without any service, as DATABASE_OWNER_URL, or else as DATABASE_URL. */
import { loadConfig } from "../../config/index.ts";
import { prepare } from "./migrate.ts";

const made = await prepare(loadConfig());
process.stdout.write(made.length === 0 ? "the schema is up to date\n" : `migrated: ${made.join(", ")}\n`);
