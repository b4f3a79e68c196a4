/** What is known of videos, as rows. */
import { one, prepared, rows, type Database } from "../../../mixins/database/sql.ts";
import { failure } from "../../kernel/errors.ts";
import type { PlaybackRendition, SegmentRow, VideoBlob } from "../contract.ts";
import { isServed, type VideoStatus } from "../domain/lifecycle.ts";
import type { JobView, RenditionView, Work } from "../domain/progress.ts";
import type { PlannedFrames, Run } from "../domain/runs.ts";
import { mayChange, maySee, type Principal } from "../../kernel/principal.ts";
import { notFound } from "./catalogue.ts";
import type { VideoRow } from "./video.model.ts";

/** Of a rendition `r`. What was planned before the plan was kept is played when it is ready. */
const BEGUN = `r.frame_runs is not null and exists (select 1 from segments s
  where s.video_id = r.video_id and s.revision = r.revision and s.rendition = r.name and s.number = 1)`;

/** The state of the work on each video. */
export async function workOn(db: Database, videos: readonly { id: string; status: VideoStatus }[]): Promise<ReadonlyMap<string, Work>> {
  if (videos.length === 0) return new Map();
  const ids = videos.map(({ id }) => id);
  const [jobs, renditions] = await Promise.all([
    prepared<JobRow>(db, JOBS, [ids]),
    prepared<RenditionView & { readonly videoId: string }>(db, RENDITIONS, [ids]),
  ]);
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
const JOBS = {
  name: "jobs of videos",
  text: `select video_id as "videoId", case kind when 'video.inspect' then 'inspect' when 'video.span' then 'video'
       when 'video.audio' then 'audio' else 'picture' end as stage,
     state, progress, attempts - unheard as attempts, failure - 'log' as failure, extract(epoch from now() - started_at)::float8 as "elapsedS"
   from jobs where video_id = any($1::uuid[]) and kind not in ('video.foresee', 'video.storyboard', 'video.captions') order by id`,
};

const RENDITIONS = {
  name: "renditions of videos",
  text: `select r.video_id as "videoId", r.name, r.kind, r.width, r.height, r.segments_total as "segmentsTotal",
     (select count(*) from segments s where s.video_id = r.video_id and s.revision = r.revision and s.rendition = r.name)::integer as "segmentsDone",
     ${BEGUN} as begun
   from renditions r join videos v on v.id = r.video_id and v.revision = r.revision
   where r.video_id = any($1::uuid[]) order by r.kind desc, r.height, r.name`,
};

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
       case when r.frame_runs is not null then json_build_object('rate', json_build_array(r.frame_rate_num, r.frame_rate_den),
         'runs', r.frame_runs) end as planned,
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
  const why = status === "failed" ? "has failed, and cannot be watched: its error says why" : `is ${status}, and cannot be watched yet`;
  return failure("VIDEO_NOT_PLAYABLE", `The video ${id} ${why}.`);
}

/** PICTURE_NOT_FOUND until there is one. */
export async function thumbnailOf(db: Database, id: string): Promise<VideoBlob> {
  const found = await one<Omit<VideoBlob, "blob"> & { blob: string | null }>(
    db,
    `select id, owner_id as owner, visibility, encode(thumbnail_blob, 'hex') as blob, thumbnail_size::float8 as size
     from videos where id = $1 and deleted_at is null`,
    [id],
  );
  if (!found) throw notFound(id);
  if (found.blob === null) throw failure("PICTURE_NOT_FOUND", `The video ${id} has no thumbnail yet.`);
  return { ...found, blob: found.blob };
}

/** What was uploaded, and the name that it had. VIDEO_NOT_FOUND while it is on its way, and for whoever may not change the video. */
export async function sourceOf(db: Database, id: string, as: Principal): Promise<VideoBlob & { filename: string }> {
  const found = await one<VideoBlob & { filename: string }>(
    db,
    `select id, owner_id as owner, visibility, encode(source_blob, 'hex') as blob, source_size::float8 as size, filename
     from videos where id = $1 and deleted_at is null and source_blob is not null`,
    [id],
  );
  if (!found || !maySee(as, found)) throw notFound(id);
  if (!mayChange(as, found)) throw failure("FORBIDDEN", "Only its owner may do this to a video.");
  return found;
}

/** In the order of their tags. */
export async function captionLanguages(db: Database, id: string): Promise<readonly string[]> {
  return (await rows<{ language: string }>(db, "select language from captions where video_id = $1 order by language", [id])).map(
    ({ language }) => language,
  );
}
