/** What is known of videos, as rows. */
import { one, rows, type Database } from "../../../mixins/database/sql.ts";
import { failure } from "../../kernel/errors.ts";
import type { PlaybackRendition, SegmentRow, VideoRendition } from "../contract.ts";
import { decodeCursor, encodeCursor } from "../domain/cursor.ts";
import { isServed, type VideoStatus } from "../domain/lifecycle.ts";
import type { JobView, RenditionView, Work } from "../domain/progress.ts";
import type { PlannedFrames, Run } from "../domain/runs.ts";
import { notFound } from "./catalogue.ts";
import { videoColumns, type VideoRow } from "./video.model.ts";

export interface Page {
  readonly page: number;
  readonly limit: number;
  readonly cursor?: string | undefined;
  readonly status?: string | undefined;
}

export interface PageOfRows {
  readonly rows: readonly VideoRow[];
  readonly total: number;
  readonly nextCursor: string | null;
}

/**
 * Newest first. After a cursor the comparison is one of rows, which the index answers in half a millisecond at any depth; written as
 * `a < x or (a = x and b < y)` it takes 840 ms of a million. One more than the page is asked for, to know whether there is a next one.
 */
export async function listVideos(db: Database, { page, limit, cursor, status }: Page): Promise<PageOfRows> {
  const after = cursor === undefined ? { createdUs: null, id: null } : decodeCursor(cursor);
  const found = await rows<VideoRow & { createdUs: string }>(
    db,
    `select ${videoColumns}, (extract(epoch from created_at) * 1000000)::bigint as "createdUs" from videos
     where deleted_at is null and ($1::text is null or status = $1)
       and ($2::bigint is null or (created_at, id) < (timestamptz 'epoch' + $2 * interval '1 microsecond', $3::uuid))
     order by created_at desc, id desc limit $4 offset $5`,
    [status ?? null, after.createdUs, after.id, limit + 1, cursor === undefined ? (page - 1) * limit : 0],
  );
  const shown = found.slice(0, limit);
  const last = shown.at(-1);
  return { rows: shown, total: await count(db, status), nextCursor: last && found.length > limit ? encodeCursor(last) : null };
}

async function count(db: Database, status: string | undefined): Promise<number> {
  const text = "select count(*)::integer as total from videos where deleted_at is null and ($1::text is null or status = $1)";
  return (await one<{ total: number }>(db, text, [status ?? null]))?.total ?? 0;
}

/** The qualities of each video of which something is stored, smallest first. */
export async function qualitiesOf(db: Database, ids: readonly string[]): Promise<ReadonlyMap<string, readonly VideoRendition[]>> {
  const found = await rows<VideoRendition & { videoId: string }>(
    db,
    `select r.video_id as "videoId", r.name, r.width, r.height, r.peak_bitrate::float8 as bitrate, r.codecs
     from renditions r join videos v on v.id = r.video_id and v.revision = r.revision
     where r.video_id = any($1::uuid[]) and r.kind = 'video' and r.codecs is not null order by r.height, r.name`,
    [ids],
  );
  const qualities = (id: string): VideoRendition[] =>
    found
      .filter(({ videoId }) => videoId === id)
      .map(({ name, width, height, bitrate, codecs }) => ({ name, width, height, bitrate, codecs }));
  return new Map(ids.map((id) => [id, qualities(id)]));
}

/** Of a rendition `r`. What was planned before the plan was kept is played when it is ready. */
const BEGUN = `r.frames is not null and exists (select 1 from segments s
  where s.video_id = r.video_id and s.revision = r.revision and s.rendition = r.name and s.number = 1)`;

/** The state of the work on each video. */
export async function workOn(db: Database, videos: readonly { id: string; status: VideoStatus }[]): Promise<ReadonlyMap<string, Work>> {
  const ids = videos.map(({ id }) => id);
  const [jobs, renditions] = await Promise.all([jobsOf(db, ids), renditionsOf(db, ids)]);
  return new Map(
    videos.map(({ id, status }) => {
      const own = jobs.filter(({ videoId }) => videoId === id);
      const began = own.flatMap(({ stage, elapsedS }) => (elapsedS !== null && (stage === "video" || stage === "audio") ? [elapsedS] : []));
      const elapsedS = began.length === 0 ? null : Math.max(...began);
      return [id, { status, jobs: own, renditions: renditions.filter(({ videoId }) => videoId === id), elapsedS }];
    }),
  );
}

type JobRow = JobView & { readonly videoId: string; readonly elapsedS: number | null };

/** Without the last words of tools, which are for operators. */
async function jobsOf(db: Database, ids: readonly string[]): Promise<JobRow[]> {
  return await rows<JobRow>(
    db,
    `select video_id as "videoId", case kind when 'video.inspect' then 'inspect' when 'video.span' then 'video'
         when 'video.audio' then 'audio' else 'picture' end as stage,
       state, progress, attempts, failure - 'log' as failure, extract(epoch from now() - started_at)::float8 as "elapsedS"
     from jobs where video_id = any($1::uuid[]) order by id`,
    [ids],
  );
}

async function renditionsOf(db: Database, ids: readonly string[]): Promise<(RenditionView & { videoId: string })[]> {
  return await rows<RenditionView & { videoId: string }>(
    db,
    `select r.video_id as "videoId", r.name, r.kind, r.width, r.height, r.segments_total as "segmentsTotal",
       (select count(*) from segments s where s.video_id = r.video_id and s.revision = r.revision and s.rendition = r.name)::integer as "segmentsDone",
       ${BEGUN} as begun
     from renditions r join videos v on v.id = r.video_id and v.revision = r.revision
     where r.video_id = any($1::uuid[]) order by r.kind desc, r.height, r.name`,
    [ids],
  );
}

/** A rendition on its way: what was planned of it, and what is stored so far. */
export interface DescribedRendition extends Omit<PlaybackRendition, "init" | "runs"> {
  readonly begun: boolean;
  /** Whether no segment will come any more. */
  readonly complete: boolean;
  /** Null until the first segment is stored, as are codecs, time scale and bit rates. */
  readonly initBlob: string | null;
  readonly initSize: number;
  /** Null for what was planned before this was kept. */
  readonly planned: PlannedFrames | null;
  /** Of the segments that are stored. */
  readonly runs: readonly Run[];
}

/** Smallest first, sound last. */
export async function describedRenditions(db: Database, { id, revision }: VideoRow): Promise<readonly DescribedRendition[]> {
  const [renditions, runs] = await Promise.all([renditionsWithPlan(db, id, revision), runsOf(db, id, revision)]);
  return renditions.map((rendition) => ({
    ...rendition,
    runs: runs.filter((run) => run.rendition === rendition.name).map(({ count: equal, duration }) => [equal, duration] as const),
  }));
}

async function renditionsWithPlan(db: Database, id: string, revision: number): Promise<Omit<DescribedRendition, "runs">[]> {
  return await rows<Omit<DescribedRendition, "runs">>(
    db,
    `select r.name, r.kind, r.width, r.height, r.timescale, r.codecs, encode(r.init_blob, 'hex') as "initBlob", r.init_size as "initSize",
       r.peak_bitrate::float8 as bitrate, r.average_bitrate::float8 as "averageBitrate", ${BEGUN} as begun,
       case when r.frames is not null then json_build_object('rate', json_build_array(r.frame_rate_num, r.frame_rate_den),
         'frames', r.frames, 'framesPerSegment', r.segment_frames) end as planned,
       not exists (select 1 from jobs j where j.video_id = r.video_id and j.state in ('queued', 'running')
         and j.kind = case r.kind when 'audio' then 'video.audio' else 'video.span' end) as complete
     from renditions r where r.video_id = $1 and r.revision = $2 order by r.kind desc, r.height, r.name`,
    [id, revision],
  );
}

/** Neighbours of equal duration, counted: in a run, the number minus the rank among segments of that duration stays the same. */
async function runsOf(db: Database, id: string, revision: number): Promise<{ rendition: string; count: number; duration: number }[]> {
  return await rows<{ rendition: string; count: number; duration: number }>(
    db,
    `select rendition, count(*)::integer as count, duration
     from (select rendition, number, duration, number - row_number() over (partition by rendition, duration order by number) as run
           from segments where video_id = $1 and revision = $2) as ranked
     group by rendition, duration, run order by rendition, min(number)`,
    [id, revision],
  );
}

export interface SegmentRange {
  readonly id: string;
  readonly revision: number;
  readonly rendition: string;
  readonly from: number;
  readonly count: number;
}

/** VIDEO_NOT_FOUND, VIDEO_NOT_PLAYABLE; none when the rendition has no segment of these numbers. */
export async function segmentsFrom(
  db: Database,
  { id, revision, rendition, from, count: most }: SegmentRange,
): Promise<readonly SegmentRow[]> {
  const [found, status] = await Promise.all([
    rows<SegmentRow>(
      db,
      `select number, encode(blob, 'hex') as blob, size, start::float8 as start, duration from segments
       where video_id = $1 and revision = $2 and rendition = $3 and number >= $4 and number < $4 + $5 order by number`,
      [id, revision, rendition, from, most],
    ),
    one<{ status: VideoStatus }>(db, "select status from videos where id = $1 and deleted_at is null", [id]),
  ]);
  if (!status) throw notFound(id);
  assertServed(id, status.status);
  return found;
}

export function assertServed(id: string, status: VideoStatus): void {
  if (!isServed(status)) throw notPlayable(id, status);
}

export function notPlayable(id: string, status: VideoStatus): Error {
  return failure("VIDEO_NOT_PLAYABLE", `The video ${id} is ${status}, and cannot be watched yet.`);
}

export async function thumbnailOf(db: Database, id: string): Promise<{ blob: string; size: number }> {
  const found = await one<{ blob: string | null; size: number }>(
    db,
    `select encode(thumbnail_blob, 'hex') as blob, thumbnail_size::float8 as size from videos where id = $1 and deleted_at is null`,
    [id],
  );
  if (!found) throw notFound(id);
  if (found.blob === null) throw failure("PICTURE_NOT_FOUND", `The video ${id} has no thumbnail yet.`);
  return { blob: found.blob, size: found.size };
}
