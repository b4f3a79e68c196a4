/** Jobs as operators see them. */
import { isDuplicate } from "../../../mixins/database/failures.ts";
import { one, rows, type Database } from "../../../mixins/database/sql.ts";
import { failure } from "../../kernel/errors.ts";
import type { JobEntry, JobKind, JobState, WorkDone, WorkHistory } from "../contract.ts";

type EntryRow = Omit<JobEntry, "createdAt" | "runAt" | "finishedAt"> & {
  readonly createdAt: Date;
  readonly runAt: Date | null;
  readonly finishedAt: Date | null;
};

const SELECT = `select id, kind, state, video_id as "videoId", priority, attempts - unheard as attempts, max_attempts as "maxAttempts", progress::float8 as progress, worker,
  failure, created_at as "createdAt", nullif(run_at, 'infinity') as "runAt", finished_at as "finishedAt" from jobs`;

function entryOf({ createdAt, runAt, finishedAt, ...row }: EntryRow): JobEntry {
  return {
    ...row,
    createdAt: createdAt.toISOString(),
    runAt: runAt?.toISOString() ?? null,
    finishedAt: finishedAt?.toISOString() ?? null,
  };
}

export interface Entries {
  readonly kind?: JobKind | undefined;
  readonly state?: JobState | undefined;
  readonly before?: string | undefined;
  readonly limit: number;
}

/** Ids grow with time, so the newest are read from the end of the primary key. */
export async function listJobs(db: Database, { kind, state, before, limit }: Entries): Promise<readonly JobEntry[]> {
  const found = await rows<EntryRow>(
    db,
    `${SELECT} where ($1::text is null or kind = $1) and ($2::text is null or state = $2) and ($3::bigint is null or id < $3)
     order by id desc limit $4`,
    [kind ?? null, state ?? null, before ?? null, limit],
  );
  return found.map(entryOf);
}

type DoneRow = Pick<EntryRow, "id" | "kind" | "state" | "attempts" | "worker" | "createdAt" | "finishedAt"> & {
  readonly startedAt: Date | null;
  readonly cpuSeconds: number;
  readonly trace: string | null;
};

/** An hour of film has some hundred jobs. */
export async function historyOf(db: Database, videoId: string): Promise<WorkHistory> {
  const found = await rows<DoneRow>(
    db,
    `select id, kind, state, attempts - unheard as attempts, worker, trace, created_at as "createdAt", started_at as "startedAt", finished_at as "finishedAt", cpu_s::float8 as "cpuSeconds"
     from jobs where video_id = $1 order by id`,
    [videoId],
  );
  const traceIds = new Set(found.flatMap(({ trace }) => trace?.split("-")[1] ?? []));
  return { traceIds: [...traceIds], work: found.map(doneOf) };
}

function doneOf({ trace: _trace, createdAt, startedAt, finishedAt, ...row }: DoneRow): WorkDone {
  return {
    ...row,
    createdAt: createdAt.toISOString(),
    startedAt: startedAt?.toISOString() ?? null,
    finishedAt: finishedAt?.toISOString() ?? null,
  };
}

/** JOB_NOT_FOUND. */
export async function jobOf(db: Database, id: string): Promise<JobEntry> {
  const found = await one<EntryRow>(db, `${SELECT} where id = $1::bigint`, [id]);
  if (!found) throw failure("JOB_NOT_FOUND", `There is no job ${id}.`);
  return entryOf(found);
}

/** Answers the kind. JOB_NOT_FAILED, also when another job for the same is on its way. */
export async function retryJob(db: Database, id: string): Promise<JobKind> {
  const revived = await one<{ kind: JobKind }>(
    db,
    `update jobs set state = 'queued', attempts = 0, unheard = 0, run_at = now(), failure = null, finished_at = null
     where id = $1::bigint and state = 'failed' and video_id is null returning kind`,
    [id],
  ).catch((error: unknown) => {
    if (isDuplicate(error)) return undefined;
    throw error;
  });
  if (!revived) throw failure("JOB_NOT_FAILED", `The job ${id} has not failed, or is done by another one already.`);
  return revived.kind;
}
