/** Videos come into the catalogue and leave it, with their work. */
import { enqueue, type JobKind } from "../../../mixins/database/enqueue.ts";
import { cancelJobs } from "../../../mixins/database/jobs.ts";
import { execute, one, transaction, type Database, type Tx } from "../../../mixins/database/sql.ts";
import { failure } from "../../kernel/errors.ts";
import { transition, type VideoEvent, type VideoStatus } from "../domain/lifecycle.ts";

/** What is to be told once the transaction is committed. */
export interface Change {
  readonly id: string;
  /** The new status, if it changed. */
  readonly status?: VideoStatus;
  /** Kinds of the jobs that are waiting now. */
  readonly enqueued?: readonly JobKind[];
  /** Whether running jobs are not wanted any more. */
  readonly cancelled?: boolean;
}

export interface NewVideo {
  readonly id: string;
  readonly title: string;
  readonly description: string;
  readonly tags: readonly string[];
  readonly visibility: string;
  readonly filename: string;
  readonly source: { readonly blob: string; readonly size: number };
}

export interface LockedVideo {
  readonly id: string;
  readonly status: VideoStatus;
  readonly revision: number;
}

/** The video and its first job, together. The same video again changes nothing; another source under its id is INVALID_REQUEST. */
export async function create(db: Database, video: NewVideo): Promise<Change> {
  return await transaction(db, async (tx) => {
    if (!(await insert(tx, video))) return { id: video.id };
    const payload = { blob: video.source.blob, size: video.source.size, filename: video.filename };
    const enqueued = await enqueue(tx, [{ kind: "video.inspect", videoId: video.id, payload }]);
    return { id: video.id, status: "queued", enqueued };
  });
}

async function insert(tx: Tx, { id, title, description, tags, visibility, filename, source }: NewVideo): Promise<boolean> {
  const made = await execute(
    tx,
    `insert into videos (id, title, description, tags, visibility, filename, source_blob, source_size, status)
     select $1, $2, $3, $4::text[], $5, $6, blobs.id, blobs.size, $7
     from blobs where blobs.id = decode($8, 'hex') and blobs.size = $9::bigint
     on conflict (id) do nothing`,
    [id, title, description, tags, visibility, filename, "queued" satisfies VideoStatus, source.blob, source.size],
  );
  if (made === 0) await assertSame(tx, id, source);
  return made === 1;
}

async function assertSame(tx: Tx, id: string, source: NewVideo["source"]): Promise<void> {
  const known = await one<{ same: boolean }>(
    tx,
    "select source_blob = decode($2, 'hex') and source_size = $3::bigint as same from videos where id = $1",
    [id, source.blob, source.size],
  );
  if (!known) throw failure("BLOB_NOT_FOUND", `There is no blob ${source.blob} of ${source.size} bytes.`);
  if (!known.same) throw failure("INVALID_REQUEST", `The video ${id} was made of other bytes.`);
}

/** To the trash: with it goes the work that is left. */
export async function remove(db: Database, id: string): Promise<Change> {
  return await transaction(db, async (tx) => {
    const video = await lock(tx, id);
    if (video.status === "deleted") throw notFound(id);
    await execute(tx, "update videos set deleted_at = now(), updated_at = now() where id = $1", [id]);
    await cancelJobs(tx, id);
    return { id, status: after(video, "removed"), cancelled: true };
  });
}

/** Nobody else changes the video until the transaction ends. */
export async function lock(tx: Tx, id: string): Promise<LockedVideo> {
  const found = await one<LockedVideo>(
    tx,
    `select id, case when deleted_at is null then status else 'deleted' end as status, revision
     from videos where id = $1 for no key update`,
    [id],
  );
  if (!found) throw notFound(id);
  return found;
}

/** The status after an event that our own rules let happen. */
export function after({ id, status }: LockedVideo, event: VideoEvent): VideoStatus {
  const next = transition(status, event);
  if (next === undefined) throw failure("INTERNAL", `The video ${id} is ${status}, so it cannot be ${event}.`);
  return next;
}

export function notFound(id: string): Error {
  return failure("VIDEO_NOT_FOUND", `There is no video ${id}.`);
}
