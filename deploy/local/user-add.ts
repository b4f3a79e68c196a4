/**
 * `npm run user:add -- --name ann --role admin [--token]`: makes a user, also the first one. The password comes from standard input; without one it is made
 * here and printed once. With `--token` the last line is a token for programs, and nothing else.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { parseArgs } from "node:util";
import { ServiceBroker } from "moleculer";
import { loadConfig, type Config, type Environment } from "../../config/index.ts";
import { closeDatabase } from "../../mixins/database/connection.ts";
import brokerOptions from "../../moleculer.config.ts";
import { messageOf } from "../../services/kernel/errors.ts";
import { onlyPerson } from "../../services/kernel/principal.ts";
import { startPostgres } from "./postgres.ts";

const USAGE =
  "Usage: npm run user:add -- --name NAME --role viewer|uploader|admin [--token]   (the password on standard input, or none to have one made)";
/** Of the token: long enough to set things up; the API makes others. */
const TOKEN_DAYS = 30;
const say = (line: string): void => void process.stdout.write(`${line}\n`);

interface Wanted {
  readonly name: string;
  readonly role: string;
  /** Undefined: one is made. */
  readonly password: string | undefined;
  readonly token: boolean;
}

async function wanted(): Promise<Wanted> {
  const options = { name: { type: "string" }, role: { type: "string" }, token: { type: "boolean", default: false } } as const;
  const { name, role, token } = parseArgs({ options }).values;
  if (name === undefined || role === undefined) throw new Error(USAGE);
  // Not as an argument: those are in the shell's history and in the list of processes.
  const given = process.stdin.isTTY ? "" : (await text(process.stdin)).replace(/\r?\n$/, "");
  return { name, role, password: given === "" ? undefined : given, token };
}

/** Attaches to the embedded database of a server that runs; starts it for this moment where none does. */
async function withDatabase(config: Config, work: (database: Environment) => Promise<void>): Promise<void> {
  if (config.DATABASE_URL !== undefined) return await work({});
  const dataDir = resolve(config.DATA_DIR);
  // Whoever forgot to name the server's folder would look for the user there in vain.
  if (!existsSync(dataDir))
    process.stderr.write(`There was no installation in ${dataDir}: one is made. Start the server with the same DATA_DIR.\n`);
  const postgres = await startPostgres({ dataDir, log: () => {} });
  try {
    await work({ DATABASE_URL: postgres.serviceUrl, DATABASE_OWNER_URL: postgres.url });
  } finally {
    await postgres.stop();
  }
}

async function add({ name, role, password, token }: Wanted, config: Config): Promise<void> {
  const made = password ?? randomBytes(15).toString("base64url");
  const broker = new ServiceBroker(brokerOptions(config));
  broker.loadService(join(import.meta.dirname, "../../services/users/users.service.ts"));
  try {
    await broker.start();
    const user = await broker.call<{ id: string }, object>("users.create", {
      as: onlyPerson,
      id: randomUUID(),
      name,
      role,
      password: made,
    });
    say(`${name} may sign in as ${role}.${password === undefined ? ` The password, which is shown this once: ${made}` : ""}`);
    const wish = { as: { id: user.id, role }, name: "user:add", days: TOKEN_DAYS };
    if (token) say((await broker.call<{ secret: string }, object>("users.createToken", wish)).secret);
  } finally {
    await broker.stop();
    await closeDatabase();
  }
}

/** The services' own words name the fields that were refused. */
function sentence(error: unknown): string {
  const { fields = [] } = (error as { data?: { fields?: readonly { path: string; message: string }[] } }).data ?? {};
  return fields.length === 0 ? messageOf(error) : fields.map(({ path, message }) => `${path} ${message}`).join("; ");
}

try {
  const user = await wanted();
  await withDatabase(
    loadConfig({}, { LOG_LEVEL: "error" }),
    async (database) => await add(user, loadConfig({ ...database, NATS_URL: "" })),
  );
} catch (error) {
  process.stderr.write(`${sentence(error)}\n`);
  process.exitCode = 1;
}
