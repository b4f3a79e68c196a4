/** The catalogue: the life of a video, from its upload to its last segment. */
import { z } from "zod";
import { jobId, jobKind, jobReport, type WorkFailure } from "../jobs/contract.ts";
import { SEGMENT_BATCH_MAX } from "../kernel/limits.ts";
import { principal } from "../kernel/principal.ts";
import { action, contract, event, returns } from "../kernel/rpc.ts";
import { jobRef, language, renditionName, sha256, uuid } from "../kernel/schemas.ts";
import type { VideoStatus } from "./domain/lifecycle.ts";
import { sorts } from "./domain/listing.ts";
import type { Reason } from "./domain/recommendations.ts";
import { period, POPULAR_MAX, viewingReport, type Popular, type Statistics } from "./domain/viewing.ts";

export { isSettled, type VideoStatus } from "./domain/lifecycle.ts";
export { HOURS, POPULAR_MAX, viewingReport, type Popular, type Statistics, type ViewingEvent } from "./domain/viewing.ts";
/** A title of 200 characters of three bytes each, an id, and their wrapping. */
export const CURSOR_LENGTH_MAX = 1500;

const visibility = z.enum(["public", "unlisted", "private"]);

export interface VideoRendition {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  /** Peak bits per second of any segment. */
  readonly bitrate: number;
  /** RFC 6381, such as "avc1.64001f". */
  readonly codecs: string;
}

/** A video as the rest of the system sees it. Times are RFC 3339 UTC, durations seconds, sizes bytes; null is "not known yet" or "there is none". */
export interface Video {
  readonly id: string;
  readonly title: string;
  readonly description: string;
  readonly tags: readonly string[];
  readonly status: VideoStatus;
  readonly playable: boolean;
  /** 0–1, of all the work that stands between the upload and `ready`. */
  readonly progress: number;
  readonly visibility: z.infer<typeof visibility>;
  readonly owner: string | null;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly deletedAt: string | null;
  readonly duration: number | null;
  readonly size: number;
  readonly width: number | null;
  readonly height: number | null;
  readonly frameRate: number | null;
  readonly container: string | null;
  readonly videoCodec: string | null;
  readonly audioCodec: string | null;
  readonly renditions: readonly VideoRendition[];
  readonly views: number;
  readonly hasThumbnail: boolean;
  readonly hasStoryboard: boolean;
  /** Languages, as tags of BCP 47. */
  readonly captions: readonly string[];
  /** Grows with each edit by a person; what only processing changes leaves it alone. */
  readonly edition: number;
  readonly error: { readonly code: string; readonly message: string } | null;
}

/** A page of a list. */
export interface VideoPage {
  readonly items: readonly Video[];
  readonly total: number;
  /** Whether `total` is a guess: a thousand are counted, and what is more is told from statistics. */
  readonly totalEstimated: boolean;
  readonly hasMore: boolean;
  readonly nextCursor: string | null;
  /** The search that was made because the one that was asked for finds nothing. */
  readonly corrected: string | null;
}

export interface Recommendation {
  readonly video: Video;
  readonly reason: Reason;
}

export interface StageStatus {
  readonly name: "inspect" | "video" | "audio" | "picture";
  readonly state: "waiting" | "running" | "done" | "failed" | "cancelled";
  /** 0–1 */
  readonly progress: number;
  readonly attempts: number;
  readonly error: WorkFailure | null;
}

export interface ProcessingStatus {
  readonly id: string;
  readonly status: VideoStatus;
  readonly playable: boolean;
  readonly progress: number;
  readonly stages: readonly StageStatus[];
  /** Per rendition: segments stored of all that were planned. */
  readonly renditions: readonly {
    readonly name: string;
    readonly segmentsDone: number;
    readonly segmentsTotal: number;
    readonly progress: number;
  }[];
  /** Spans (one conversion job each) done of all. */
  readonly spansDone: number;
  readonly spansTotal: number;
  /** An estimate from the speed so far; null before there is any. */
  readonly secondsLeft: number | null;
  readonly attempts: number;
  readonly error: { readonly code: string; readonly message: string } | null;
}

const segmentSchema = z.strictObject({
  /** From 1, without gaps, over the whole rendition. */
  number: z.int().positive(),
  blob: sha256,
  /** Bytes. */
  size: z.int().positive(),
  /** Presentation start and duration in the rendition's timescale. */
  start: z.int().nonnegative(),
  duration: z.int().positive(),
});
export type SegmentRow = z.infer<typeof segmentSchema>;

export interface PlaybackRendition extends VideoRendition {
  readonly kind: "video" | "audio";
  /** Ticks a second of every time in its segments. */
  readonly timescale: number;
  readonly init: { readonly blob: string; readonly size: number };
  readonly averageBitrate: number;
  /** Runs of equal durations, in order: [count, duration in ticks]. A whole film is one or two runs. */
  readonly runs: readonly (readonly [number, number])[];
}

/** A blob of a video, and what the right to see it hangs on. */
export interface VideoBlob {
  readonly id: string;
  readonly owner: string | null;
  readonly visibility: z.infer<typeof visibility>;
  readonly blob: string;
  readonly size: number;
}

export interface Playback {
  readonly id: string;
  /** Languages. */
  readonly captions: readonly string[];
  readonly owner: string | null;
  /** Grows when the renditions are made anew: it is part of every segment's address, so that addresses stay immutable. */
  readonly revision: number;
  readonly visibility: z.infer<typeof visibility>;
  /** Frames a second as a fraction. */
  readonly frameRate: readonly [number, number];
  readonly renditions: readonly PlaybackRendition[];
}

/** What the inspection of a source found out. */
const sourceFacts = z.strictObject({
  durationS: z.number().positive(),
  width: z.int().positive(),
  height: z.int().positive(),
  frameRate: z.tuple([z.int().positive(), z.int().positive()]),
  container: z.string().max(64),
  videoCodec: z.string().max(64),
  audioCodec: z.string().max(64).nullable(),
});

/** The short segments at the start, those of the usual length, and the last. */
const RUNS_MAX = 8;
const plannedRendition = z.strictObject({
  name: renditionName,
  kind: z.enum(["video", "audio"]),
  width: z.int().nonnegative(),
  height: z.int().nonnegative(),
  /** Frames a second as a fraction, and the segments in order as [how many, frames of each]: what will be there at the end. */
  rate: z.tuple([z.int().positive(), z.int().positive()]),
  runs: z
    .array(z.tuple([z.int().positive(), z.int().positive()]))
    .min(1)
    .max(RUNS_MAX),
});

const plannedTask = z.strictObject({
  kind: jobKind,
  priority: z.int(),
  payload: z.record(z.string(), z.unknown()),
  /** Numbers of the segments that it makes, both inclusive: for `want`. */
  segments: z.strictObject({ first: z.int().positive(), last: z.int().positive() }).optional(),
});

/** A picture of pictures. */
const storyboardSchema = z.strictObject({
  blob: sha256,
  size: z.int().positive(),
  /** Pictures in a row; the last row may be shorter. */
  columns: z.int().min(1).max(100),
  /** Pixels of each. */
  width: z.int().min(1).max(1000),
  height: z.int().min(1).max(1000),
  /** When each begins, s. */
  starts: z.array(z.number().nonnegative()).min(1).max(1000),
});
export type StoryboardTiles = Omit<z.infer<typeof storyboardSchema>, "blob" | "size">;
export interface Storyboard extends VideoBlob, Readonly<StoryboardTiles> {
  /** Of the video, s: when the last one ends. */
  readonly duration: number;
}

/** Names all that decides what becomes of a source: of the same source, the same recipe makes the same. */
const recipe = z.string().min(1).max(200);

/** What is known of a new video besides its bytes. */
const details = {
  title: z.string().min(1).max(200),
  description: z.string().max(5000).default(""),
  tags: z.array(z.string().min(1).max(50)).max(30).default([]),
  visibility: visibility.default("public"),
};

const said = z
  .strictObject({ title: details.title, description: z.string().max(5000), tags: z.array(z.string().min(1).max(50)).max(30), visibility })
  .partial();

const time = z.iso.datetime({ offset: true, error: "must be a time such as 2026-11-22T16:00:00Z" });
const seconds = z.number().min(0).max(1e9);

/** A viewer is 16 bytes that stand for somebody and mean nothing elsewhere. */
const play = z.strictObject({ id: uuid, viewer: z.string().regex(/^[0-9a-f]{32}$/) });
export type Play = Readonly<z.infer<typeof play>>;
/** A message of 80 KB. */
export const PLAYS_BATCH_MAX = 1000;

const report = viewingReport.extend({ id: uuid, viewer: play.shape.viewer });
export type Report = Readonly<z.infer<typeof report>>;
export type PopularVideo = Omit<Popular, "id"> & { readonly video: Video };

const noParams = z.strictObject({});
const byId = z.strictObject({ id: uuid });
/** What somebody asks about a video: VIDEO_NOT_FOUND also for who may not see it. */
const asked = byId.extend({ as: principal });
const editions = z.array(z.int().positive()).max(100).optional();

const removal = {
  params: asked.extend({ editions }),
  returns: returns<null>(),
  scope: "cluster",
  idempotent: true,
  doneWhen: "VIDEO_NOT_FOUND",
} as const;

export const videos = contract("videos", {
  /** In one transaction the video is `queued` and its inspection job exists. It belongs to who asks. The caller chooses the id, so a repeated call makes one video. */
  create: action({
    params: z.strictObject({
      as: principal,
      id: uuid,
      ...details,
      filename: z.string().min(1).max(255),
      source: z.strictObject({ blob: sha256, size: z.int().positive() }),
      /** How the client names its request: the same again makes nothing new for 24 hours. */
      request: z.strictObject({ key: z.string().min(1).max(300), digest: sha256 }).optional(),
    }),
    returns: returns<Video>(),
    scope: "cluster",
    idempotent: true,
  }),
  /** Makes a video that is `uploading`: its bytes are still to come. `size` is what the client announced, 0 while it does not know. It belongs to who asks. Repeated, it makes one video. */
  reserve: action({
    params: z.strictObject({
      as: principal,
      id: uuid,
      ...details,
      filename: z.string().min(1).max(255),
      size: z.int().nonnegative(),
    }),
    returns: returns<Video>(),
    scope: "cluster",
    idempotent: true,
  }),
  /** The last byte of an `uploading` video is durable: in one transaction it is `queued` and its inspection job exists. VIDEO_NOT_FOUND. */
  arrive: action({
    params: z.strictObject({ id: uuid, source: z.strictObject({ blob: sha256, size: z.int().positive() }) }),
    returns: returns<null>(),
    scope: "cluster",
    idempotent: true,
  }),
  /**
   * More bytes of an `uploading` video are durable: `offset` of `length`. Work that needs no more of them is let go, and with the first of them (`begins`) a
   * job looks whether any work can be done before the last.
   */
  grew: action({
    params: z.strictObject({ id: uuid, upload: uuid, offset: z.int().positive(), length: z.int().positive(), begins: z.boolean() }),
    returns: returns<null>(),
    scope: "cluster",
    // Each part of an upload waits for it, and loses nothing without it: one attempt, and a short one.
    idempotent: false,
    timeoutMs: 1000,
  }),
  /** Where the source of a video lies; null while it is on its way. VIDEO_NOT_FOUND. */
  arrived: action({ params: byId, returns: returns<{ readonly blob: string } | null>(), scope: "cluster", idempotent: true }),
  /** Its bytes will never come: an `uploading` video is gone as if it had never been. Any other stays as it is. */
  abandon: action({ params: byId, returns: returns<null>(), scope: "cluster", idempotent: true }),
  get: action({ params: asked, returns: returns<Video>(), scope: "cluster", idempotent: true }),
  /**
   * Newest first, or what matches best of what `q` finds. `cursor` continues after the last item of an earlier page; with `page` the position is counted
   * instead. Each sees what is public and what is its own. INVALID_REQUEST.
   */
  list: action({
    params: z.strictObject({
      as: principal,
      page: z.int().min(1).max(10_000).default(1),
      limit: z.int().min(1).max(100).default(20),
      cursor: z.string().max(CURSOR_LENGTH_MAX).optional(),
      q: z.string().min(1).max(200).optional(),
      sort: z.enum(sorts).optional(),
      status: z.enum(["uploading", "queued", "processing", "ready", "failed"]).optional(),
      tag: z.string().min(1).max(50).optional(),
      createdAfter: time.optional(),
      createdBefore: time.optional(),
      minDuration: seconds.optional(),
      maxDuration: seconds.optional(),
      visibility: visibility.optional(),
      owner: uuid.optional(),
      trash: z.boolean().default(false),
    }),
    returns: returns<VideoPage>(),
    scope: "cluster",
    idempotent: true,
  }),
  status: action({ params: asked, returns: returns<ProcessingStatus>(), scope: "cluster", idempotent: true }),
  /** Other words about it. With `editions`, only while the present one is among them: VIDEO_CHANGED. VIDEO_NOT_FOUND, and FORBIDDEN for who may only see it. */
  edit: action({
    params: asked.extend({ set: said, editions }),
    returns: returns<Video>(),
    scope: "cluster",
    idempotent: false,
  }),
  /** To the trash: gone from lists and playback at once, its work cancelled. VIDEO_CHANGED as in `edit`. FORBIDDEN for who may only see it. */
  remove: action(removal),
  /** Out of the trash, as it was; cancelled work goes on. */
  restore: action({ params: asked, returns: returns<Video>(), scope: "cluster", idempotent: true }),
  /** For ever, in the trash or not: no row names its blobs any more. VIDEO_CHANGED as in `edit`. */
  purge: action(removal),
  /** A failed video is processed again from where it failed. VIDEO_NOT_FAILED. */
  retry: action({ params: asked, returns: returns<Video>(), scope: "cluster", idempotent: false }),
  /** A job of it that has failed is done again: of a failed video with all that is left, else alone. JOB_NOT_FAILED. */
  retryJob: action({ params: asked.extend({ job: jobId }), returns: returns<null>(), scope: "cluster", idempotent: false }),
  /** What was uploaded, for its owner. VIDEO_NOT_FOUND for everybody else, and until it is there. */
  source: action({ params: asked, returns: returns<VideoBlob & { filename: string }>(), scope: "cluster", idempotent: true }),
  /** Videos for whoever watches this one, each with its reason. */
  recommendations: action({
    params: asked.extend({ limit: z.int().min(1).max(50) }),
    returns: returns<readonly Recommendation[]>(),
    scope: "cluster",
    idempotent: true,
  }),
  /** Where captions lie; who may see them is for the gateway to say. CAPTIONS_NOT_FOUND. */
  captions: action({ params: z.strictObject({ id: uuid, language }), returns: returns<VideoBlob>(), scope: "cluster", idempotent: true }),
  putCaptions: action({
    params: asked.extend({ language, editions, blob: sha256, size: z.int().positive() }),
    returns: returns<null>(),
    scope: "cluster",
    idempotent: true,
  }),
  removeCaptions: action({ params: asked.extend({ language, editions }), returns: returns<null>(), scope: "cluster", idempotent: false }),

  /**
   * What manifests are made of; who may see them is for the gateway to say, which remembers the answer for everybody: of what is stored, and where something is still to come, of what is planned. VIDEO_NOT_FOUND; VIDEO_NOT_PLAYABLE
   * until the first seconds can be watched.
   */
  playback: action({ params: byId, returns: returns<Playback>(), scope: "cluster", idempotent: true }),
  /** Where segments lie: those numbered from `from`, at most `count`. */
  segments: action({
    params: z.strictObject({
      id: uuid,
      revision: z.int().positive(),
      rendition: renditionName,
      from: z.int().positive(),
      count: z.int().min(1).max(SEGMENT_BATCH_MAX),
    }),
    returns: returns<readonly SegmentRow[]>(),
    scope: "cluster",
    idempotent: true,
  }),
  /**
   * Where a segment lies; null when it is still to come, and then its job is at the front of the queue. SEGMENT_NOT_FOUND when it will never
   * come, VIDEO_NOT_FOUND, VIDEO_NOT_PLAYABLE.
   */
  want: action({
    params: z.strictObject({ id: uuid, revision: z.int().positive(), rendition: renditionName, number: z.int().positive() }),
    returns: returns<SegmentRow | null>(),
    scope: "cluster",
    idempotent: true,
  }),
  /** Somebody watches: counted as a view, unless the same viewer has done so lately. Told again while it goes on. */
  played: action({
    params: z.strictObject({ plays: z.array(play).min(1).max(PLAYS_BATCH_MAX) }),
    returns: returns<null>(),
    scope: "cluster",
    idempotent: true,
  }),
  /** What a player tells of somebody who watches. VIDEO_NOT_PLAYABLE. */
  watched: action({ params: report.extend({ as: principal }), returns: returns<null>(), scope: "cluster", idempotent: true }),
  /** Who has watched a video. FORBIDDEN. */
  analytics: action({ params: asked.extend(period), returns: returns<Statistics>(), scope: "cluster", idempotent: true }),
  /** Who has watched anything. */
  overview: action({ params: z.strictObject(period), returns: returns<Statistics>(), scope: "cluster", idempotent: true }),
  /** What most people watch lately, of what everybody may see. */
  /** Up to a minute old. */
  popular: action({
    params: z.strictObject({ limit: z.int().min(1).max(POPULAR_MAX) }),
    returns: returns<readonly PopularVideo[]>(),
    scope: "cluster",
    idempotent: true,
  }),
  /** PICTURE_NOT_FOUND until there is one. */
  thumbnail: action({ params: byId, returns: returns<VideoBlob>(), scope: "cluster", idempotent: true }),
  /** PICTURE_NOT_FOUND until there is one. */
  storyboard: action({ params: byId, returns: returns<Storyboard>(), scope: "cluster", idempotent: true }),

  /** A worker started on the video's first job: its status becomes `processing`. */
  begin: action({ params: z.strictObject({ job: jobRef }), returns: returns<null>(), scope: "cluster", idempotent: true }),
  /**
   * Whether the video is ready now, since another one of the same source was made by the same recipe: then it has the same pictures and sounds, and its
   * inspection is done. Of private videos only those of the same owner count: nobody learns what others keep to themselves. JOB_LOST.
   */
  reuse: action({
    params: z.strictObject({ job: jobRef, recipe }),
    returns: returns<boolean>(),
    scope: "cluster",
    idempotent: false,
  }),
  /** The inspection's end, in one transaction: facts and planned renditions are kept, the next jobs exist, the inspection job is done. */
  applyPlan: action({
    params: z.strictObject({
      job: jobRef,
      recipe,
      facts: sourceFacts,
      renditions: z.array(plannedRendition).min(1).max(16),
      tasks: z.array(plannedTask).min(1).max(SEGMENT_BATCH_MAX),
    }),
    returns: returns<null>(),
    scope: "cluster",
    idempotent: false,
  }),
  /**
   * The end of the look at a source that is still on its way: null when it does not tell enough, else what `applyPlan` takes, and for each task how many
   * bytes of the source it needs. `offset` have come. A video that has its source by now is planned anew from that.
   * With `needsBytes` and no plan the look is made again when so many have come. JOB_LOST.
   */
  foresee: action({
    params: z.strictObject({
      job: jobRef,
      offset: z.int().nonnegative(),
      plan: z
        .strictObject({
          recipe,
          facts: sourceFacts,
          renditions: z.array(plannedRendition).min(1).max(16),
          tasks: z
            .array(plannedTask.extend({ needsBytes: z.int().positive() }))
            .min(1)
            .max(SEGMENT_BATCH_MAX),
        })
        .nullable(),
      needsBytes: z.int().positive().optional(),
    }),
    returns: returns<null>(),
    scope: "cluster",
    idempotent: false,
  }),
  /** The plan of a video that is in process is of no use any more: its work is dropped with what it made, and its source is inspected again. Of one that is ready only the job fails. JOB_LOST. */
  planAnew: action({ params: z.strictObject({ job: jobRef }), returns: returns<null>(), scope: "cluster", idempotent: false }),
  /** Segments of one rendition that are durable. The initialisation is the same for every span; another one is TRANSCODE_FAILED, unless a single job makes the rendition: then it starts over. */
  publish: action({
    params: z.strictObject({
      job: jobRef,
      rendition: renditionName,
      timescale: z.int().positive(),
      codecs: z.string().max(64),
      init: z.strictObject({ blob: sha256, size: z.int().positive() }),
      segments: z.array(segmentSchema).min(1).max(SEGMENT_BATCH_MAX),
    }),
    returns: returns<null>(),
    scope: "cluster",
    idempotent: true,
  }),
  publishThumbnail: action({
    params: z.strictObject({ job: jobRef, blob: sha256, size: z.int().positive() }),
    returns: returns<null>(),
    scope: "cluster",
    idempotent: true,
  }),
  /** That came with the source. Those that a person has brought in the same language stay. JOB_LOST. */
  publishCaptions: action({
    params: z.strictObject({ job: jobRef, language, blob: sha256, size: z.int().positive() }),
    returns: returns<null>(),
    scope: "cluster",
    idempotent: true,
  }),
  /** Small pictures of the whole video; the job that made them is done. JOB_LOST. */
  publishStoryboard: action({
    params: storyboardSchema.extend({ job: jobRef }),
    returns: returns<null>(),
    scope: "cluster",
    idempotent: false,
  }),
  /** One rendition of a span, for which somebody waited, is made: the job waits for its turn to make the others. JOB_LOST. */
  defer: action({
    params: z.strictObject({ job: jobRef, made: renditionName }),
    returns: returns<null>(),
    scope: "cluster",
    idempotent: false,
  }),
  /** A conversion job is done; with the last one the video is `ready`, in the same transaction. JOB_LOST. */
  finish: action({ params: z.strictObject({ job: jobRef }), returns: returns<null>(), scope: "cluster", idempotent: false }),
  /**
   * A job of a video failed. Excused, or with attempts left and not `final`, it is queued again; else the video is `failed` with this reason and its other jobs are cancelled,
   * but for a picture or captions, which a video can do without.
   */
  fail: action({ params: jobReport, returns: returns<null>(), scope: "cluster", idempotent: false }),

  /** Whether the database answers: its round trip in ms. */
  health: action({ params: noParams, returns: returns<{ databaseMs: number }>(), scope: "cluster", idempotent: true, timeoutMs: 2000 }),
});

/** Segments of a video became known. Only quickens: whoever waits for one asks now and then. */
export const segmentsStored = event<{ id: string }>("segments.stored");
/** Something about a video changed: ask for it anew. */
export const videoChanged = event<{ id: string; status: VideoStatus }>("video.changed");
