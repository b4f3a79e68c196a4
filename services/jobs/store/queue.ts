/** The table of jobs as a queue. Every statement stands alone, so any number of instances may run them at once. */
import { UNTIL_DONE } from "../../../mixins/database/enqueue.ts";
import { execute, one, rows, type Database } from "../../../mixins/database/sql.ts";
import type { JobRef } from "../../kernel/schemas.ts";
import { jobKind, leaseFactor, type Job, type JobKind, type QueueDepth } from "../contract.ts";

/** A statement that takes more leases away at once would hold its locks for too long. */
const REAP_MAX = 500;
const PRUNE_MAX = 1000;
/** What is never given up, and has killed so many workers, lets them live for a while before it is begun again: who would end it needs a server that runs. */
const DEATHS_AT_ONCE = 5;
const DEATH_PAUSE_S = 60;
/** A job that has had attempts enough is begun, and so given up, no sooner: a worker that was cut off, and not killed, says so within a second or two. */
const LAST_WORD_S = 5;
/** What an operator may still want to look at. Failed jobs stay, and so do all of a video that is not ready: whoever tries it again goes on from them. */
const KEPT_DAYS = 7;

export interface Claim {
  readonly kind: JobKind;
  readonly worker: string;
  readonly leaseMs: number;
  readonly priorityMin?: number | undefined;
}

/** Below every priority: the column is an integer of 32 bits. */
const ANY_PRIORITY = -(2 ** 31);

export interface Beat {
  readonly leaseMs: number;
  readonly held: readonly (JobRef & { readonly progress: number })[];
}

/** By attempt, from the first; the last is that of all further ones. */
const FACTORS = [1, 2, 3, 4, 5].map(leaseFactor);

/** One kind a statement: with `kind = any(…)` and 300,000 jobs waiting it sorts them all, and takes 246 ms instead of 1.2. */
export async function claim(db: Database, { kind, worker, leaseMs, priorityMin = ANY_PRIORITY }: Claim): Promise<Job | null> {
  const job = await one<Job>(
    db,
    `update jobs set state = 'running', begun = false, attempts = attempts + 1, fence = fence + 1, worker = $2, started_at = coalesce(started_at, now()),
       lease_until = clock_timestamp() + $3::integer * ($5::integer[])[least(attempts + 1, cardinality($5::integer[]))] * interval '1 ms'
     where id = (select id from jobs where state = 'queued' and kind = $1 and priority >= $4 and run_at <= now()
                 order by priority desc, id limit 1 for update skip locked)
     returning id, kind, video_id as "videoId", priority, attempts, least(max_attempts, ${UNTIL_DONE}) + unheard as "maxAttempts", fence, payload, trace`,
    [kind, worker, leaseMs, priorityMin, FACTORS],
  );
  return job ?? null;
}

/** Renews what is still held; the first beat says that the attempt has begun. Progress only grows, also when another attempt begins at nothing. */
export async function beat(db: Database, { leaseMs, held }: Beat): Promise<readonly string[]> {
  // Locked in the order of the ids, as whoever cancels the jobs of a video does it (mixins/database/jobs.ts).
  const kept = await rows<{ id: string }>(
    db,
    `with held as materialized (
       select jobs.id, told.progress
       from unnest($1::bigint[], $2::bigint[], $3::real[]) as told (id, fence, progress)
       join jobs on jobs.id = told.id and jobs.fence = told.fence and jobs.state = 'running'
       order by jobs.id for update of jobs)
     update jobs set begun = true, progress = greatest(jobs.progress, held.progress),
       lease_until = clock_timestamp() + $4::integer * ($5::integer[])[least(attempts, cardinality($5::integer[]))] * interval '1 ms'
     from held where jobs.id = held.id
     returning jobs.id`,
    [held.map((job) => job.id), held.map((job) => job.fence), held.map((job) => job.progress), leaseMs, FACTORS],
  );
  return kept.map((job) => job.id);
}

/** Also of a job that has ended, or is another's by now: what was spent was spent. */
export async function addCpu(db: Database, id: string, seconds: number): Promise<void> {
  await execute(db, "update jobs set cpu_s = cpu_s + $2::real where id = $1::bigint", [id, seconds]);
}

/** Answers the kind of the job if it was held: it is waiting again. */
export async function release(db: Database, job: JobRef): Promise<JobKind | undefined> {
  const released = await one<{ kind: JobKind }>(
    db,
    `update jobs set state = 'queued', lease_until = null, attempts = attempts - 1
     where id = $1 and fence = $2 and state = 'running' returning kind`,
    [job.id, job.fence],
  );
  return released?.kind;
}

/**
 * Takes jobs away from workers that did not renew their lease; answers the kinds. They are always queued again: whether a job has had
 * attempts enough is for the worker that takes it next to say, since only its service knows what else has to fail then. An attempt of which nobody heard is
 * none: the answer of the claim was lost on its way. It only makes the next lease longer.
 */
export async function reap(db: Database): Promise<readonly JobKind[]> {
  const reaped = await rows<{ kind: JobKind }>(
    db,
    `update jobs set state = 'queued', lease_until = null, unheard = unheard + (not begun)::integer,
       run_at = case when max_attempts >= ${UNTIL_DONE} and attempts - unheard > ${DEATHS_AT_ONCE}
                then now() + random() * ${DEATH_PAUSE_S} * interval '1 second'
                when max_attempts < ${UNTIL_DONE} and attempts - unheard - (not begun)::integer >= max_attempts then now() + ${LAST_WORD_S} * interval '1 second'
                else run_at end
     where id in (select id from jobs where state = 'running' and lease_until < clock_timestamp()
                  order by id limit ${REAP_MAX} for update skip locked)
     returning kind`,
  );
  return [...new Set(reaped.map((job) => job.kind))];
}

/** Forgets what ended long ago, a batch a statement. */
export async function prune(db: Database): Promise<void> {
  for (;;) {
    const gone = await rows(
      db,
      `delete from jobs where id in (select id from jobs
         where state in ('done', 'cancelled') and finished_at < now() - ${KEPT_DAYS} * interval '1 day'
           and not exists (select 1 from videos where videos.id = jobs.video_id and status <> 'ready') limit ${PRUNE_MAX} for update skip locked)
       returning id`,
    );
    if (gone.length < PRUNE_MAX) return;
  }
}

export async function depth(db: Database): Promise<readonly QueueDepth[]> {
  const counted = await rows<QueueDepth>(
    db,
    `select kind, count(*) filter (where state = 'queued')::integer as queued, count(*) filter (where state = 'running')::integer as running,
       count(*) filter (where state = 'failed')::integer as failed,
       count(*) filter (where state <> 'failed' and (failure is not null or attempts - unheard > 1))::integer as retried,
       coalesce(extract(epoch from now() - min(greatest(created_at, run_at)) filter (where state = 'queued' and run_at <= now())), 0)::float8 as "oldestS"
     from jobs where state in ('queued', 'running', 'failed') group by kind`,
  );
  return jobKind.options.map(
    (kind) => counted.find((row) => row.kind === kind) ?? { kind, queued: 0, running: 0, failed: 0, retried: 0, oldestS: 0 },
  );
}
