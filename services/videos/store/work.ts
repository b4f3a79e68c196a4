/** What workers make of a video. Each step is one transaction with the end of its job, so that a job that is lost has changed nothing. */
import { enqueue, type JobKind, type NewJob } from "../../../mixins/database/enqueue.ts";
import { assertHeld, cancelJobs, completeJob, failJob, forgetWork, jobSubject } from "../../../mixins/database/jobs.ts";
import { execute, one, rows, transaction, type Database, type Tx } from "../../../mixins/database/sql.ts";
import { failure as failed } from "../../kernel/errors.ts";
import type { JobRef } from "../../kernel/schemas.ts";
import { flawOf, type StoredRendition } from "../domain/completeness.ts";
import { segmentsOf, type Run } from "../domain/runs.ts";
import { transition, type VideoStatus } from "../domain/lifecycle.ts";
import { after, inspectAnew, lock, type Change, type LockedVideo } from "./catalogue.ts";
import { dropForesight } from "./foreseen.ts";

/** Why a video is not to be had, for a person. */
interface Failure {
  readonly type: string;
  readonly message: string;
}

export interface Plan {
  readonly recipe: string;
  readonly facts: {
    readonly durationS: number;
    readonly width: number;
    readonly height: number;
    readonly frameRate: readonly [number, number];
    readonly container: string;
    readonly videoCodec: string;
    readonly audioCodec: string | null;
  };
  readonly renditions: readonly {
    readonly name: string;
    readonly kind: "video" | "audio";
    readonly width: number;
    readonly height: number;
    readonly rate: readonly [number, number];
    readonly runs: readonly Run[];
  }[];
  readonly tasks: readonly Pick<NewJob, "kind" | "priority" | "payload" | "segments" | "needsBytes">[];
}

export interface Publication {
  readonly rendition: string;
  readonly timescale: number;
  readonly codecs: string;
  readonly init: { readonly blob: string; readonly size: number };
  readonly segments: readonly {
    readonly number: number;
    readonly blob: string;
    readonly size: number;
    readonly start: number;
    readonly duration: number;
  }[];
}

/** What a video can do without. */
const DISPENSABLE: readonly string[] = ["video.picture", "video.captions"] satisfies JobKind[];

/** What nobody waits for: all of the source has to be read for it. */
const LATE: readonly string[] = ["video.captions"] satisfies JobKind[];

/** The video of a job, locked before the job is: see mixins/database/jobs.ts. */
export async function withVideo<T>(db: Database, job: JobRef, work: (tx: Tx, video: LockedVideo, kind: string) => Promise<T>): Promise<T> {
  return await transaction(db, async (tx) => {
    const { videoId, kind } = await jobSubject(tx, job);
    if (videoId === null) throw failed("INVALID_REQUEST", `The job ${job.id} is not about a video.`);
    return await work(tx, await lock(tx, videoId), kind);
  });
}

export async function begin(db: Database, job: JobRef): Promise<Change> {
  return await withVideo(db, job, async (tx, video) => {
    await assertHeld(tx, job);
    const status = after(video, "begun");
    if (status === video.status) return { id: video.id };
    await execute(tx, "update videos set status = $2, updated_at = now() where id = $1", [video.id, status]);
    return { id: video.id, status };
  });
}

/** A video that was deleted meanwhile has no jobs any more: JOB_LOST, and the worker goes on quietly. */
export async function applyPlan(db: Database, job: JobRef, plan: Plan): Promise<Change> {
  return await withVideo(db, job, async (tx, video) => {
    await completeJob(tx, job);
    const status = after(video, "begun");
    const enqueued = await keepPlan(tx, video, status, plan);
    return { id: video.id, enqueued, ...(status === video.status ? {} : { status }) };
  });
}

/** The video has this status then. Answers the kinds of the jobs that exist now. */
export async function keepPlan(
  tx: Tx,
  video: LockedVideo,
  status: VideoStatus,
  { facts, renditions, tasks, recipe }: Plan,
): Promise<readonly JobKind[]> {
  await keepFacts(tx, video.id, status, facts);
  await execute(tx, "update videos set recipe = $2 where id = $1", [video.id, recipe]);
  await keepRenditions(tx, video, renditions);
  return await enqueue(
    tx,
    tasks.map((task) => ({ ...task, videoId: video.id })),
  );
}

/**
 * The jobs of a plan go for good: revived with the video, they would have it planned anew once more. A video that is ready stays as it is: what it lacks,
 * it can do without.
 */
export async function planAnew(db: Database, job: JobRef): Promise<Change> {
  return await withVideo(db, job, async (tx, video) => {
    await assertHeld(tx, job);
    if (video.status === "uploading") return await withoutForesight(tx, video);
    if (transition(video.status, "begun") === undefined) return await outdated(tx, video, job);
    await forgetWork(tx, video.id);
    return { id: video.id, enqueued: await inspectAnew(tx, video.id), cancelled: true };
  });
}

/** An old job that was tried again: there is no plan any more to do it by. */
async function outdated(tx: Tx, video: LockedVideo, job: JobRef): Promise<Change> {
  const message = `An older program planned this, and the video is ${video.status}: only one that is converted anew can have it.`;
  await failJob(tx, job, { failure: { type: "TRANSCODE_FAILED", message }, final: true, excused: false });
  return { id: video.id };
}

async function keepFacts(tx: Tx, id: string, status: string, facts: Plan["facts"]): Promise<void> {
  await execute(
    tx,
    `update videos set status = $2, duration_s = $3, width = $4, height = $5, frame_rate_num = $6, frame_rate_den = $7,
       container = $8, video_codec = $9, audio_codec = $10, updated_at = now()
     where id = $1`,
    [id, status, facts.durationS, facts.width, facts.height, ...facts.frameRate, facts.container, facts.videoCodec, facts.audioCodec],
  );
}

async function keepRenditions(tx: Tx, { id, revision }: LockedVideo, renditions: Plan["renditions"]): Promise<void> {
  if (new Set(renditions.map(({ name }) => name)).size < renditions.length) {
    throw failed("INVALID_REQUEST", "Two planned renditions have the same name.");
  }
  await execute(
    tx,
    `insert into renditions (video_id, revision, name, kind, width, height, segments_total, frame_rate_num, frame_rate_den, frame_runs)
     select $1, $2, * from unnest($3::text[], $4::text[], $5::integer[], $6::integer[], $7::integer[], $8::integer[], $9::integer[],
       $10::jsonb[])`,
    [
      id,
      revision,
      renditions.map(({ name }) => name),
      renditions.map(({ kind }) => kind),
      renditions.map(({ width }) => width),
      renditions.map(({ height }) => height),
      renditions.map(segmentsOf),
      renditions.map(({ rate }) => rate[0]),
      renditions.map(({ rate }) => rate[1]),
      renditions.map(({ runs }) => JSON.stringify(runs)),
    ],
  );
}

/** A job that is done again brings the same numbers again: those that are there stay. Answers the video. */
export async function publish(db: Database, job: JobRef, publication: Publication): Promise<string> {
  return await withVideo(db, job, async (tx, video, kind) => {
    await assertHeld(tx, job);
    if (!(await hasSameInitialisation(tx, video, publication))) await startOver(tx, video, publication.rendition, kind);
    await keepSegments(tx, video, publication);
    await describeRendition(tx, video, publication);
    await execute(tx, "update videos set updated_at = now() where id = $1", [video.id]);
    return video.id;
  });
}

/** Spans of one rendition are joined by players without a new initialisation, so theirs must be the same to the bit. The first is the same. */
async function hasSameInitialisation(
  tx: Tx,
  { id, revision }: LockedVideo,
  { rendition, timescale, codecs, init }: Publication,
): Promise<boolean> {
  const known = await one<{ same: boolean | null }>(
    tx,
    `select init_blob = decode($4, 'hex') and timescale = $5 and codecs = $6 as same
     from renditions where video_id = $1 and revision = $2 and name = $3`,
    [id, revision, rendition, init.blob, timescale, codecs],
  );
  if (!known) throw failed("INVALID_REQUEST", `The video ${id} was not planned to have a rendition ${rendition}.`);
  return known.same !== false;
}

/**
 * Forgets the segments of a rendition that only this job makes: they are a former attempt's, before ffmpeg was upgraded. What other jobs
 * made is not to be had again.
 */
async function startOver(tx: Tx, { id, revision }: LockedVideo, rendition: string, kind: string): Promise<void> {
  const makers = await rows(tx, "select 1 from jobs where video_id = $1 and kind = $2 limit 2", [id, kind]);
  if (makers.length > 1) throw failed("TRANSCODE_FAILED", `Two parts of the rendition ${rendition} were not encoded alike.`);
  await execute(tx, "delete from segments where video_id = $1 and revision = $2 and rendition = $3", [id, revision, rendition]);
}

/**
 * What was published stays: its address shows the same bytes for ever, and caches keep them. An attempt that follows may make others, as it has another number
 * of threads when somebody waits for it.
 */
async function keepSegments(tx: Tx, { id, revision }: LockedVideo, { rendition, segments }: Publication): Promise<void> {
  await execute(
    tx,
    `insert into segments (video_id, revision, rendition, number, blob, size, start, duration)
     select $1, $2, $3, number, decode(blob, 'hex'), size, start, duration
     from unnest($4::integer[], $5::text[], $6::integer[], $7::bigint[], $8::integer[]) as told (number, blob, size, start, duration)
     on conflict (video_id, revision, rendition, number) do nothing`,
    [
      id,
      revision,
      rendition,
      segments.map(({ number }) => number),
      segments.map(({ blob }) => blob),
      segments.map(({ size }) => size),
      segments.map(({ start }) => start),
      segments.map(({ duration }) => duration),
    ],
  );
}

/**
 * Bit rates are those of the segments that are stored. A last segment of a few frames says nothing about the peak: RFC 8216 (4.3.4.2)
 * counts stretches of at least half the target duration.
 */
async function describeRendition(
  tx: Tx,
  { id, revision }: LockedVideo,
  { rendition, timescale, codecs, init }: Publication,
): Promise<void> {
  await execute(
    tx,
    `update renditions set timescale = $4, codecs = $5, init_blob = decode($6, 'hex'), init_size = $7,
       peak_bitrate = stored.peak, average_bitrate = stored.average
     from (select ceil(max(size * 8.0 * $4::integer / duration) filter (where duration * 2.0 >= longest)) as peak,
             ceil(sum(size) * 8.0 * $4::integer / sum(duration)) as average
           from (select size, duration, max(duration) over () as longest from segments
                 where video_id = $1 and revision = $2 and rendition = $3) as each) as stored
     where video_id = $1 and revision = $2 and name = $3`,
    [id, revision, rendition, timescale, codecs, init.blob, init.size],
  );
}

export async function publishThumbnail(db: Database, job: JobRef, { blob, size }: { blob: string; size: number }): Promise<void> {
  await withVideo(db, job, async (tx, video) => {
    await assertHeld(tx, job);
    await execute(tx, "update videos set thumbnail_blob = decode($2, 'hex'), thumbnail_size = $3, updated_at = now() where id = $1", [
      video.id,
      blob,
      size,
    ]);
  });
}

export async function finish(db: Database, job: JobRef): Promise<Change> {
  return await withVideo(db, job, async (tx, video) => {
    await completeJob(tx, job);
    return await conclude(tx, video);
  });
}

export async function fail(db: Database, job: JobRef, report: { failure: Failure; final: boolean; excused: boolean }): Promise<Change> {
  return await withVideo(db, job, async (tx, video, kind) => {
    if ((await failJob(tx, job, report)) === "queued" || kind === "video.storyboard" || kind === "video.foresee") return { id: video.id };
    if (video.status === "uploading") return DISPENSABLE.includes(kind) ? { id: video.id } : await withoutForesight(tx, video);
    return DISPENSABLE.includes(kind) ? await conclude(tx, video) : await giveUp(tx, video, report.failure);
  });
}

/** What cannot be done before the last byte has come is tried again from the start when it has. */
async function withoutForesight(tx: Tx, video: LockedVideo): Promise<Change> {
  await dropForesight(tx, video);
  return { id: video.id, status: video.status, cancelled: true };
}

/** The end of a job may be the end of the work. The video is locked, so of two last jobs the second one sees the first. */
async function conclude(tx: Tx, video: LockedVideo): Promise<Change> {
  // Captions, or a poster that was tried again: the video has ended before.
  if (video.status === "ready") return { id: video.id, status: video.status };
  const left = await rows(
    tx,
    `select 1 from jobs
     where video_id = $1
       and ((state in ('queued', 'running') and kind <> all ($2::text[])) or (state = 'failed' and kind <> all ($3::text[]))) limit 1`,
    [video.id, LATE, DISPENSABLE],
  );
  if (left.length > 0) return { id: video.id };
  const flaw = flawOf(await storedRenditions(tx, video));
  if (flaw !== undefined) return await giveUp(tx, video, { type: "TRANSCODE_FAILED", message: flaw });
  const status = after(video, "finished");
  await execute(
    tx,
    `update renditions set segments_total = stored.count
     from (select rendition, count(*) as count from segments where video_id = $1 and revision = $2 group by rendition) as stored
     where video_id = $1 and revision = $2 and name = stored.rendition`,
    [video.id, video.revision],
  );
  await execute(tx, "update videos set status = $2, updated_at = now() where id = $1", [video.id, status]);
  return { id: video.id, status, enqueued: await enqueue(tx, [{ kind: "video.storyboard", videoId: video.id, payload: {} }]) };
}

async function storedRenditions(tx: Tx, { id, revision }: LockedVideo): Promise<StoredRendition[]> {
  return await rows<StoredRendition>(
    tx,
    `select r.name, r.segments_total as planned, count(s.number)::integer as stored, coalesce(max(s.number), 0) as last
     from renditions r left join segments s on s.video_id = r.video_id and s.revision = r.revision and s.rendition = r.name
     where r.video_id = $1 and r.revision = $2
     group by r.name, r.segments_total order by r.name`,
    [id, revision],
  );
}

async function giveUp(tx: Tx, video: LockedVideo, { type, message }: Failure): Promise<Change> {
  const status = after(video, "failed");
  await execute(tx, "update videos set status = $2, error_type = $3, error_message = $4, updated_at = now() where id = $1", [
    video.id,
    status,
    type,
    message,
  ]);
  await cancelJobs(tx, video.id);
  return { id: video.id, status, cancelled: true };
}
