/** Videos come into the catalogue and leave it, with their work. */
import { enqueue, type JobKind } from "../../../mixins/database/enqueue.ts";
import { execute, one, transaction, type Database, type Tx } from "../../../mixins/database/sql.ts";
import { failure } from "../../kernel/errors.ts";
import { mayChange, maySee, type Principal } from "../../kernel/principal.ts";
import { keep, madeUnder, type RequestKey } from "./idempotency.ts";
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
  readonly owner: string | null;
  readonly filename: string;
  readonly source: { readonly blob: string; readonly size: number };
  /** Whose request it is, and how that names it. */
  readonly request?: (RequestKey & { readonly owner: string }) | undefined;
}

export interface LockedVideo {
  readonly id: string;
  readonly owner: string | null;
  readonly visibility: "public" | "unlisted" | "private";
  readonly status: VideoStatus;
  /** The status that it has again when it is taken out of the trash. */
  readonly stored: VideoStatus;
  readonly revision: number;
  readonly edition: number;
}

/**
 * The video and its first job, together. The same video again changes nothing; another source under its id is INVALID_REQUEST. Of a request that was
 * made before, the video of that time is answered: the change tells which.
 */
export async function create(db: Database, video: NewVideo): Promise<Change> {
  const { request } = video;
  return await transaction(db, async (tx) => {
    const known = request && (await madeUnder(tx, request.owner, request));
    if (known !== undefined) return { id: known };
    if (!(await insert(tx, video))) return { id: video.id };
    if (request) await keep(tx, request.owner, request, video.id);
    const payload = { blob: video.source.blob, size: video.source.size, filename: video.filename };
    const enqueued = await enqueue(tx, [{ kind: "video.inspect", videoId: video.id, payload }]);
    return { id: video.id, status: "queued", enqueued };
  });
}

/** The video is made anew from its source, under addresses of its own; what was made of it before is dropped. */
export async function inspectAnew(tx: Tx, id: string): Promise<readonly JobKind[]> {
  const former = await execute(tx, "delete from renditions where video_id = $1", [id]);
  const source = await one<{ blob: string; size: number; filename: string }>(
    tx,
    `update videos set revision = revision + $2, updated_at = now() where id = $1
     returning encode(source_blob, 'hex') as blob, source_size::float8 as size, filename`,
    [id, former > 0 ? 1 : 0],
  );
  return source ? await enqueue(tx, [{ kind: "video.inspect", videoId: id, payload: { ...source } }]) : [];
}

async function insert(tx: Tx, { id, title, description, tags, visibility, owner, filename, source }: NewVideo): Promise<boolean> {
  const made = await execute(
    tx,
    `insert into videos (id, title, description, tags, visibility, owner_id, filename, source_blob, source_size, status)
     select $1, $2, $3, $4::text[], $5, $6::uuid, $7, blobs.id, blobs.size, $8
     from blobs where blobs.id = decode($9, 'hex') and blobs.size = $10::bigint
     on conflict (id) do nothing`,
    [id, title, description, tags, visibility, owner, filename, "queued" satisfies VideoStatus, source.blob, source.size],
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

/** Nobody else changes the video until the transaction ends. */
export async function lock(tx: Tx, id: string): Promise<LockedVideo> {
  const found = await one<LockedVideo>(
    tx,
    `select id, owner_id as owner, visibility, case when deleted_at is null then status else 'deleted' end as status, status as stored, revision, edition
     from videos where id = $1 for no key update`,
    [id],
  );
  if (!found) throw notFound(id);
  return found;
}

/** A video that `as` may change. Who may not even see it is told that there is none; so is everybody else of one in the trash. FORBIDDEN. */
export async function lockOwn(tx: Tx, id: string, as: Principal): Promise<LockedVideo> {
  const video = await lock(tx, id);
  if (mayChange(as, video)) return video;
  if (video.status === "deleted" || !maySee(as, video)) throw notFound(id);
  throw failure("FORBIDDEN", "Only its owner may do this to a video.");
}

/** What `as` may see; VIDEO_NOT_FOUND as if it were not there. */
export function visible<V extends Parameters<typeof maySee>[1]>(as: Principal, video: V): V {
  if (!maySee(as, video)) throw notFound(video.id);
  return video;
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
