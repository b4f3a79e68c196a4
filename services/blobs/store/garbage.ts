/**
 * What nobody needs goes in steps, each a transaction, with the time of grace before each: a blob that no row names; a chunk that no blob
 * contains, which is marked as leaving first, and then nobody can lease it; its row when the disks have deleted it. Stopped anywhere, it goes on there.
 */
import { execute, rows, transaction, type Database, type Tx } from "../../../mixins/database/sql.ts";
import type { Collected, SizedChunk } from "../contract.ts";
import { distinctChunks } from "../domain/manifest.ts";
import { bytesOf } from "./names.ts";

/** Blobs that one transaction looks at, and the chunks of those that it deletes, unless the first alone has more: it holds locks on all of them. */
const BLOBS_MAX = 500;
const CHUNKS_MAX = 10_000;
/** Chunks that are marked in one statement. */
const MARKED_MAX = 5000;

export async function collect(db: Database, graceSeconds: number): Promise<Collected> {
  const blobs = await transaction(db, async (tx) => await releaseBlobs(tx, graceSeconds));
  const chunks = await markChunks(db, graceSeconds);
  return { blobs: blobs.released, chunks, more: blobs.looked > 0 || chunks === MARKED_MAX };
}

async function releaseBlobs(tx: Tx, graceSeconds: number): Promise<{ looked: number; released: number }> {
  const candidates = await rows<{ id: Buffer; chunks: number }>(
    tx,
    `select id, length(chunks) / 32 as chunks from blobs where touched_at < now() - $1::integer * interval '1 s' order by touched_at limit ${BLOBS_MAX}`,
    [graceSeconds],
  );
  let chunks = 0;
  const chosen = candidates.filter((blob, index) => (chunks += blob.chunks) <= CHUNKS_MAX || index === 0);
  if (chosen.length === 0) return { looked: 0, released: 0 };
  // Whoever is about to name one of them holds its row, and it is left alone; whoever comes later waits for the end of this transaction.
  const locked = await rows<{ id: Buffer }>(
    tx,
    `select id from blobs where id = any($1::bytea[]) and touched_at < now() - $2::integer * interval '1 s' order by id for update skip locked`,
    [chosen.map(({ id }) => id), graceSeconds],
  );
  const ids = locked.map(({ id }) => id);
  const named = await namedCondition(tx);
  await execute(tx, `update blobs set touched_at = null where id = any($1::bytea[]) and (${named})`, [ids]);
  const gone = await rows<{ chunks: Buffer }>(
    tx,
    "delete from blobs where id = any($1::bytea[]) and touched_at is not null returning chunks",
    [ids],
  );
  await releaseChunks(
    tx,
    gone.flatMap((blob) => distinctChunks(blob.chunks)),
  );
  return { looked: ids.length, released: gone.length };
}

/** "A row names this blob", for every foreign key to blobs that the schema has: a table that is added is asked without anybody thinking of it. */
async function namedCondition(tx: Tx): Promise<string> {
  const keys = await rows<{ at: string; named: string }>(
    tx,
    `select conrelid::regclass::text as at, quote_ident(attname) as named
     from pg_constraint join pg_attribute on attrelid = conrelid and attnum = conkey[1]
     where contype = 'f' and confrelid = 'blobs'::regclass`,
  );
  return keys.map(({ at, named }) => `exists (select from ${at} where ${at}.${named} = blobs.id)`).join(" or ");
}

async function releaseChunks(tx: Tx, contained: readonly Buffer[]): Promise<void> {
  await execute(
    tx,
    `with gone as (select sha256, count(*)::integer as refs from unnest($1::bytea[]) as sha256 group by 1),
     present as materialized (select sha256 from chunks where sha256 in (select sha256 from gone) order by sha256 for no key update)
     update chunks set refs = chunks.refs - gone.refs, touched_at = now() from gone join present using (sha256) where chunks.sha256 = gone.sha256`,
    [contained],
  );
}

async function markChunks(db: Database, graceSeconds: number): Promise<number> {
  return await execute(
    db,
    `with unneeded as materialized (
       select sha256 from chunks where refs = 0 and state = 'live' and touched_at < now() - $1::integer * interval '1 s'
       order by touched_at limit ${MARKED_MAX} for update skip locked)
     update chunks set state = 'leaving' from unneeded where chunks.sha256 = unneeded.sha256`,
    [graceSeconds],
  );
}

export async function leavingChunks(db: Database, after: string, limit: number): Promise<readonly SizedChunk[]> {
  return await rows<SizedChunk>(
    db,
    "select encode(sha256, 'hex') as chunk, size from chunks where state = 'leaving' and sha256 > $1 order by sha256 limit $2",
    [bytesOf(after), limit],
  );
}

export async function leavingOf(db: Database, names: readonly string[]): Promise<readonly string[]> {
  const found = await rows<{ chunk: string }>(
    db,
    "select encode(sha256, 'hex') as chunk from chunks where sha256 = any($1::bytea[]) and state = 'leaving'",
    [names.map(bytesOf)],
  );
  return found.map(({ chunk }) => chunk);
}

export async function forgetChunks(db: Database, names: readonly string[]): Promise<void> {
  await execute(db, "delete from chunks where sha256 = any($1::bytea[]) and state = 'leaving'", [names.map(bytesOf)]);
}
