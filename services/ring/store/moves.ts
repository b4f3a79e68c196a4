/** The rows of partitions that a change of the ring touched: where their content is while it moves, and how far it is. */
import { lockRing } from "../../../mixins/database/ring-lock.ts";
import { execute, one, rows, transaction, type Bind, type Database, type Tx } from "../../../mixins/database/sql.ts";
import type { z } from "zod";
import type { MovingPartition, Moves, ring } from "../contract.ts";
import { idsOfPartition } from "../domain/placement.ts";
import type { Content, Move, Unfinished } from "../domain/plan.ts";
import { latestRing } from "./rings.ts";

/** Jobs that a change is cut into: enough for every node of a large cluster to take part, few enough to be looked at. */
const RANGES_MAX = 64;
/** Rows in one statement: some hundred kilobytes of parameters. */
const BATCH = 2048;

/** What is on the way, by partition. */
export async function unfinishedMoves(on: Database | Tx): Promise<readonly Unfinished[]> {
  return await rows<Unfinished>(
    on,
    "select partition, former, state = 'verified' as verified from partitions where finished_at is null order by partition",
  );
}

/** Whether a disk owns anything, or somebody may still have to read from it what moves. */
export async function isNeeded(on: Database | Tx, disk: string): Promise<boolean> {
  const needed = await one(
    on,
    `select 1 from (select disks from rings order by epoch desc limit 1) newest where $1::uuid = any(disks)
     union all select 1 from partitions where finished_at is null and $1::uuid = any(former) limit 1`,
    [disk],
  );
  return needed !== undefined;
}

/** What each partition holds. Reads every row of the chunks: give it time. */
export async function contentsOf(tx: Tx, partitionBits: number): Promise<ReadonlyMap<number, Content>> {
  const found = await rows<{ partition: number; chunks: string; bytes: string }>(
    tx,
    `select ((get_byte(sha256, 0) << 8) | get_byte(sha256, 1)) >> (16 - $1::integer) as partition, count(*) as chunks, sum(size) as bytes
     from chunks where state = 'live' group by 1`,
    [partitionBits],
  );
  return new Map(found.map(({ partition, chunks, bytes }) => [partition, { chunks: Number(chunks), bytes: Number(bytes) }]));
}

/** Replaces what is known of the moves: what has ended goes, and what is still on its way is in `moves` again. */
export async function insertMoves(tx: Tx, epoch: number, moves: readonly Move[]): Promise<void> {
  await execute(tx, "delete from partitions where finished_at is not null");
  for (let at = 0; at < moves.length; at += BATCH) {
    const batch = moves.slice(at, at + BATCH).map(({ partition, former, chunks, bytes }) => ({ partition, former, chunks, bytes }));
    await execute(
      tx,
      `insert into partitions (partition, epoch, former, chunks_total, bytes_total)
       select partition, $1, former, chunks, bytes
       from jsonb_to_recordset($2::jsonb) as given (partition integer, former uuid[], chunks bigint, bytes bigint)
       on conflict (partition) do update set epoch = excluded.epoch, state = 'planned', former = excluded.former,
         chunks_total = excluded.chunks_total, bytes_total = excluded.bytes_total, chunks_done = 0, chunks_lost = 0, bytes_done = 0, bytes_copied = 0,
         started_at = null`,
      [epoch, JSON.stringify(batch)],
    );
  }
}

/** A change as ranges of partitions, both ends inclusive, that do not overlap. */
export function rangesOf(partitions: readonly number[]): { first: number; last: number }[] {
  const length = Math.ceil(partitions.length / RANGES_MAX);
  const ranges: { first: number; last: number }[] = [];
  for (let at = 0; at < partitions.length; at += length) {
    ranges.push({ first: partitions[at]!, last: partitions[Math.min(at + length, partitions.length) - 1]! });
  }
  return ranges;
}

export async function movingPartitions(
  db: Database,
  { first, last }: { readonly first: number; readonly last: number },
): Promise<readonly MovingPartition[]> {
  const found = await rows<Omit<MovingPartition, "owners">>(
    db,
    `select partition, epoch, former, state = 'verified' as verified from partitions
     where finished_at is null and partition between $1 and $2 order by partition`,
    [first, last],
  );
  if (found.length === 0) return [];
  // Read after the rows: of a newer ring, so that nobody moves to where an older one wanted it.
  const table = (await latestRing(db))!;
  const disks = table.disks.map((id) => ({ id, zone: "", weight: 1 }));
  return found.map((moving) => ({ ...moving, owners: idsOfPartition({ ...table, disks }, moving.partition) }));
}

/** False when the partition moves to another ring by now, or has ended. A partition that was verified stays so. */
export async function noteMove(db: Database, move: z.output<typeof ring.moved.params>): Promise<boolean> {
  const bind: readonly Bind[] = [
    move.partition,
    move.epoch,
    move.state,
    move.chunksTotal ?? null,
    move.chunksDone ?? null,
    move.bytesTotal ?? null,
    move.bytesDone ?? null,
    move.bytesCopied ?? null,
    move.chunksLost ?? null,
  ];
  const noted = await execute(
    db,
    `update partitions set
       state = case when $3 = 'copying' then case state when 'verified' then state else 'copying' end else 'verified' end,
       chunks_total = coalesce($4::bigint, chunks_total), chunks_done = coalesce($5::bigint, chunks_done),
       bytes_total = coalesce($6::bigint, bytes_total), bytes_done = coalesce($7::bigint, bytes_done),
       bytes_copied = greatest(bytes_copied, $8::bigint), chunks_lost = coalesce($9::bigint, chunks_lost),
       started_at = coalesce(started_at, now()), finished_at = case when $3 = 'cleared' then now() end
     where partition = $1 and epoch = $2 and finished_at is null`,
    bind,
  );
  return noted === 1;
}

/** Partitions that are not where they belong while no job is for any of them. */
export async function stalledMoves(db: Database): Promise<readonly number[]> {
  const found = await rows<{ partition: number }>(
    db,
    `select partition from partitions
     where finished_at is null and not exists (select 1 from jobs where kind = 'partition.move' and state in ('queued', 'running'))
     order by partition`,
  );
  return found.map(({ partition }) => partition);
}

/** Forgets the copies that disks lack which own nothing any more. One look at an index a disk, as long as there are none. */
export async function dropForeignCopies(db: Database): Promise<void> {
  while ((await transaction(db, dropSome)) > 0);
}

/** Under the lock of those who note copies, so that none is forgotten of a disk that has just come in. Answers how many. */
async function dropSome(tx: Tx): Promise<number> {
  await lockRing(tx, "shared");
  const foreign = await rows<{ id: string }>(
    tx,
    `select id from disks where exists (select from missing_copies where disk_id = disks.id)
       and not exists (select from (select disks as members from rings order by epoch desc limit 1) newest where disks.id = any(members))`,
  );
  let dropped = 0;
  for (const { id } of foreign) {
    dropped += await execute(
      tx,
      `delete from missing_copies where disk_id = $1 and sha256 in (select sha256 from missing_copies where disk_id = $1 limit ${BATCH})`,
      [id],
    );
  }
  return dropped;
}

type Sums = Readonly<
  Record<"partitions" | "partitionsDone" | "chunks" | "chunksDone" | "bytes" | "bytesDone" | "copied" | "lost" | "seconds", string>
>;

export async function movesSoFar(db: Database, epoch: number): Promise<Moves> {
  const sums = (await one<Sums>(
    db,
    `select count(*) as partitions, count(*) filter (where state = 'verified') as "partitionsDone",
       coalesce(sum(chunks_total), 0) as chunks, coalesce(sum(chunks_done), 0) as "chunksDone",
       coalesce(sum(bytes_total), 0) as bytes, coalesce(sum(bytes_done), 0) as "bytesDone", coalesce(sum(bytes_copied), 0) as copied, coalesce(sum(chunks_lost), 0) as lost,
       coalesce(extract(epoch from coalesce(case when bool_and(finished_at is not null) then max(finished_at) end, now()) - min(started_at)), 0) as seconds
     from partitions`,
  ))!;
  const n = (of: keyof Sums): number => Number(sums[of]);
  const bytesPerSecond = n("seconds") > 0 ? n("bytesDone") / n("seconds") : 0;
  const left = n("bytes") - n("bytesDone");
  return {
    epoch,
    partitions: { total: n("partitions"), done: n("partitionsDone") },
    chunks: { total: n("chunks"), done: n("chunksDone") },
    bytes: { total: n("bytes"), done: n("bytesDone") },
    lostChunks: n("lost"),
    copiedBytes: n("copied"),
    bytesPerSecond: Math.round(bytesPerSecond),
    secondsLeft: n("partitions") === n("partitionsDone") ? 0 : bytesPerSecond > 0 ? Math.ceil(left / bytesPerSecond) : null,
  };
}
