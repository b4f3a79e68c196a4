/** Work that must happen. A job is a row; a worker holds it by a lease that it renews, and proves it by a fence that grows with each claim. */
import { z } from "zod";
import { jobRef, renditionName, sha256, uuid } from "../kernel/schemas.ts";
import { action, contract, event, returns } from "../kernel/rpc.ts";

/** What each kind of job carries. Small (below 64 KiB): jobs travel over NATS. */
export const jobPayloads = {
  /** Look at the source and plan its conversion. */
  "video.inspect": z.strictObject({ blob: sha256, size: z.int().positive(), filename: z.string() }),
  /** Look at a source of which the first bytes have come, and plan its conversion if they tell enough. */
  "video.foresee": z.strictObject({ upload: uuid, size: z.int().positive() }),
  /** Encode one span of the source into every rendition that is not made, or only into the one that somebody waits for; the rest of the payload is the transcoder's own task. */
  "video.span": z.looseObject({
    made: z.array(renditionName).max(8).optional(),
    wanted: renditionName.optional(),
    /** The segment of it that somebody waits for. */
    from: z.int().positive().optional(),
    /** The priority before somebody waited. */
    planned: z.int().optional(),
  }),
  /** Encode the sound, whole. */
  "video.audio": z.looseObject({}),
  /** Take the thumbnail. */
  "video.picture": z.looseObject({}),
  /** Make captions of the lines of text that come with a source. */
  "video.captions": z.looseObject({}),
  /** Make the storyboard, of segments that are stored. */
  "video.storyboard": z.strictObject({}),
  /** Make the source of a video of the bytes of an upload that is complete. */
  "upload.finish": z.strictObject({ upload: uuid }),
  /** Bring the content of partitions to their new owners. Both numbers are inclusive. */
  "partition.move": z.strictObject({ first: z.int().nonnegative(), last: z.int().nonnegative() }),
  /** Bring to a disk the copies that it should have and has not. */
  "disk.repair": z.strictObject({ disk: uuid }),
  /** Compare what a disk holds with what it should hold. */
  "disk.compare": z.strictObject({ disk: uuid }),
  /** Delete what nobody needs any more. */
  "chunks.collect": z.strictObject({}),
} as const;
export type JobKind = keyof typeof jobPayloads;
export const jobKind = z.enum(Object.keys(jobPayloads) as [JobKind, ...JobKind[]]);

/**
 * Higher is sooner, within a kind. What is only planned has at most `start`: that of the first span of a video and of what else playing waits for.
 * What somebody waits for at this moment goes before all.
 */
export const PRIORITY = { wanted: 2000, start: 1000 } as const;

export interface Job {
  /** bigint, so a string. */
  readonly id: string;
  readonly kind: JobKind;
  readonly videoId: string | null;
  readonly priority: number;
  /** Counts this attempt: 1 on the first. Above `maxAttempts` the job is not to be tried but given up. */
  readonly attempts: number;
  readonly maxAttempts: number;
  readonly fence: string;
  readonly payload: Readonly<Record<string, unknown>>;
  /** The step of a trace that it goes on, if it was made in one. */
  readonly trace: string | null;
}

/** Why work failed: `type` from the error table, `message` for a person, `log` the tool's last words (never shown to viewers). */
const workFailure = z.strictObject({
  type: z.string().max(64),
  message: z.string().max(2000),
  log: z.string().max(4000).optional(),
});
export type WorkFailure = z.infer<typeof workFailure>;

/** How an attempt ended that failed. */
export const jobReport = z.strictObject({
  job: jobRef,
  failure: workFailure,
  /** No further attempt can help. */
  final: z.boolean(),
  /** The work is not to blame, but what is around it: costs no attempt while the job is younger than three days. */
  excused: z.boolean().default(false),
});
export type JobReport = z.infer<typeof jobReport>;

/** A bigint as text. */
export const jobId = z.string().regex(/^[1-9][0-9]{0,17}$/, "must be the id of a job");
export const jobState = z.enum(["queued", "running", "done", "failed", "cancelled"]);
/** queued → running → done | failed | cancelled; running → queued when released, failed with attempts left, or its lease ran out. */
export type JobState = z.infer<typeof jobState>;

/** A job as operators see it; times are RFC 3339 UTC. */
export interface JobEntry {
  readonly id: string;
  readonly kind: JobKind;
  readonly state: JobState;
  readonly videoId: string | null;
  readonly priority: number;
  readonly attempts: number;
  readonly maxAttempts: number;
  /** 0–1, as its worker told. */
  readonly progress: number;
  /** Who holds it, or held it last. */
  readonly worker: string | null;
  readonly failure: WorkFailure | null;
  readonly createdAt: string;
  /** Not before this; null while it waits for bytes of an upload. */
  readonly runAt: string | null;
  readonly finishedAt: string | null;
}

/** A job of a video, and when what happened to it: first claimed at `startedAt`. */
export interface WorkDone extends Pick<JobEntry, "id" | "kind" | "state" | "attempts" | "worker" | "createdAt" | "finishedAt"> {
  readonly startedAt: string | null;
  /** Of processors, by the programs that it ran, in all attempts. */
  readonly cpuSeconds: number;
}

export interface WorkHistory {
  /** Of the requests that it was made for, those that were traced. */
  readonly traceIds: readonly string[];
  /** In the order in which it was planned. */
  readonly work: readonly WorkDone[];
}

export interface QueueDepth {
  readonly kind: JobKind;
  readonly queued: number;
  readonly running: number;
  readonly failed: number;
  /** Of those that are queued or running, those that have failed before, or whose worker has died. */
  readonly retried: number;
  /** How long the job that has waited longest for a worker has done so, s. Those that are not due yet wait for none. */
  readonly oldestS: number;
}

/** A lease of 3 s becomes one of 48 s. */
const LEASE_DOUBLINGS_MAX = 4;

/**
 * How much longer than the first the lease of an attempt is, from 1 on: twice as long as that of the one before. One that ran out may have been too
 * short for a machine that has far too much to do, where the next would run out as well, and the one after that, until the job counts as one that
 * kills its workers.
 */
export function leaseFactor(attempt: number): number {
  return 2 ** Math.min(attempt - 1, LEASE_DOUBLINGS_MAX);
}

export const jobs = contract("jobs", {
  /** Takes the most urgent job of one kind, if there is one of at least `priorityMin`. `leaseMs` is the lease of a first attempt. Not idempotent: a lost answer costs one lease, and no attempt. */
  claim: action({
    params: z.strictObject({
      kind: jobKind,
      worker: z.string().min(1).max(200),
      leaseMs: z.int().min(1000).max(60_000),
      priorityMin: z.int().optional(),
    }),
    returns: returns<Job | null>(),
    scope: "cluster",
    idempotent: false,
    timeoutMs: 5000,
  }),
  /** Renews the leases of held jobs at once, and says with the first beat that an attempt has begun; answers the ids of those that are still held. `progress` is 0–1. */
  beat: action({
    params: z.strictObject({
      leaseMs: z.int().min(1000).max(60_000),
      held: z.array(z.strictObject({ ...jobRef.shape, progress: z.number().min(0).max(1) })).max(256),
    }),
    returns: returns<readonly string[]>(),
    scope: "cluster",
    idempotent: true,
    timeoutMs: 2000,
  }),
  /** What the work on a job has taken of processors, whoever has it by now: it is added up. */
  spent: action({
    params: z.strictObject({ id: jobId, cpuSeconds: z.number().positive() }),
    returns: returns<null>(),
    scope: "cluster",
    idempotent: false,
    timeoutMs: 2000,
  }),
  /** The work is done. JOB_LOST when the job was taken from this worker. */
  complete: action({ params: z.strictObject({ job: jobRef }), returns: returns<null>(), scope: "cluster", idempotent: false }),
  /** The work failed: queued again with backoff, or failed for good. JOB_LOST as above. */
  fail: action({
    params: jobReport,
    returns: returns<JobState>(),
    scope: "cluster",
    idempotent: false,
  }),
  /** An attempt that was not its worker's fault, and whose end could not be told while it was held: it is not counted, whoever has the job by now. */
  excuse: action({
    params: z.strictObject({ job: jobRef }),
    returns: returns<null>(),
    scope: "cluster",
    idempotent: false,
    // Longer than the database may take: told again while the first one waits, it would count twice.
    timeoutMs: 12_000,
  }),
  /** Gives a job back untouched, so that another worker takes it at once: costs no attempt. */
  release: action({ params: z.strictObject({ job: jobRef }), returns: returns<null>(), scope: "cluster", idempotent: true }),
  /** Newest first; those older than the job `before`. */
  list: action({
    params: z.strictObject({
      kind: jobKind.optional(),
      state: jobState.optional(),
      before: jobId.optional(),
      limit: z.int().min(1).max(100),
    }),
    returns: returns<readonly JobEntry[]>(),
    scope: "cluster",
    idempotent: true,
  }),
  /** The jobs of a video that are still known. */
  history: action({ params: z.strictObject({ videoId: uuid }), returns: returns<WorkHistory>(), scope: "cluster", idempotent: true }),
  /** JOB_NOT_FOUND. */
  get: action({ params: z.strictObject({ id: jobId }), returns: returns<JobEntry>(), scope: "cluster", idempotent: true }),
  /** A failed job that is not a video's waits again, as if it had never been tried: those of a video are for `videos.retryJob`. JOB_NOT_FAILED. */
  retry: action({ params: z.strictObject({ id: jobId }), returns: returns<null>(), scope: "cluster", idempotent: false }),
  depth: action({ params: z.strictObject({}), returns: returns<readonly QueueDepth[]>(), scope: "cluster", idempotent: true }),
});

/** Jobs of these kinds were enqueued. Only quickens: workers poll as well. */
export const jobsWaiting = event<{ kinds: readonly JobKind[] }>("jobs.waiting");
/** The running jobs of a video are no longer wanted. Only quickens: the next beat says the same. */
export const jobsCancelled = event<{ videoId: string }>("jobs.cancelled");
