/** From facts to jobs: the frame grid, the spans, and one small task for each thing that has to be made. */
import { z } from "zod";
import { failure } from "../../kernel/errors.ts";
import { sha256 } from "../../kernel/schemas.ts";
import { ladderOf } from "./ladder.ts";
import type { SourceFacts } from "./facts.ts";
import { perSecond, type Rate } from "./rate.ts";
import { DEMUXERS, type Demuxer } from "./whitelist.ts";

/** Grows when a task means something else than before: a transcoder refuses what it was not built for. */
export const PLAN_VERSION = 2;

/** Against 4 s the same quality takes 11 % more bytes with 2 s, and 5 % fewer with 6 s; a seek waits for one segment. */
const SEGMENT_SECONDS = 4;
/** How far a segment may leave that length so that the last one does not become a sliver. */
const SEGMENT_SLACK = 0.1;

/** One AAC frame, and how many of them ffmpeg puts into a fragment of 4 s: the first that is not shorter. */
const AAC = { samples: 1024, rate: 48_000, primingSamples: 1024, framesPerSegment: 188 } as const;

/**
 * Segments of a span: 1, 2, 2, … The first is short, since it is waited for. Of 8 s each the work takes 5 % more processor time than in one
 * piece, of 4 s 20 %; longer ones would make a seek into what is not encoded yet wait longer.
 */
const SPAN_SEGMENTS = 2;
/**
 * A plan travels in one message, which stays below 256 KiB: a task has 750 bytes. The spans of films of more than 40 minutes are longer instead:
 * each is twice the one before until they are long enough, so that the start of a film is as soon to be seen as that of a short video.
 */
const SPANS_MAX = 300;

const count = z.int().positive();
const stream = z.int().nonnegative();
const seconds = z.number().positive();

const sourceSchema = z.strictObject({
  blob: sha256,
  size: count,
  demuxer: z.enum(DEMUXERS),
  /** Whether one can begin in the middle of it (facts.ts). */
  seekable: z.boolean(),
  /** Time stamp of its start, s, and how long after it the result begins. */
  start: z.number(),
  origin: z.number().nonnegative(),
});
export type Source = z.infer<typeof sourceSchema>;

const renditionSchema = z.strictObject({ name: z.string(), width: count, height: count, maxrateK: count });

const version = z.literal(PLAN_VERSION);
const spanTask = z.strictObject({
  version,
  source: sourceSchema,
  rate: z.tuple([count, count]),
  framesPerSegment: count,
  /** A run of frames of the grid that begins a segment. */
  span: z.strictObject({ index: stream, first: stream, frames: count, last: z.boolean() }),
  picture: z.strictObject({
    stream,
    interlaced: z.boolean(),
    hdr: z.boolean(),
    matrix: z.enum(["bt601", "bt709", "bt2020", "smpte240m"]),
  }),
  preset: z.string().regex(/^[a-z]{4,9}$/),
  renditions: z.array(renditionSchema).min(1).max(8),
});
const audioTask = z.strictObject({ version, source: sourceSchema, stream, seconds });
const pictureTask = z.strictObject({ version, source: sourceSchema, stream, seconds, hdr: z.boolean(), width: count, height: count });
export type SpanTask = z.infer<typeof spanTask>;
export type AudioTask = z.infer<typeof audioTask>;
export type PictureTask = z.infer<typeof pictureTask>;

const tasks = { "video.span": spanTask, "video.audio": audioTask, "video.picture": pictureTask } as const;
export type TaskKind = keyof typeof tasks;

/** Reads the payload of a job. It is our own, but perhaps of another version of this program: TRANSCODE_FAILED. */
export function taskOf<K extends TaskKind>(kind: K, payload: unknown): z.output<(typeof tasks)[K]> {
  const parsed = tasks[kind].safeParse(payload);
  if (parsed.success) return parsed.data as z.output<(typeof tasks)[K]>;
  throw failure("TRANSCODE_FAILED", "The work was planned by another version of this program.", { data: { log: parsed.error.message } });
}

export interface PlannedTask {
  readonly kind: TaskKind;
  readonly priority: number;
  readonly payload: Readonly<Record<string, unknown>>;
  /** Numbers of the segments that it makes, both inclusive. */
  readonly segments?: { readonly first: number; readonly last: number };
}

interface PlannedRendition {
  readonly name: string;
  readonly kind: "video" | "audio";
  readonly width: number;
  readonly height: number;
  /** Frames a second, in all, and in each segment but the last: manifests promise them before they are there. */
  readonly rate: Rate;
  readonly frames: number;
  readonly framesPerSegment: number;
}

export interface Plan {
  readonly renditions: readonly PlannedRendition[];
  readonly tasks: readonly PlannedTask[];
}

interface SourceBlob {
  readonly blob: string;
  readonly size: number;
  readonly demuxer: Demuxer;
}

export interface PlanSettings {
  /** Of x264. It is part of the plan, since all spans of a video must be encoded alike. */
  readonly preset: string;
  /** About how long a segment is; 4 when not given. */
  readonly segmentSeconds?: number;
}

/** The whole plan of one source. Pure: the same facts make the same plan. */
export function planOf(facts: SourceFacts, blob: SourceBlob, { preset, segmentSeconds = SEGMENT_SECONDS }: PlanSettings): Plan {
  const { picture, sound } = facts;
  const source: Source = { ...blob, seekable: facts.seekable, start: facts.startS, origin: facts.originS };
  const rungs = ladderOf(picture);
  const framesPerSegment = segmentFrames(picture.frames, picture.rate, segmentSeconds);
  const spans = spansOf(facts, framesPerSegment).map((span): SpanTask => ({
    version: PLAN_VERSION,
    source,
    rate: [...picture.rate],
    framesPerSegment,
    span,
    picture: { stream: picture.stream, interlaced: picture.interlaced, hdr: picture.hdr, matrix: picture.matrix },
    preset,
    renditions: [...rungs],
  }));
  const largest = rungs[0] ?? picture;
  const still: PictureTask = {
    version: PLAN_VERSION,
    source,
    stream: picture.stream,
    seconds: picture.frames / perSecond(picture.rate),
    hdr: picture.hdr,
    width: largest.width,
    height: largest.height,
  };
  const heard: AudioTask[] = sound ? [{ version: PLAN_VERSION, source, stream: sound.stream, seconds: sound.seconds }] : [];
  const frames = { rate: picture.rate, frames: picture.frames, framesPerSegment };
  return {
    renditions: [
      ...rungs.map(({ name, width, height }) => ({ name, kind: "video" as const, width, height, ...frames })),
      ...heard.map(({ seconds: length }) => ({ name: "audio", kind: "audio" as const, width: 0, height: 0, ...audioFrames(length) })),
    ],
    // The sound first: it is done in a hundredth of the time, and nothing can be watched to the end without it.
    tasks: [
      ...heard.map((payload) => ({
        kind: "video.audio" as const,
        priority: 1000,
        payload,
        segments: { first: 1, last: audioSegments(payload.seconds) },
      })),
      // The first span of a new video before the second of an older one, and so on: a short video is not stuck behind a film.
      ...spans.map((payload) => ({
        kind: "video.span" as const,
        priority: 1000 - payload.span.index,
        payload,
        segments: spanSegments(payload),
      })),
      { kind: "video.picture", priority: 1000, payload: still },
    ],
  };
}

/** Numbers of the first and the last. */
export function spanSegments({ span, framesPerSegment }: SpanTask): { first: number; last: number } {
  return { first: span.first / framesPerSegment + 1, last: Math.ceil((span.first + span.frames) / framesPerSegment) };
}

/** Each begins a segment. One for a source in the middle of which nobody can begin. */
function spansOf({ picture: { frames }, seekable }: SourceFacts, framesPerSegment: number): SpanTask["span"][] {
  const starts = seekable ? spanStarts(Math.ceil(frames / framesPerSegment)).map((segment) => segment * framesPerSegment) : [0];
  return starts.map((first, index) => ({
    index,
    first,
    frames: (starts[index + 1] ?? frames) - first,
    last: index === starts.length - 1,
  }));
}

/** How many segments come before each span. */
export function spanStarts(segments: number): number[] {
  const longest = Math.max(SPAN_SEGMENTS, Math.ceil(segments / SPANS_MAX));
  const starts: number[] = [];
  let length = 1;
  for (let start = 0; start < segments; start += length, length = Math.min(2 * length, longest)) starts.push(start);
  return starts;
}

/** About so many seconds of frames. Near that length, the one whose last segment is whole or at least half as long as the others. */
export function segmentFrames(frames: number, rate: Rate, about: number = SEGMENT_SECONDS): number {
  const wanted = Math.max(1, Math.round(about * perSecond(rate)));
  const slack = Math.floor(wanted * SEGMENT_SLACK);
  const near = Array.from({ length: 2 * slack + 1 }, (_, n) => wanted + (n % 2 === 0 ? n / 2 : -(n + 1) / 2));
  return near.find((length) => frames % length === 0 || frames % length >= length / 2) ?? wanted;
}

/** Fragments that the sound will be cut into. */
export function audioSegments(length: number): number {
  const { frames, framesPerSegment } = audioFrames(length);
  return Math.ceil(frames / framesPerSegment);
}

function audioFrames(length: number): Pick<PlannedRendition, "rate" | "frames" | "framesPerSegment"> {
  const frames = Math.max(1, Math.ceil((Math.round(length * AAC.rate) + AAC.primingSamples) / AAC.samples));
  return { rate: [AAC.rate, AAC.samples], frames, framesPerSegment: AAC.framesPerSegment };
}
