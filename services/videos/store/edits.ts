/** What people do to a video that is there: change what is said of it, bring it back, try it again, make an end of it. */
import type { JobKind } from "../../../mixins/database/enqueue.ts";
import { cancelJobs, reviveJob, reviveJobs } from "../../../mixins/database/jobs.ts";
import { execute, rows, transaction, type Database, type Tx } from "../../../mixins/database/sql.ts";
import { failure } from "../../kernel/errors.ts";
import type { Principal } from "../../kernel/principal.ts";
import { transition } from "../domain/lifecycle.ts";
import { after, inspectAnew, lockOwn, notFound, type Change, type LockedVideo } from "./catalogue.ts";
import { dropForesight } from "./foreseen.ts";

/** What a person may say of a video. What is left out stays as it is. */
export interface Said {
  readonly title?: string | undefined;
  readonly description?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly visibility?: string | undefined;
}

interface Asked {
  readonly id: string;
  readonly as: Principal;
  /** Only while the present edition is among them. */
  readonly editions?: readonly number[] | undefined;
}

/** VIDEO_CHANGED when `editions` are given and the present one is not among them. */
export function assertUnedited({ edition }: LockedVideo, editions: readonly number[] | undefined): void {
  if (editions === undefined || editions.includes(edition)) return;
  throw failure(
    "VIDEO_CHANGED",
    "The ETag is not that of the video as it is now: somebody has edited it since, or it is another's. Read the video again, and decide anew.",
  );
}

/** VIDEO_CHANGED. */
export async function edit(db: Database, { id, as, set, editions }: Asked & { set: Said }): Promise<Change> {
  return await transaction(db, async (tx) => {
    const video = await lockPresent(tx, id, as);
    assertUnedited(video, editions);
    await execute(
      tx,
      `update videos set title = coalesce($2, title), description = coalesce($3, description), tags = coalesce($4::text[], tags),
         visibility = coalesce($5, visibility), edition = edition + 1, updated_at = now() where id = $1`,
      [id, set.title ?? null, set.description ?? null, set.tags ?? null, set.visibility ?? null],
    );
    return { id, status: video.status };
  });
}

/** A video that `as` may change and that is not in the trash. */
export async function lockPresent(tx: Tx, id: string, as: Principal): Promise<LockedVideo> {
  const video = await lockOwn(tx, id, as);
  if (video.status === "deleted") throw notFound(id);
  return video;
}

/**
 * To the trash: with it goes the work that is left, and of a video that is still uploading also what was made of it: nobody would go on with that before its
 * last byte, and then it is made anew. VIDEO_CHANGED.
 */
export async function remove(db: Database, { id, as, editions }: Asked): Promise<Change> {
  return await transaction(db, async (tx) => {
    const video = await lockPresent(tx, id, as);
    assertUnedited(video, editions);
    await execute(tx, "update videos set deleted_at = now(), updated_at = now() where id = $1", [id]);
    if (video.status === "uploading") await dropForesight(tx, video);
    await cancelJobs(tx, id);
    return { id, status: after(video, "removed"), cancelled: true };
  });
}

/** Out of the trash, as it was; work that was cut off goes on. One that is not in the trash stays as it is. */
export async function restore(db: Database, { id, as }: Asked): Promise<Change> {
  return await transaction(db, async (tx) => {
    const video = await lockOwn(tx, id, as);
    if (video.status !== "deleted") return { id };
    await execute(tx, "update videos set deleted_at = null, updated_at = now() where id = $1", [id]);
    return { id, status: video.stored, enqueued: await workLeft(tx, video) };
  });
}

/** From where it failed: what is stored stays, and the rest is tried again. VIDEO_NOT_FAILED. */
export async function retry(db: Database, { id, as }: Asked): Promise<Change> {
  return await transaction(db, async (tx) => {
    const video = await lockPresent(tx, id, as);
    if (transition(video.status, "retried") === undefined) {
      throw failure("VIDEO_NOT_FAILED", `The video ${id} is ${video.status}: only one that has failed can be tried again.`);
    }
    return await tryAgain(tx, video, await resume(tx, video));
  });
}

async function tryAgain(tx: Tx, video: LockedVideo, enqueued: readonly JobKind[]): Promise<Change> {
  const queued = { ...video, status: after(video, "retried") };
  // Only an inspection begins a video that is queued; where its plan is known, other work goes on.
  const status = enqueued.includes("video.inspect") ? queued.status : after(queued, "begun");
  await execute(tx, "update videos set status = $2, error_type = null, error_message = null, updated_at = now() where id = $1", [
    video.id,
    status,
  ]);
  return { id: video.id, status, enqueued };
}

/** A job that has failed: of a video that failed with it together with all that is left of its work, else alone, as a poster. JOB_NOT_FAILED. */
export async function retryJob(db: Database, { id, as, job }: Asked & { job: string }): Promise<Change> {
  return await transaction(db, async (tx) => {
    const video = await lockPresent(tx, id, as);
    const kind = await reviveJob(tx, { id: job, videoId: id });
    if (kind === undefined) throw failure("JOB_NOT_FAILED", `The job ${job} has not failed, or nothing is left for it to do.`);
    if (transition(video.status, "retried") === undefined) return { id, enqueued: [kind] };
    return await tryAgain(tx, video, [...new Set([kind, ...(await reviveJobs(tx, id))])]);
  });
}

/** Of a video that was ready, what it can do without; of one that has failed, nothing before somebody asks for it. */
async function workLeft(tx: Tx, video: LockedVideo): Promise<readonly JobKind[]> {
  if (video.stored === "queued" || video.stored === "processing") return await resume(tx, video);
  return video.stored === "ready" ? await reviveJobs(tx, video.id) : [];
}

/** Work that was left. When nothing of it is, the video is made anew. */
async function resume(tx: Tx, { id }: LockedVideo): Promise<readonly JobKind[]> {
  const revived = await reviveJobs(tx, id);
  return revived.length > 0 ? revived : await inspectAnew(tx, id);
}

/** For ever: its row, and with it every row that names its blobs. Their space is reclaimed when no other video needs them. VIDEO_CHANGED. */
export async function purge(db: Database, { id, as, editions }: Asked): Promise<Change> {
  return await transaction(db, async (tx) => {
    assertUnedited(await lockOwn(tx, id, as), editions);
    await cancelJobs(tx, id);
    await execute(tx, "delete from videos where id = $1", [id]);
    return { id, status: "deleted", cancelled: true };
  });
}

/** The segments of so many videos go within the time that a statement has. */
const PURGED_AT_ONCE = 5;

/** Purges what has lain in the trash for longer than `days`. Answers how many that were. */
export async function emptyTrash(db: Database, days: number): Promise<number> {
  let purged = 0;
  for (;;) {
    const gone = await rows(
      db,
      `delete from videos where id in (select id from videos where deleted_at < now() - $1::integer * interval '1 day'
         order by deleted_at limit ${PURGED_AT_ONCE} for update skip locked) returning id`,
      [days],
    );
    purged += gone.length;
    if (gone.length < PURGED_AT_ONCE) return purged;
  }
}
