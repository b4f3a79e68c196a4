/** The rows of uploads. What bytes there are is decided here alone: in one statement that looks at the fence and at the offset. */
import { enqueue, UNTIL_DONE, type JobKind } from "../../../mixins/database/enqueue.ts";
import { execute, one, rows, transaction, type Database, type Tx } from "../../../mixins/database/sql.ts";
import { failure } from "../../kernel/errors.ts";
import { mayChange, type Principal } from "../../kernel/principal.ts";
import { CHUNK_BYTES_MAX } from "../../kernel/limits.ts";
import type { Upload, UploadHold, UploadKind, UploadPiece } from "../contract.ts";
import type { Piece } from "../domain/upload.ts";

/** Renewed every second. A gateway that died is noticed after this; the client's own pauses between attempts are as long. */
const LEASE_MS = 4000;
/** So long 410 is answered for an upload that has expired, and its state for one that is stored; then 404. */
const KEPT_DAYS = 7;
/** Rows that one statement lets go: each takes up to 6,400 parts with it. */
const SWEEP_MAX = 100;

export interface NewUpload {
  readonly id: string;
  readonly kind: UploadKind;
  readonly video: string | null;
  readonly owner: string | null;
  readonly madeBy: string;
  readonly length: number | null;
  readonly metadata: string;
  readonly concat: string | null;
}

export interface Limits {
  readonly openMax: number;
  readonly expiryHours: number;
}

/** An upload with the kinds of the jobs that are waiting now. */
export interface Grown {
  readonly upload: Upload;
  readonly enqueued: readonly JobKind[];
}

const COLUMNS = `id, kind, state, video_id as video, owner_id as owner, length::float8 as length, "offset"::float8 as "offset", metadata, concat,
  to_char(expires_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "expiresAt"`;

export async function find(on: Database | Tx, id: string): Promise<Upload> {
  const found = await one<Upload & { overdue: boolean }>(
    on,
    `select ${COLUMNS}, expires_at < now() as overdue from uploads where id = $1`,
    [id],
  );
  if (!found) throw notFound(id);
  const { overdue: late, ...upload } = found;
  if (upload.state === "expired" || (late && upload.state === "open")) throw expired(id);
  return upload;
}

/** Of somebody else's nothing is known here. */
export async function findOwn(db: Database, as: Principal, id: string): Promise<Upload> {
  const upload = await find(db, id);
  if (!mayChange(as, upload)) throw notFound(id);
  return upload;
}

function expired(id: string): Error {
  return failure("UPLOAD_EXPIRED", `The upload ${id} expired: begin a new one.`);
}

function notFound(id: string): Error {
  return failure("UPLOAD_NOT_FOUND", `There is no upload ${id}.`);
}

/** The same upload again changes nothing. UPLOADS_TOO_MANY. */
export async function create(db: Database, upload: NewUpload, limits: Limits): Promise<Upload> {
  return await transaction(db, async (tx) => {
    await insert(tx, upload, limits);
    return await find(tx, upload.id);
  });
}

async function insert(tx: Tx, upload: NewUpload, { openMax, expiryHours }: Limits): Promise<void> {
  // Whoever asks for many at once is counted one after the other.
  await rows(tx, "select pg_advisory_xact_lock(hashtextextended($1, 0))", [`uploads ${upload.madeBy}`]);
  const open = await one<{ count: number }>(tx, "select count(*)::integer as count from uploads where made_by = $1 and state = 'open'", [
    upload.madeBy,
  ]);
  if ((open?.count ?? 0) >= openMax) {
    throw failure("UPLOADS_TOO_MANY", `${openMax} uploads are open: finish or end one of them first.`);
  }
  await execute(
    tx,
    `insert into uploads (id, kind, video_id, owner_id, made_by, length, metadata, concat, expires_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, now() + $9 * interval '1 hour') on conflict (id) do nothing`,
    [upload.id, upload.kind, upload.video, upload.owner, upload.madeBy, upload.length, upload.metadata, upload.concat, expiryHours],
  );
}

/** The newest hold, if nobody else has one. Who is refused has asked the other one to leave, in case that one is idle. */
export async function hold(db: Database, id: string): Promise<{ upload: Upload; fence: string }> {
  const held = await one<Upload & { fence: string }>(
    db,
    `update uploads set fence = fence + 1, lease_until = clock_timestamp() + ${LEASE_MS} * interval '1 ms', idle = false, wanted = false
     where id = $1 and expires_at > now() and (lease_until is null or lease_until < clock_timestamp())
     returning ${COLUMNS}, fence`,
    [id],
  );
  if (held) {
    const { fence, ...upload } = held;
    return { upload, fence };
  }
  const other = await one<{ idle: boolean }>(db, "update uploads set wanted = true where id = $1 and expires_at > now() returning idle", [
    id,
  ]);
  if (!other) throw (await one(db, "select 1 from uploads where id = $1", [id])) ? expired(id) : notFound(id);
  throw failure("UPLOAD_LOCKED", `Another request is sending bytes of the upload ${id}.`, { data: { idle: other.idle } });
}

export async function beat(db: Database, { id, fence }: UploadHold, idle: boolean): Promise<{ wanted: boolean }> {
  const held = await one<{ wanted: boolean }>(
    db,
    `update uploads set lease_until = clock_timestamp() + ${LEASE_MS} * interval '1 ms', idle = $3
     where id = $1 and fence = $2 returning wanted`,
    [id, fence, idle],
  );
  return held ?? takenOver(id);
}

export async function release(db: Database, { id, fence }: UploadHold): Promise<void> {
  await execute(db, "update uploads set lease_until = null where id = $1 and fence = $2", [id, fence]);
}

export async function declare(db: Database, { id, fence }: UploadHold, length: number): Promise<Grown> {
  return await transaction(db, async (tx) => {
    const changed = await execute(
      tx,
      `update uploads set length = $3 where id = $1 and fence = $2 and (length is null or length = $3) and "offset" <= $3`,
      [id, fence, length],
    );
    if (changed === 0) {
      await assertHeld(tx, { id, fence });
      throw failure("INVALID_REQUEST", "The length of an upload is said once, and not below the bytes that have come.");
    }
    return await completed(tx, id);
  });
}

export interface Growth {
  readonly start: number;
  readonly parts: readonly Piece[];
}

/** Moves the offset by all parts, or by none. The same parts again are what was meant by a repeated call. */
export async function append(db: Database, held: UploadHold, growth: Growth, { expiryHours }: Limits): Promise<Grown> {
  return await transaction(db, async (tx) => {
    const { id, fence } = held;
    const size = growth.parts.reduce((sum, part) => sum + part.size, 0);
    const moved = await execute(
      tx,
      `update uploads set "offset" = "offset" + $4::bigint, expires_at = now() + $5 * interval '1 hour',
         lease_until = clock_timestamp() + ${LEASE_MS} * interval '1 ms'
       where id = $1 and fence = $2 and "offset" = $3::bigint and state = 'open' and (length is null or "offset" + $4::bigint <= length)`,
      [id, fence, growth.start, size, expiryHours],
    );
    if (moved === 0) return await repeated(tx, held, growth);
    await insertParts(tx, id, growth);
    return await completed(tx, id);
  });
}

async function insertParts(tx: Tx, id: string, { start, parts }: Growth): Promise<void> {
  const starts = parts.map((_, index) => parts.slice(0, index).reduce((at, { size }) => at + size, start));
  await execute(
    tx,
    `insert into upload_parts (upload_id, start, size, blob)
     select $1, start, size, decode(blob, 'hex') from unnest($2::bigint[], $3::integer[], $4::text[]) as part (start, size, blob)`,
    [id, starts, parts.map(({ size }) => size), parts.map(({ blob }) => blob)],
  );
}

async function repeated(tx: Tx, { id, fence }: UploadHold, { start, parts }: Growth): Promise<Grown> {
  const offset = await assertHeld(tx, { id, fence });
  const [first] = parts;
  const same = await one(tx, "select 1 from upload_parts where upload_id = $1 and start = $2 and size = $3 and blob = decode($4, 'hex')", [
    id,
    start,
    first?.size ?? 0,
    first?.blob ?? "",
  ]);
  if (!same) throw failure("UPLOAD_OFFSET_CONFLICT", `The upload ${id} goes on at byte ${offset}.`);
  return { upload: await find(tx, id), enqueued: [] };
}

/** Answers the present offset. */
async function assertHeld(tx: Tx, { id, fence }: UploadHold): Promise<number> {
  const known = await one<{ fence: string; offset: number }>(tx, `select fence, "offset"::float8 as "offset" from uploads where id = $1`, [
    id,
  ]);
  if (!known) throw notFound(id);
  return known.fence === fence ? known.offset : takenOver(id);
}

function takenOver(id: string): never {
  throw failure("UPLOAD_LOCKED", `Another request has taken over the upload ${id}.`);
}

/** With its last byte an upload is complete, and what is to become of it is certain: the job is there. */
async function completed(tx: Tx, id: string): Promise<Grown> {
  const ended = await one<{ kind: UploadKind }>(
    tx,
    `update uploads set state = 'complete' where id = $1 and state = 'open' and "offset" = length returning kind`,
    [id],
  );
  const ends = ended !== undefined && ended.kind !== "partial";
  // Its sender was told that all bytes are kept, and nobody else would make a video of them.
  const finish = { kind: "upload.finish" as const, payload: { upload: id }, dedupeKey: id, maxAttempts: UNTIL_DONE };
  const enqueued = ends ? await enqueue(tx, [finish]) : [];
  return { upload: await find(tx, id), enqueued };
}

export interface Joined extends NewUpload {
  readonly partials: readonly string[];
  readonly bytesMax: number;
}

/** Rows only: the parts of the new upload are the blobs of the partial ones, moved to where they stand now. */
export async function join(db: Database, joined: Joined, limits: Limits): Promise<Grown> {
  return await transaction(db, async (tx) => {
    const known = await one(tx, "select 1 from uploads where id = $1", [joined.id]);
    if (known) return { upload: await find(tx, joined.id), enqueued: [] };
    const length = await joinedLength(tx, joined);
    await insert(tx, { ...joined, length }, limits);
    await execute(
      tx,
      `insert into upload_parts (upload_id, start, size, blob)
       select $1, sum(part.size) over (order by partial.place, part.start) - part.size, part.size, part.blob
       from unnest($2::uuid[]) with ordinality as partial (id, place) join upload_parts part on part.upload_id = partial.id`,
      [joined.id, joined.partials],
    );
    await execute(tx, `update uploads set "offset" = length where id = $1`, [joined.id]);
    return await completed(tx, joined.id);
  });
}

async function joinedLength(tx: Tx, { owner, partials, bytesMax }: Joined): Promise<number> {
  const found = await rows<{ id: string; state: string; length: number }>(
    tx,
    `select id, state, length::float8 as length from uploads
     where id = any($1::uuid[]) and kind = 'partial' and state in ('open', 'complete') and owner_id is not distinct from $2::uuid for share`,
    [partials, owner],
  );
  const lengths = partials.map((id) => {
    const partial = found.find((row) => row.id === id);
    if (!partial) throw notFound(id);
    if (partial.state !== "complete") throw failure("UPLOAD_OFFSET_CONFLICT", `The partial upload ${id} is not complete.`);
    return partial.length;
  });
  const length = lengths.reduce((sum, each) => sum + each, 0);
  if (length > bytesMax) throw failure("UPLOAD_TOO_LARGE", `An upload may have at most ${bytesMax} bytes.`);
  return length;
}

export async function partsOf(db: Database, id: string): Promise<Piece[]> {
  return await rows<Piece>(db, "select encode(blob, 'hex') as blob, size from upload_parts where upload_id = $1 order by start", [id]);
}

/** Of one answer: 4 GB of whole parts, in 60 KB. */
const PIECES_MAX = 500;

export async function piecesFrom(db: Database, id: string, at: number): Promise<UploadPiece[]> {
  return await rows<UploadPiece>(
    db,
    `select start::float8 as start, size, encode(blob, 'hex') as blob from upload_parts
     where upload_id = $1 and start > $2::bigint - ${CHUNK_BYTES_MAX} and start + size > $2::bigint order by start limit ${PIECES_MAX}`,
    [id, at],
  );
}

/** Its video has the bytes: the parts are not needed any more. */
export async function markStored(db: Database, id: string): Promise<Upload | undefined> {
  return await transaction(db, async (tx) => {
    // The upload before its parts, as whoever removes it locks them: the other way round the two would wait for each other for ever.
    const stored = await one<Upload>(tx, `update uploads set state = 'stored' where id = $1 returning ${COLUMNS}`, [id]);
    await execute(tx, "delete from upload_parts where upload_id = $1", [id]);
    return stored;
  });
}

export async function remove(db: Database, id: string): Promise<void> {
  await execute(db, "delete from uploads where id = $1", [id]);
}

/** Uploads whose last byte did not come in time. One that is complete has a job, which ends it; whoever sends at this moment is left to. */
export async function overdue(db: Database): Promise<readonly Upload[]> {
  return await rows<Upload>(
    db,
    `select ${COLUMNS} from uploads where expires_at < now() and (state = 'open' or (state = 'complete' and kind = 'partial'))
       and (lease_until is null or lease_until < clock_timestamp()) order by expires_at limit ${SWEEP_MAX}`,
  );
}

/** What had come is let go. */
export async function expire(db: Database, id: string): Promise<void> {
  await transaction(db, async (tx) => {
    await execute(tx, "update uploads set state = 'expired' where id = $1", [id]);
    await execute(tx, "delete from upload_parts where upload_id = $1", [id]);
  });
}

/** Forgets what ended long ago. */
export async function forget(db: Database): Promise<void> {
  await execute(
    db,
    `delete from uploads where id in (select id from uploads
       where expires_at < now() - ${KEPT_DAYS} * interval '1 day' and state in ('stored', 'expired') limit ${SWEEP_MAX} for update skip locked)`,
  );
}
