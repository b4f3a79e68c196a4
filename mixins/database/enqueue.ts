/** Puts work into the queue, in the transaction of the rows that it is about: both are there, or neither. */
import { jobPayloads, type JobKind } from "../../services/jobs/contract.ts";
import { failure } from "../../services/kernel/errors.ts";
import { traceparent } from "../../services/kernel/trace.ts";
import { rows, type Tx } from "./sql.ts";

export { PRIORITY, type JobKind } from "../../services/jobs/contract.ts";

/** A job travels over NATS with what is around it. */
const PAYLOAD_BYTES_MAX = 64 * 1024;
/** A worker may die, or be cut off, a few times before the work itself is the suspect. */
const ATTEMPTS_MAX = 5;
/**
 * `maxAttempts` of what is never given up, whatever it fails with. Half of what the column holds: nodes of a former version add to it, and their claims would
 * fail where the sum is too much for it.
 */
export const UNTIL_DONE = 2 ** 30;

export interface NewJob {
  readonly kind: JobKind;
  readonly videoId?: string;
  /** Higher is sooner, within a kind; 0 when not given. */
  readonly priority?: number;
  readonly payload: Readonly<Record<string, unknown>>;
  /** Numbers of the segments that it makes, both inclusive. */
  readonly segments?: { readonly first: number; readonly last: number } | undefined;
  /** While a job of this kind with the same key is queued or running, another one is not made. */
  readonly dedupeKey?: string;
  readonly maxAttempts?: number;
  /** No worker takes it before this time has passed; default: none. */
  readonly delaySeconds?: number;
  /** No worker takes it before so many bytes of its source have come (`releaseJobs`). */
  readonly needsBytes?: number | undefined;
}

/** Answers the kinds of the jobs that it made, to be told to `announceJobs` after the commit. INVALID_REQUEST for a payload that is not of its kind. */
export async function enqueue(tx: Tx, list: readonly NewJob[]): Promise<readonly JobKind[]> {
  const made = await rows<{ kind: JobKind }>(
    tx,
    `insert into jobs (kind, video_id, priority, payload, dedupe_key, max_attempts, first_segment, last_segment, needs_bytes, trace, run_at)
     select kind, video, priority, payload, key, attempts, first, last, needs, $11::text,
       case when needs is null then now() + delay * interval '1 s' else 'infinity' end
     from unnest($1::text[], $2::uuid[], $3::integer[], $4::jsonb[], $5::text[], $6::integer[], $7::integer[], $8::integer[], $9::integer[], $10::bigint[])
       as new (kind, video, priority, payload, key, attempts, first, last, delay, needs)
     on conflict (kind, dedupe_key) where state in ('queued', 'running') and dedupe_key is not null do nothing
     returning kind`,
    [
      list.map((job) => job.kind),
      list.map((job) => job.videoId ?? null),
      list.map((job) => job.priority ?? 0),
      list.map(checkedPayload),
      list.map((job) => job.dedupeKey ?? null),
      list.map((job) => job.maxAttempts ?? ATTEMPTS_MAX),
      list.map((job) => job.segments?.first ?? null),
      list.map((job) => job.segments?.last ?? null),
      list.map((job) => job.delaySeconds ?? 0),
      list.map((job) => job.needsBytes ?? null),
      traceparent() ?? null,
    ],
  );
  return [...new Set(made.map((job) => job.kind))];
}

function checkedPayload({ kind, payload }: NewJob): string {
  const parsed = jobPayloads[kind].safeParse(payload);
  if (!parsed.success) throw failure("INVALID_REQUEST", `The payload is not one of a ${kind} job.`, { cause: parsed.error });
  const text = JSON.stringify(parsed.data);
  if (Buffer.byteLength(text) > PAYLOAD_BYTES_MAX) throw failure("INVALID_REQUEST", `The payload of a ${kind} job is larger than 64 KiB.`);
  return text;
}
