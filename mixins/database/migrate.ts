/** Brings the schema up to this code. Any number of processes may do it at once: one works, the others wait. */
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";
import { Umzug } from "umzug";
import { failure, messageOf } from "../../services/kernel/errors.ts";
import type { Config } from "../../config/index.ts";
import { migrations, type Migration } from "./migrations/index.ts";
import { admit } from "./rights.ts";

/** "tr", "tb": the advisory lock that whoever changes the schema holds. */
const LOCK = [0x7472, 0x7462];
/** An ALTER that waits for a reader makes every later reader wait behind it. */
const LOCK_TIMEOUT = "5s";
/** For a database that is starting, or another process that is migrating. */
const WAIT_MS = 60_000;
const POLL_MS = 200;

interface Options {
  /** "down" takes migrations back: for tests. */
  readonly direction?: "up" | "down";
  /** The last migration that is made, or taken back; else all are. For tests of a single one. */
  readonly to?: string;
  readonly waitMs?: number;
  /** Those of an older code, before its rows are restored. INVALID_REQUEST for one that this code does not know. */
  readonly only?: readonly string[];
  /** postgres://… of the role that services use: it is given its rights (rights.ts). */
  readonly service?: string | undefined;
}

/** Brings the schema up as its owner, and lets the role of the services use it; where there is but one role, as that one. Answers what was made. */
export async function prepare(config: Pick<Config, "DATABASE_URL" | "DATABASE_OWNER_URL">): Promise<readonly string[]> {
  const { DATABASE_URL: service, DATABASE_OWNER_URL: owner = service } = config;
  if (service === undefined || owner === undefined)
    throw failure("INVALID_REQUEST", "DATABASE_URL is not set; `npm start` brings a database of its own.");
  return await migrate(owner, { service });
}

/**
 * The names of the migrations that were made: none by a role that may make none, which waits until the owner has made them. DATABASE_UNAVAILABLE
 * after `waitMs`.
 */
export async function migrate(
  url: string,
  { direction = "up", to, only, service, waitMs = WAIT_MS }: Options = {},
): Promise<readonly string[]> {
  const deadline = Date.now() + waitMs;
  const client = await connect(url, deadline);
  try {
    await refuseOtherEncodings(client);
    if (!(await mayMakeTables(client))) return await untilMade(client, deadline);
    await takeLock(client, deadline);
    await client.query(`set lock_timeout = '${LOCK_TIMEOUT}'; set statement_timeout = 0`);
    await client.query(
      "create table if not exists schema_migrations (name text primary key, checksum text not null, applied_at timestamptz not null default now())",
    );
    await refuseChangedOnes(client);
    const umzug = runner(client);
    const newer = only?.filter((name) => !migrations.some((known) => known.name === name)) ?? [];
    if (newer.length > 0) throw failure("INVALID_REQUEST", `This code is older than the backup: it does not know ${newer.join(", ")}.`);
    const which = only ? { migrations: [...only] } : to === undefined ? {} : { to };
    const done = direction === "up" ? await umzug.up(which) : await umzug.down({ to: to ?? 0 });
    if (service !== undefined && service !== url) await admit(client, service);
    return done.map((migration) => migration.name);
  } finally {
    // The lock belongs to the session, and ends with it, also when this process is killed.
    await client.end();
  }
}

async function connect(url: string, deadline: number): Promise<Client> {
  for (;;) {
    const client = new Client({ connectionString: url, application_name: "tritontube-migrate", connectionTimeoutMillis: 3000 });
    // Without a listener a lost connection ends the process; the statement that runs fails anyway.
    client.on("error", () => {});
    try {
      await client.connect();
      return client;
    } catch (error) {
      await client.end().catch(() => {});
      if (Date.now() > deadline) throw unavailable(client, messageOf(error) || String((error as NodeJS.ErrnoException).code), error);
      await sleep(POLL_MS);
    }
  }
}

function unavailable({ database = "", host, port }: Client, problem: string, cause?: unknown): Error {
  return failure("DATABASE_UNAVAILABLE", `The database ${database} at ${host}:${port} cannot be used: ${problem}`, { cause });
}

/** Titles are of any language, and are found without their accents: PostgreSQL can do that in UTF8 only, and says so at the first title. */
async function refuseOtherEncodings(client: Client): Promise<void> {
  const { rows } = await client.query<{ encoding: string }>("select getdatabaseencoding() as encoding");
  const encoding = rows[0]?.encoding;
  if (encoding === "UTF8") return;
  const remedy = `create database ${client.database} template template0 encoding 'UTF8'`;
  throw failure("INVALID_REQUEST", `The database ${client.database} has the encoding ${encoding}, and needs UTF8. Make it anew: ${remedy}`);
}

/**
 * Asked for again and again, never waited for: a waiting `select pg_advisory_lock()` holds a snapshot, and CREATE INDEX CONCURRENTLY of the
 * one that works waits for that snapshot. Of five nodes, four died of the deadlock.
 */
async function takeLock(client: Client, deadline: number): Promise<void> {
  for (;;) {
    const { rows } = await client.query<{ taken: boolean }>("select pg_try_advisory_lock($1, $2) as taken", LOCK);
    if (rows[0]?.taken) return;
    if (Date.now() > deadline) throw unavailable(client, "another process has been changing its schema for too long");
    await sleep(POLL_MS + Math.random() * POLL_MS);
  }
}

async function mayMakeTables(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ may: boolean }>("select has_schema_privilege('public', 'create') as may");
  return rows[0]?.may === true;
}

/** For the role of the services, where the owner's password is not known to them. */
async function untilMade(client: Client, deadline: number): Promise<readonly string[]> {
  for (;;) {
    const { rows } = await client.query<{ there: boolean }>(
      "select has_table_privilege(to_regclass('public.schema_migrations'), 'select') is true as there",
    );
    const applied = rows[0]?.there ? await appliedNames(client) : [];
    if (migrations.every(({ name }) => applied.includes(name))) break;
    if (Date.now() > deadline) {
      const { user = "" } = client;
      throw unavailable(
        client,
        `its schema is older than this code, and ${user} may not change it: run \`npm run db:migrate\` as its owner`,
      );
    }
    await sleep(POLL_MS);
  }
  await refuseChangedOnes(client);
  return [];
}

/** A migration that was edited after it ran somewhere makes databases differ without anybody noticing. */
async function refuseChangedOnes(client: Client): Promise<void> {
  const applied = await client.query<{ name: string; checksum: string }>("select name, checksum from schema_migrations");
  const changed = applied.rows.find((row) => migrations.some(({ name, ...is }) => name === row.name && checksum(is) !== row.checksum));
  if (changed)
    throw failure("INTERNAL", `The migration ${changed.name} is not the one that this database was made with: add a new one instead.`);
}

function checksum({ up, down }: Pick<Migration, "up" | "down">): string {
  return createHash("sha256").update(up).update("\n").update(down).digest("hex");
}

/** Names in the database that this code does not know are those of newer code: in a rolling update the older goes on. */
function runner(client: Client): Umzug {
  return new Umzug({
    migrations: migrations.map((migration) => ({
      name: migration.name,
      up: async () =>
        await together(client, migration.up, "insert into schema_migrations (name, checksum) values ($1, $2)", [
          migration.name,
          checksum(migration),
        ]),
      down: async () => await together(client, migration.down, "delete from schema_migrations where name = $1", [migration.name]),
    })),
    storage: { executed: async () => await appliedNames(client), logMigration: async () => {}, unlogMigration: async () => {} },
    logger: undefined,
  });
}

async function appliedNames(client: Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>("select name from schema_migrations order by name");
  return rows.map((row) => row.name);
}

/** The change and its record are there together, or neither. */
async function together(client: Client, change: string, record: string, values: readonly string[]): Promise<void> {
  await client.query("begin");
  try {
    await client.query(change);
    await client.query(record, [...values]);
    await client.query("commit");
  } catch (error) {
    await client.query("rollback");
    throw error;
  }
}
