/** Somebody waits for a segment: the job that makes it goes to the front of the queue, and back when it has made the rendition that was asked for. */
import { PRIORITY, type JobKind } from "../../../mixins/database/enqueue.ts";
import { one, rows, type Database } from "../../../mixins/database/sql.ts";
import { failure } from "../../kernel/errors.ts";
import type { JobRef } from "../../kernel/schemas.ts";
import type { SegmentRow } from "../contract.ts";
import type { VideoStatus } from "../domain/lifecycle.ts";
import { notFound } from "./catalogue.ts";
import { assertServed } from "./read.ts";

export interface WantedSegment {
  readonly id: string;
  readonly revision: number;
  readonly rendition: string;
  readonly number: number;
}

interface Found {
  readonly status: VideoStatus;
  /** Null when the video has no such rendition. */
  readonly kind: JobKind | null;
  readonly segment: SegmentRow | null;
  /** Whether a job that will make it, or makes it now, has not ended. */
  readonly coming: boolean;
}

/** The segment when it is stored, else the kinds of the jobs that were moved. SEGMENT_NOT_FOUND when it will never come. */
export async function want(
  db: Database,
  wanted: WantedSegment,
): Promise<{ readonly segment: SegmentRow | null; readonly moved: readonly JobKind[] }> {
  const { id, revision, rendition, number } = wanted;
  const found = await find(db, wanted);
  if (!found) throw notFound(id);
  assertServed(id, found.status);
  if (found.segment) return { segment: found.segment, moved: [] };
  if (found.kind === null || !found.coming) {
    throw failure(
      "SEGMENT_NOT_FOUND",
      `The video has no segment ${number} of ${rendition} in revision ${revision}: its manifest tells which it has.`,
    );
  }
  return { segment: null, moved: await moveToFront(db, wanted, found.kind) };
}

/** One statement, so that it sees the segment and its job at the same moment: a segment is stored before its job ends. */
async function find(db: Database, { id, revision, rendition, number }: WantedSegment): Promise<Found | undefined> {
  return await one<Found>(
    db,
    `select v.status, r.kind, case when s.number is not null then json_build_object(
         'number', s.number, 'blob', encode(s.blob, 'hex'), 'size', s.size, 'start', s.start, 'duration', s.duration) end as segment,
       exists (select 1 from jobs j where j.video_id = v.id and j.kind = r.kind and j.state in ('queued', 'running')
         and j.first_segment <= $4 and j.last_segment >= $4) as coming
     from videos v
     left join lateral (select case kind when 'audio' then 'video.audio' else 'video.span' end as kind from renditions
       where video_id = v.id and revision = v.revision and revision = $2 and name = $3) r on true
     left join segments s on s.video_id = v.id and s.revision = $2 and s.rendition = $3 and s.number = $4
     where v.id = $1 and v.deleted_at is null`,
    [id, revision, rendition, number],
  );
}

/** Once: a job that is at the front, or runs, stays where it is. Of several renditions that somebody waits for the first is made first. */
async function moveToFront(db: Database, { id, rendition, number }: WantedSegment, kind: JobKind): Promise<readonly JobKind[]> {
  const moved = await rows<{ kind: JobKind }>(
    db,
    `update jobs set priority = $4, payload = case kind when 'video.span'
       then payload || jsonb_build_object('wanted', $5::text, 'from', $3::integer, 'planned', priority) else payload end where id in (
       select id from jobs where video_id = $1 and kind = $2 and state = 'queued' and priority < $4
         and first_segment <= $3 and last_segment >= $3 order by id for update skip locked)
     returning kind`,
    [id, kind, number, PRIORITY.wanted, rendition],
  );
  return [...new Set(moved.map((job) => job.kind))];
}

/** The job is queued again for its other renditions, where it was before somebody waited for this one. JOB_LOST. */
export async function defer(
  db: Database,
  { id, fence }: JobRef,
  made: string,
): Promise<{ readonly id: string; readonly enqueued: readonly JobKind[] }> {
  const deferred = await one<{ kind: JobKind; videoId: string }>(
    db,
    `update jobs set state = 'queued', lease_until = null, attempts = attempts - 1, priority = coalesce((payload ->> 'planned')::integer, priority),
       payload = payload - 'wanted' - 'from' - 'planned' || jsonb_build_object('made', coalesce(payload -> 'made', '[]') || to_jsonb($3::text))
     where id = $1 and fence = $2 and kind = 'video.span' and state = 'running'
     returning kind, video_id as "videoId"`,
    [id, fence, made],
  );
  if (!deferred) throw failure("JOB_LOST", "The job is not held by this worker any more.");
  return { id: deferred.videoId, enqueued: [deferred.kind] };
}
