/** Copies that disks should have and have not. A row is all there is of one, so those of a disk that is away for days cost nothing. */
import { execute, rows, type Database, type Tx } from "../../../mixins/database/sql.ts";
import type { Backlog, SizedChunk } from "../contract.ts";
import { bytesOf } from "./names.ts";

export interface MissingCopy {
  readonly chunk: string;
  readonly disk: string;
}

/** As long as whoever took a copy may take to bring it. When that one is killed, somebody else has it after this. */
const HELD_S = 120;
/** Attempt n+1 waits a random time below 2ⁿ s: random, so that what failed together does not come back together. */
const BACKOFF_MAX_S = 3600;

/** One row for each copy, however often and by whomever it is missed. */
export async function noteMissing(on: Database | Tx, missing: readonly MissingCopy[]): Promise<void> {
  if (missing.length === 0) return;
  await execute(
    on,
    `insert into missing_copies (disk_id, sha256, size)
     select distinct disk, chunks.sha256, chunks.size from unnest($1::uuid[], $2::bytea[]) as told (disk, sha256) join chunks using (sha256)
     order by 1, 2 on conflict do nothing`,
    [missing.map(({ disk }) => disk), missing.map(({ chunk }) => bytesOf(chunk))],
  );
}

/** One look at the index a disk, however many copies it lacks. */
export async function disksDue(db: Database): Promise<readonly string[]> {
  const due = await rows<{ id: string }>(
    db,
    "select id from disks where exists (select from missing_copies where disk_id = disks.id and run_at <= now())",
  );
  return due.map(({ id }) => id);
}

export async function takeDue(db: Database, disk: string, limit: number): Promise<readonly SizedChunk[]> {
  return await rows<SizedChunk>(
    db,
    `with due as materialized (
       select sha256 from missing_copies where disk_id = $1 and run_at <= now() order by run_at limit $2 for update skip locked)
     update missing_copies set attempts = attempts + 1, run_at = now() + ${HELD_S} * interval '1 s'
     from due where disk_id = $1 and missing_copies.sha256 = due.sha256
     returning encode(missing_copies.sha256, 'hex') as chunk, size`,
    [disk, limit],
  );
}

export async function forgetCopies(db: Database, disk: string, chunks: readonly string[]): Promise<void> {
  await execute(db, "delete from missing_copies where disk_id = $1 and sha256 = any($2::bytea[])", [disk, chunks.map(bytesOf)]);
}

export async function postponeCopies(db: Database, disk: string, chunks: readonly string[]): Promise<void> {
  await execute(
    db,
    `update missing_copies set run_at = now() + random() * least(${BACKOFF_MAX_S}, power(2, least(attempts, 30))) * interval '1 s'
     where disk_id = $1 and sha256 = any($2::bytea[])`,
    [disk, chunks.map(bytesOf)],
  );
}

export async function backlog(db: Database): Promise<readonly Backlog[]> {
  const found = await rows<{ disk: string; copies: string; bytes: string; oldest: Date }>(
    db,
    "select disk_id as disk, count(*) as copies, sum(size) as bytes, min(noted_at) as oldest from missing_copies group by disk_id order by disk_id",
  );
  return found.map(({ disk, copies, bytes, oldest }) => ({
    disk,
    copies: Number(copies),
    bytes: Number(bytes),
    oldest: oldest.toISOString(),
  }));
}
