/**
 * Copies of the database as one file that needs no tools of PostgreSQL: the embedded one brings none. A backup is one moment of all tables, taken while
 * everything goes on; a restore is proved row by row before it counts.
 */
import { createHash, type Hash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createGzip } from "node:zlib";
import { Client } from "pg";
import { z } from "zod";
import { failure } from "../../services/kernel/errors.ts";
import { migrate } from "./migrate.ts";

/** Rows that are held at once, here and in the database: a row is a kilobyte, and one with the chunks of 50 GiB is 400. */
const ROWS_AT_ONCE = 500;

const sum = z.strictObject({ rows: z.int().nonnegative(), sha256: z.string() });
/** How many rows each table has, and the SHA-256 of all of them in the order of their keys. */
export type Sums = Readonly<Record<string, z.infer<typeof sum>>>;

const header = z.strictObject({ format: z.literal("tritontube-backup-1"), at: z.string(), migrations: z.array(z.string()).min(1) });
const tableLine = z.strictObject({ table: z.string().regex(/^[a-z_]+$/), columns: z.array(z.string().regex(/^[a-z0-9_]+$/)).min(1) });
const footer = z.strictObject({ sums: z.record(z.string(), sum) });

interface Table {
  readonly name: string;
  readonly columns: readonly string[];
  readonly key: readonly string[];
  /** What a crash may take: plays and counts of the hour are nobody's to keep for longer. */
  readonly passing: boolean;
}

/** Writes every row that is committed at this moment into the file, which is there when it is whole. */
export async function backup(url: string, file: string): Promise<Sums> {
  const client = await connect(url);
  const part = `${file}.part`;
  const sums: Record<string, z.infer<typeof sum>> = {};
  try {
    await client.query("begin transaction isolation level repeatable read, read only");
    await pipeline(Readable.from(linesOf(client, sums)), createGzip({ level: 1 }), createWriteStream(part, { mode: 0o600 }));
    const handle = await open(part);
    await handle.sync();
    await handle.close();
    await rename(part, file);
    return sums;
  } finally {
    await client.end();
    await rm(part, { force: true });
  }
}

async function* linesOf(client: Client, sums: Record<string, z.infer<typeof sum>>): AsyncGenerator<string> {
  const { rows } = await client.query<{ name: string }>("select name from schema_migrations order by name");
  const migrations = rows.map(({ name }) => name);
  yield `${JSON.stringify({ format: "tritontube-backup-1", at: new Date().toISOString(), migrations })}\n`;
  for (const table of await tablesOf(client)) {
    yield `${JSON.stringify({ table: table.name, columns: table.columns })}\n`;
    const hash = createHash("sha256");
    let count = 0;
    for await (const batch of table.passing ? [] : rowsOf(client, table)) {
      count += batch.length;
      yield hashed(hash, batch);
    }
    sums[table.name] = { rows: count, sha256: hash.digest("hex") };
  }
  yield `${JSON.stringify({ sums })}\n`;
}

function hashed(hash: Hash, batch: readonly string[]): string {
  const text = batch.map((row) => `${row}\n`).join("");
  hash.update(text);
  return text;
}

/** A table after those that it references. What the database computes by itself is left out. */
async function tablesOf(client: Client): Promise<Table[]> {
  const { rows } = await client.query<Table & { needs: string[] }>(
    `select c.relname as name, c.relpersistence = 'u' as passing,
       array(select attname::text from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped and attgenerated = '' order by attnum) as columns,
       array(select a.attname::text from pg_index i, unnest(i.indkey) with ordinality as k (attnum, at)
             join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
             where i.indrelid = c.oid and i.indisprimary order by k.at) as key,
       array(select distinct confrelid::regclass::text from pg_constraint where conrelid = c.oid and contype = 'f' and confrelid <> c.oid) as needs
     from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
       and c.relname <> 'schema_migrations' order by c.relname`,
  );
  const ordered: Table[] = [];
  while (ordered.length < rows.length) {
    const known = new Set(ordered.map(({ name }) => name));
    const ready = rows.filter(({ name, needs }) => !known.has(name) && needs.every((needed) => known.has(needed)));
    if (ready.length === 0) throw failure("INTERNAL", "The tables of this schema reference each other in a circle.");
    ordered.push(...ready);
  }
  return ordered;
}

/** Each row as JSON, in the order of the primary key. */
async function* rowsOf(client: Client, { name, columns, key }: Table): AsyncGenerator<readonly string[]> {
  await client.query(
    `declare reading no scroll cursor for select to_jsonb(r)::text as row from (select ${columns.map(quoted).join(", ")} from ${quoted(name)} order by ${key.map(quoted).join(", ")}) as r`,
  );
  for (;;) {
    const { rows } = await client.query<{ row: string }>(`fetch ${ROWS_AT_ONCE} from reading`);
    if (rows.length === 0) break;
    yield rows.map(({ row }) => row);
  }
  await client.query("close reading");
}

/**
 * Brings a backup into an empty database, in one transaction: the schema of its time, its rows, the proof that they are the same; then the migrations
 * since. INVALID_REQUEST for a database that is not empty, and for a file that is not whole.
 */
export async function restore(url: string, file: string): Promise<Sums> {
  const client = await connect(url);
  try {
    const { rows } = await client.query(
      "select 1 from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') limit 1",
    );
    if (rows.length > 0) throw failure("INVALID_REQUEST", "The database is not empty: make a new one, and restore into that.");
    const lines = createInterface({ input: createReadStream(file).pipe(createGunzip()), crlfDelay: Number.POSITIVE_INFINITY });
    const reader = lines[Symbol.asyncIterator]();
    const { migrations } = header.parse(JSON.parse((await reader.next()).value as string));
    await migrate(url, { only: migrations });
    await client.query("begin");
    const told = await load(client, reader);
    const found = await verify(client, told);
    await client.query("commit");
    await migrate(url);
    return found;
  } catch (error) {
    throw (error as { type?: unknown }).type === undefined
      ? failure("INVALID_REQUEST", "The backup cannot be read, or is not whole.", { cause: error })
      : error;
  } finally {
    await client.end();
  }
}

/** Answers what the last line says of the rows. */
async function load(client: Client, lines: AsyncIterator<string>): Promise<Sums> {
  const tables = await tablesOf(client);
  // What triggers made at that time is in the backup as well.
  for (const { name } of tables) await client.query(`alter table ${quoted(name)} disable trigger user`);
  let at: z.infer<typeof tableLine> | undefined;
  let batch: string[] = [];
  const flush = async (): Promise<void> => {
    if (at && batch.length > 0) await insert(client, at, batch);
    batch = [];
  };
  for (;;) {
    const { value: line, done } = await lines.next();
    if (done === true) throw failure("INVALID_REQUEST", "The backup ends before its last line.");
    const end = line.startsWith('{"sums"') ? footer.safeParse(JSON.parse(line)) : undefined;
    const next = line.startsWith('{"table"') ? tableLine.safeParse(JSON.parse(line)) : undefined;
    if (end?.success || next?.success || batch.length === ROWS_AT_ONCE) await flush();
    if (end?.success) {
      for (const { name } of tables) await client.query(`alter table ${quoted(name)} enable trigger user`);
      return end.data.sums;
    }
    if (next?.success) at = next.data;
    else batch.push(line);
  }
}

async function insert(client: Client, { table, columns }: z.infer<typeof tableLine>, batch: readonly string[]): Promise<void> {
  const names = columns.map(quoted).join(", ");
  await client.query(
    `insert into ${quoted(table)} (${names}) overriding system value select ${names} from jsonb_populate_recordset(null::${quoted(table)}, $1::jsonb)`,
    [`[${batch.join(",")}]`],
  );
}

/** Reads every row again, and compares. Numbers that the database counts go on behind the highest. */
async function verify(client: Client, told: Sums): Promise<Sums> {
  const found: Record<string, z.infer<typeof sum>> = {};
  for (const table of await tablesOf(client)) {
    const hash = createHash("sha256");
    let count = 0;
    for await (const batch of rowsOf(client, table)) {
      count += batch.length;
      hashed(hash, batch);
    }
    found[table.name] = { rows: count, sha256: hash.digest("hex") };
    await continueCounting(client, table.name);
  }
  const wrong = Object.keys({ ...told, ...found }).filter((name) => told[name]?.sha256 !== found[name]?.sha256);
  if (wrong.length > 0)
    throw failure("INVALID_REQUEST", `The backup is damaged: other rows came out of it than went into it, in ${wrong.join(", ")}.`);
  return found;
}

async function continueCounting(client: Client, table: string): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    "select attname as name from pg_attribute where attrelid = $1::regclass and attidentity <> ''",
    [table],
  );
  for (const { name } of rows) {
    await client.query(
      `select setval(pg_get_serial_sequence($1, $2), coalesce((select max(${quoted(name)}) from ${quoted(table)}), 0) + 1, false)`,
      [table, name],
    );
  }
}

async function connect(url: string): Promise<Client> {
  const client = new Client({ connectionString: url, application_name: "tritontube-backup" });
  client.on("error", () => {});
  await client.connect();
  await client.query("set timezone = 'UTC'; set statement_timeout = 0; set idle_in_transaction_session_timeout = 0");
  return client;
}

/** Names come from the catalogue of the database, or were checked letter by letter. */
function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
