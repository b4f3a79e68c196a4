/**
 * The end of a job, in the transaction of the rows that it made. Whoever shows an older fence, or comes after the job was taken away, gets JOB_LOST.
 * Locks are taken in one order everywhere, or two transactions wait for each other for ever: the video first, then jobs by their id.
 */
import type { JobKind, JobReport, JobState } from "../../services/jobs/contract.ts";
import { failure as failed } from "../../services/kernel/errors.ts";
import type { JobRef } from "../../services/kernel/schemas.ts";
import { UNTIL_DONE } from "./enqueue.ts";
import { execute, one, rows, type Database, type Tx } from "./sql.ts";

/** Attempt n+1 waits a random time below 2ⁿ s: random, so that what failed together does not come back together. */
const BACKOFF_S = { base: 2, most: 300 };
/** An excused attempt is not counted, so its pause cannot grow: long enough not to be a load, short enough not to be noticed beside the outage. */
const EXCUSED_BACKOFF_S = 30;
/** An outage that nobody ended in this time is not going to end, and whoever uploaded wants to know. */
const EXCUSED_DAYS = 3;

export interface HeldJob {
  readonly kind: JobKind;
  readonly videoId: string | null;
}

/** What a job is about, without asking who holds it: to lock the video before the job. JOB_LOST when there is no such job. */
export async function jobSubject(on: Database | Tx, job: JobRef): Promise<HeldJob> {
  const found = await one<HeldJob>(on, 'select kind, video_id as "videoId" from jobs where id = $1', [job.id]);
  return found ?? lost();
}

/** Keeps the job with its holder until the transaction ends: nobody else can take it in between. */
export async function assertHeld(tx: Tx, job: JobRef): Promise<void> {
  const held = await one(tx, "select 1 from jobs where id = $1 and fence = $2 and state = 'running' for no key update", [
    job.id,
    job.fence,
  ]);
  if (!held) lost();
}

export async function completeJob(tx: Database | Tx, job: JobRef): Promise<void> {
  const changed = await execute(
    tx,
    `update jobs set state = 'done', lease_until = null, progress = 1, finished_at = now()
     where id = $1 and fence = $2 and state = 'running'`,
    [job.id, job.fence],
  );
  if (changed === 0) lost();
}

/** Queued again until so many bytes of the source have come (`releaseJobs`): costs no attempt. */
export async function awaitBytes(tx: Tx, job: JobRef, bytes: number): Promise<void> {
  const changed = await execute(
    tx,
    `update jobs set state = 'queued', lease_until = null, attempts = attempts - 1, needs_bytes = $3, run_at = 'infinity'
     where id = $1 and fence = $2 and state = 'running'`,
    [job.id, job.fence, bytes],
  );
  if (changed === 0) lost();
}

/**
 * Queued again after a while, unless the failure is final or this was the last attempt that is not excused: then failed. Answers which. What has attempts
 * until it is done is never failed.
 */
export async function failJob(tx: Database | Tx, job: JobRef, { failure, final, excused }: Omit<JobReport, "job">): Promise<JobState> {
  const changed = await one<{ state: JobState }>(
    tx,
    `update jobs set
       state = case when over then 'failed' else 'queued' end,
       finished_at = case when over then now() end,
       attempts = attempts - (free and unheard < attempts)::integer,
       -- What is never given up stands back behind what has not failed yet.
       priority = case when max_attempts >= ${UNTIL_DONE} then least(priority, -1) else priority end,
       run_at = now() + random() * case when free then ${EXCUSED_BACKOFF_S} else least($5, power($6, least(attempts, 30))) end * interval '1 second',
       lease_until = null,
       failure = $3::jsonb
     from (select free, not free and max_attempts < ${UNTIL_DONE} and ($4::boolean or attempts - unheard >= max_attempts) as over
           from jobs, lateral (select $7::boolean and created_at > now() - ${EXCUSED_DAYS} * interval '1 day') as rule (free)
           where id = $1) outcome
     where id = $1 and fence = $2 and state = 'running'
     returning state`,
    [job.id, job.fence, JSON.stringify(failure), final, BACKOFF_S.most, BACKOFF_S.base, excused && !final],
  );
  return changed?.state ?? lost();
}

/**
 * An attempt whose worker lived, and could tell nobody how it ended: it counts as one of which nobody heard, as long as an excused failure would. Each time
 * that it is told leaves the job one attempt more, but never the one that another worker is at.
 */
export async function excuseAttempt(on: Database | Tx, job: JobRef): Promise<void> {
  await execute(
    on,
    `update jobs set unheard = unheard + 1
     where id = $1 and fence >= $2 and state in ('queued', 'running') and unheard < attempts - (state = 'running' and fence > $2)::integer
       and created_at > now() - ${EXCUSED_DAYS} * interval '1 day'`,
    [job.id, job.fence],
  );
}

/** Takes all work of a video out of the queue, also from the workers that hold it: their fence is worth nothing any more. */
export async function cancelJobs(tx: Tx, videoId: string): Promise<void> {
  await execute(
    tx,
    `update jobs set state = 'cancelled', lease_until = null, finished_at = now()
     where id in (select id from jobs where video_id = $1 and state in ('queued', 'running') order by id for update)`,
    [videoId],
  );
}

/** As if there had never been any work on the video. Whoever holds some of it finds that it is lost. */
export async function forgetWork(tx: Tx, videoId: string): Promise<void> {
  await execute(
    tx,
    "delete from jobs where id in (select id from jobs where video_id = $1 and kind like 'video.%' order by id for update)",
    [videoId],
  );
}

/** So many bytes of the source of a video have come: the jobs that have waited for no more may be taken. Answers their kinds. */
export async function releaseJobs(on: Database | Tx, videoId: string, bytes: number): Promise<readonly JobKind[]> {
  const released = await rows<{ kind: JobKind }>(
    on,
    `update jobs set run_at = now(), needs_bytes = null where id in (
       select id from jobs where video_id = $1 and needs_bytes <= $2 and state = 'queued' order by id for update)
     returning kind`,
    [videoId, bytes],
  );
  return [...new Set(released.map((job) => job.kind))];
}

/** What was cancelled or has failed of the work on a video waits again, as if it had never been tried; what is done stays done. Answers the kinds. */
export async function reviveJobs(tx: Tx, videoId: string): Promise<readonly JobKind[]> {
  const revived = await rows<{ kind: JobKind }>(
    tx,
    `update jobs set state = 'queued', attempts = 0, unheard = 0, run_at = now(), failure = null, finished_at = null
     where id in (select id from jobs where video_id = $1 and kind like 'video.%' and state in ('failed', 'cancelled') order by id for update)
     returning kind`,
    [videoId],
  );
  return [...new Set(revived.map((job) => job.kind))];
}

/**
 * A job of a video that has failed waits again, unless it was to look at bytes that were still to come. Answers its kind; undefined when it has not
 * failed. The video is locked.
 */
export async function reviveJob(tx: Tx, { id, videoId }: { readonly id: string; readonly videoId: string }): Promise<JobKind | undefined> {
  const revived = await one<{ kind: JobKind }>(
    tx,
    `update jobs set state = 'queued', attempts = 0, unheard = 0, run_at = now(), failure = null, finished_at = null
     where id = $1::bigint and video_id = $2 and state = 'failed' and kind <> 'video.foresee' returning kind`,
    [id, videoId],
  );
  return revived?.kind;
}

function lost(): never {
  throw failed("JOB_LOST", "The job is not held by this worker any more.");
}
