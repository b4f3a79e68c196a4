/** The catalogue: the life of a video, from its upload to its last segment. */
import { z } from "zod";
import { jobKind, jobReport, type WorkFailure } from "../jobs/contract.ts";
import { SEGMENT_BATCH_MAX } from "../kernel/limits.ts";
import { action, contract, event, returns } from "../kernel/rpc.ts";
import { jobRef, renditionName, sha256, uuid } from "../kernel/schemas.ts";
import type { VideoStatus } from "./domain/lifecycle.ts";

export type { VideoStatus } from "./domain/lifecycle.ts";
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
  readonly error: { readonly code: string; readonly message: string } | null;
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

export interface Playback {
  readonly id: string;
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

const plannedRendition = z.strictObject({
  name: renditionName,
  kind: z.enum(["video", "audio"]),
  width: z.int().nonnegative(),
  height: z.int().nonnegative(),
  /** Frames a second as a fraction, of the whole rendition, and of each segment but the last: what will be there at the end. */
  rate: z.tuple([z.int().positive(), z.int().positive()]),
  frames: z.int().positive(),
  framesPerSegment: z.int().positive(),
});

const plannedTask = z.strictObject({
  kind: jobKind,
  priority: z.int(),
  payload: z.record(z.string(), z.unknown()),
  /** Numbers of the segments that it makes, both inclusive: for `want`. */
  segments: z.strictObject({ first: z.int().positive(), last: z.int().positive() }).optional(),
});

const noParams = z.strictObject({});
const byId = z.strictObject({ id: uuid });

export const videos = contract("videos", {
  /** In one transaction the video is `queued` and its inspection job exists. The caller chooses the id, so a repeated call makes one video. */
  create: action({
    params: z.strictObject({
      id: uuid,
      title: z.string().min(1).max(200),
      description: z.string().max(5000).default(""),
      tags: z.array(z.string().min(1).max(50)).max(30).default([]),
      visibility: visibility.default("public"),
      filename: z.string().min(1).max(255),
      source: z.strictObject({ blob: sha256, size: z.int().positive() }),
    }),
    returns: returns<Video>(),
    scope: "cluster",
    idempotent: true,
  }),
  get: action({ params: byId, returns: returns<Video>(), scope: "cluster", idempotent: true }),
  /** Newest first. `cursor` continues after the last item of an earlier page; with `page` the position is counted instead. */
  list: action({
    params: z.strictObject({
      page: z.int().min(1).max(10_000).default(1),
      limit: z.int().min(1).max(100).default(20),
      cursor: z.string().max(200).optional(),
      status: z.enum(["queued", "processing", "ready", "failed"]).optional(),
    }),
    returns: returns<{ items: readonly Video[]; total: number; hasMore: boolean; nextCursor: string | null }>(),
    scope: "cluster",
    idempotent: true,
  }),
  status: action({ params: byId, returns: returns<ProcessingStatus>(), scope: "cluster", idempotent: true }),
  /** To the trash: gone from lists and playback at once, its work cancelled. */
  remove: action({ params: byId, returns: returns<null>(), scope: "cluster", idempotent: true }),

  /**
   * What manifests are made of: of what is stored, and where something is still to come, of what is planned. VIDEO_NOT_FOUND; VIDEO_NOT_PLAYABLE
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
  /** PICTURE_NOT_FOUND until there is one. */
  thumbnail: action({ params: byId, returns: returns<{ blob: string; size: number }>(), scope: "cluster", idempotent: true }),

  /** A worker started on the video's first job: its status becomes `processing`. */
  begin: action({ params: z.strictObject({ job: jobRef }), returns: returns<null>(), scope: "cluster", idempotent: true }),
  /** The inspection's end, in one transaction: facts and planned renditions are kept, the next jobs exist, the inspection job is done. */
  applyPlan: action({
    params: z.strictObject({
      job: jobRef,
      facts: sourceFacts,
      renditions: z.array(plannedRendition).min(1).max(16),
      tasks: z.array(plannedTask).min(1).max(SEGMENT_BATCH_MAX),
    }),
    returns: returns<null>(),
    scope: "cluster",
    idempotent: false,
  }),
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
  /** A conversion job is done; with the last one the video is `ready`, in the same transaction. JOB_LOST. */
  finish: action({ params: z.strictObject({ job: jobRef }), returns: returns<null>(), scope: "cluster", idempotent: false }),
  /**
   * A job of a video failed. Excused, or with attempts left and not `final`, it is queued again; else the video is `failed` with this reason and its other jobs are cancelled,
   * but for a picture, which a video can do without.
   */
  fail: action({
    params: jobReport,
    returns: returns<null>(),
    scope: "cluster",
    idempotent: false,
  }),

  /** Whether the database answers: its round trip in ms. */
  health: action({ params: noParams, returns: returns<{ databaseMs: number }>(), scope: "cluster", idempotent: true, timeoutMs: 2000 }),
});

/** Segments of a video became known. Only quickens: whoever waits for one asks now and then. */
export const segmentsStored = event<{ id: string }>("segments.stored");
/** Something about a video changed: ask for it anew. */
export const videoChanged = event<{ id: string; status: VideoStatus }>("video.changed");
