/** From facts to jobs: the frame grid, the spans, and one small task for each thing that has to be made. */
import { z } from "zod";
import { failure } from "../../kernel/errors.ts";
import { language, sha256, uuid } from "../../kernel/schemas.ts";
import { ladderOf } from "./ladder.ts";
import type { SourceFacts } from "./facts.ts";
import { perSecond, type Rate } from "./rate.ts";
import type { Reach } from "./sample-tables.ts";
import { DEMUXERS, type Demuxer } from "./whitelist.ts";

/** Grows when a task means something else than before: what an older program planned is planned anew, what a newer one planned is left to it. */
export const PLAN_VERSION = 8;

/** Against 4 s the same quality takes 11 % more bytes with 2 s, and 5 % fewer with 6 s; a seek waits for one segment. */
const SEGMENT_SECONDS = 4;
/** How far a segment may leave that length so that the last one does not become a sliver. */
const SEGMENT_SLACK = 0.1;

/** One AAC frame, and how many of them ffmpeg puts into a fragment of 4 s: the first that is not shorter. */
const AAC = { samples: 1024, rate: 48_000, primingSamples: 1024, framesPerSegment: 188, lookAhead: 4 } as const;

/**
 * The first segment is cut into so many: until the first of them is there, nobody sees anything, and a second of five renditions at 1080p takes a
 * second and a half of processor time where four seconds take six. Their keyframes cost bytes, so only the start is cut like this.
 */
const LEAD_SEGMENTS = 4;
/** Up to so many times as long as that a video has short segments only: what is left over would hardly be worth a job. */
const SHORT_VIDEO = 1.5;
/**
 * Segments of a span: the short ones, then 1, 2, 2, … The first are short, since they are waited for. Of 8 s each the work takes 5 % more processor
 * time than in one piece, of 4 s 20 %; longer ones would make a seek into what is not encoded yet wait longer.
 */
const SPAN_SEGMENTS = 2;
/**
 * A plan travels in one message, which stays below 256 KiB: a task has 750 bytes. The spans of films of more than half an hour are longer instead:
 * each is twice the one before until they are long enough, so that the start of a film is as soon to be seen as that of a short video.
 */
const SPANS_MAX = 240;

/**
 * Sound is encoded 60 times faster than it is heard, so its spans are longer: twice the one before, up to 16 s. A leap waits for what lies before it in its
 * span, and most of that is the reading of the picture's bytes that lie between: of a minute it took two seconds. A task has 500 bytes.
 */
const AUDIO_SPAN_SEGMENTS = { first: 2, longest: 4 } as const;
const AUDIO_SPANS_MAX = 60;
/**
 * Segments of sound that are encoded before a span and thrown away. Each frame of AAC is heard together with the one before, which another span
 * makes of the same samples: after a segment, both encoders have settled.
 */
const AUDIO_WARM_UP = 1;

const count = z.int().positive();
const stream = z.int().nonnegative();
const seconds = z.number().positive();

const sourceSchema = z.strictObject({
  /** Where its bytes are: one of the two. An upload, as long as not all of them have come. */
  blob: sha256.optional(),
  upload: uuid.optional(),
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
  /** In this span; only the last segment of all may have fewer. */
  framesPerSegment: count,
  /** A run of frames of the grid, and the number of the segment that it begins. */
  span: z.strictObject({ index: stream, first: stream, frames: count, segment: count, last: z.boolean() }),
  picture: z.strictObject({
    stream,
    interlaced: z.boolean(),
    hdr: z.boolean(),
    matrix: z.enum(["bt601", "bt709", "bt2020", "smpte240m"]),
  }),
  preset: z.string().regex(/^[a-z]{4,9}$/),
  renditions: z.array(renditionSchema).min(1).max(8),
  /** What the queue adds: those that are there already, the one that somebody waits for, from which segment on, and the priority before that. */
  made: z.array(z.string()).optional(),
  wanted: z.string().optional(),
  from: count.optional(),
  planned: z.int().optional(),
});
const audioTask = z.strictObject({
  version,
  source: sourceSchema,
  stream,
  /** Of all the sound. */
  seconds,
  /** A run of segments, and the number of the first. */
  span: z.strictObject({ segment: count, segments: count, last: z.boolean() }),
});
const pictureTask = z.strictObject({ version, source: sourceSchema, stream, seconds, hdr: z.boolean(), width: count, height: count });
const captionsTask = z.strictObject({ version, source: sourceSchema, texts: z.array(z.strictObject({ stream, language })).min(1).max(64) });
export type CaptionsTask = z.infer<typeof captionsTask>;
export type SpanTask = z.infer<typeof spanTask>;
export type AudioTask = z.infer<typeof audioTask>;
export type PictureTask = z.infer<typeof pictureTask>;

const tasks = { "video.span": spanTask, "video.audio": audioTask, "video.picture": pictureTask, "video.captions": captionsTask } as const;
export type TaskKind = keyof typeof tasks;
export type TaskOf<K extends TaskKind> = z.output<(typeof tasks)[K]>;

const versioned = z.looseObject({ version: z.int() });

/** Whether the payload of a job is of a program that came before this one, or after it; what tells no version is as old as can be. */
export function ageOf(payload: unknown): "older" | "same" | "newer" {
  const planned = versioned.safeParse(payload).data?.version ?? 0;
  if (planned === PLAN_VERSION) return "same";
  return planned < PLAN_VERSION ? "older" : "newer";
}

/** Reads the payload of a job, which is of this version. TRANSCODE_FAILED when it is not what was planned. */
export function taskOf<K extends TaskKind>(kind: K, payload: unknown): TaskOf<K> {
  const parsed = tasks[kind].safeParse(payload);
  if (parsed.success) return parsed.data as TaskOf<K>;
  throw failure("TRANSCODE_FAILED", "The work is not what this program plans.", { data: { log: parsed.error.message } });
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
  /** Frames a second, and the segments in order as [how many, frames of each]: manifests promise them before they are there. */
  readonly rate: Rate;
  readonly runs: readonly Run[];
}
type Run = readonly [segments: number, frames: number];

export interface Plan {
  readonly recipe: string;
  readonly renditions: readonly PlannedRendition[];
  readonly tasks: readonly PlannedTask[];
}

/** Where the bytes of a source are. */
export type Whereabouts = { readonly blob: string } | { readonly upload: string };

type SourceBytes = Whereabouts & {
  readonly size: number;
  readonly demuxer: Demuxer;
};

export interface PlanSettings {
  /** Of x264. It is part of the plan, since all spans of a video must be encoded alike. */
  readonly preset: string;
  /** Of what playing waits for; each later span has one less. */
  readonly startPriority: number;
  /** About how long a segment is; 4 when not given. */
  readonly segmentSeconds?: number;
}

/** Names all that a plan is made by besides its source: the same name stands for the same renditions. */
export function recipeOf({ preset, segmentSeconds = SEGMENT_SECONDS }: PlanSettings): string {
  return `plan ${PLAN_VERSION}, x264 ${preset}, ${segmentSeconds} s`;
}

/** The whole plan of one source. Pure: the same facts make the same plan. */
export function planOf(facts: SourceFacts, bytes: SourceBytes, settings: PlanSettings): Plan {
  const { preset, startPriority, segmentSeconds = SEGMENT_SECONDS } = settings;
  const { picture, sound } = facts;
  const source: Source = { ...bytes, seekable: facts.seekable, start: facts.startS, origin: facts.originS };
  const rungs = ladderOf(picture);
  const grid = gridOf(facts, segmentSeconds);
  const spans = spansOf(facts, grid).map(({ framesPerSegment, ...span }): SpanTask => ({
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
  const heard = sound ? audioSpans(sound.seconds, facts.seekable && sound.exact) : [];
  const shown = { rate: picture.rate, runs: runsOf(picture.frames, grid) };
  return {
    recipe: recipeOf(settings),
    renditions: [
      ...rungs.map(({ name, width, height }) => ({ name, kind: "video" as const, width, height, ...shown })),
      ...(sound ? [{ name: "audio", kind: "audio" as const, width: 0, height: 0, ...audioFrames(sound.seconds) }] : []),
    ],
    // The sound first: it is done in a hundredth of the time, and nothing can be watched to the end without it.
    tasks: [
      ...heard.map((span, index) => ({
        kind: "video.audio" as const,
        priority: startPriority - index,
        payload: { version: PLAN_VERSION, source, stream: sound!.stream, seconds: sound!.seconds, span } satisfies AudioTask,
        segments: { first: span.segment, last: span.segment + span.segments - 1 },
      })),
      // The first span of a new video before the second of an older one, and so on: a short video is not stuck behind a film.
      ...spans.map((payload) => ({
        kind: "video.span" as const,
        priority: startPriority - payload.span.index,
        payload,
        segments: spanSegments(payload),
      })),
      // Nobody waits for it.
      { kind: "video.picture", priority: startPriority - 1, payload: still },
      ...captionsTasks(facts, source, startPriority - 1),
    ],
  };
}

function captionsTasks({ texts }: SourceFacts, source: Source, priority: number): readonly PlannedTask[] {
  return texts.length === 0
    ? []
    : [{ kind: "video.captions", priority, payload: { version: PLAN_VERSION, source, texts: [...texts] } satisfies CaptionsTask }];
}

/**
 * What is encoded together now, and what in another turn. To decode a span twice costs a tenth of it, and shows a viewer his picture in a
 * fraction of the time; and whoever waits for another span does not wait for what nobody has asked for.
 */
export function passOf({ renditions, made = [], wanted }: SpanTask): {
  readonly now: SpanTask["renditions"];
  readonly later: SpanTask["renditions"];
} {
  const left = renditions.filter(({ name }) => !made.includes(name));
  const first = left.filter(({ name }) => name === wanted);
  return first.length === 0 ? { now: left, later: [] } : { now: first, later: left.filter(({ name }) => name !== wanted) };
}

/**
 * What is encoded in a process of its own, in order. Of the start of a video that is first its first segment: an encoder hands out a picture when it has
 * seen the next 15 to 20, or at once when it is told that no more will come. Of a span into which somebody leaps, first what comes from there on.
 */
export function piecesOf(task: SpanTask): readonly SpanTask[] {
  const { span, source, from = span.segment } = task;
  const { last } = spanSegments(task);
  if (!source.seekable) return [task];
  if (from > span.segment && from <= last) return partsFrom(task, from).toReversed();
  return span.index === 0 && last > span.segment ? partsFrom(task, span.segment + 1) : [task];
}

/** What lies before a segment, and the rest. */
function partsFrom(task: SpanTask, from: number): readonly [SpanTask, SpanTask] {
  const { span } = task;
  const frames = (from - span.segment) * task.framesPerSegment;
  return [
    { ...task, span: { ...span, frames, last: false } },
    { ...task, span: { ...span, first: span.first + frames, frames: span.frames - frames, segment: from } },
  ];
}

/** Numbers of the first and the last. */
export function spanSegments({ span, framesPerSegment }: SpanTask): { first: number; last: number } {
  return { first: span.segment, last: span.segment + Math.ceil(span.frames / framesPerSegment) - 1 };
}

/**
 * More than ffmpeg reads before it has encoded what it was asked for: packets are decoded before they are shown, and the encoder looks some frames ahead.
 * A second would do for most; whoever comes too early keeps a slot from others.
 */
const READ_AHEAD_S = 5;

/** How many bytes of a source of `size` have to be there for a task, by how far each of its streams reaches. The end of a plan needs all of them. */
export function needsOf(task: PlannedTask, size: number, reaches: { readonly picture: Reach; readonly sound: Reach | null }): number {
  const end = endOf(task);
  const reach = task.kind === "video.audio" ? reaches.sound : reaches.picture;
  return end === undefined || !reach ? size : Math.min(size, Math.max(1, reach(end + READ_AHEAD_S)));
}

/** When that ends which a task encodes, on the clock of its source, s; undefined for the last of its kind. */
function endOf({ kind, payload }: PlannedTask): number | undefined {
  if (kind === "video.span") {
    const { source, span, rate } = taskOf(kind, payload);
    return span.last ? undefined : source.start + source.origin + (span.first + span.frames) / perSecond(rate);
  }
  if (kind === "video.picture" || kind === "video.captions") return undefined;
  const { source, span } = taskOf(kind, payload);
  const frames = (span.segment - 1 + span.segments) * AAC.framesPerSegment;
  return span.last ? undefined : source.start + source.origin + (frames * AAC.samples) / AAC.rate;
}

/** Frames that are cut into short segments, of each of these, and of each after them. */
interface Grid {
  readonly leadFrames: number;
  readonly leadPerSegment: number;
  readonly perSegment: number;
}

/** A source in the middle of which nobody can begin is encoded in one piece, with keyframes at equal distances. A short video is all lead. */
function gridOf({ picture: { frames, rate }, seekable }: SourceFacts, about: number): Grid {
  const short = Math.floor((about * perSecond(rate)) / LEAD_SEGMENTS);
  if (!seekable || short === 0) return { leadFrames: 0, leadPerSegment: 0, perSegment: segmentFrames(frames, rate, about) };
  const lead = LEAD_SEGMENTS * short;
  if (frames < SHORT_VIDEO * lead)
    return { leadFrames: frames, leadPerSegment: segmentFrames(frames, rate, about / LEAD_SEGMENTS), perSegment: 0 };
  return { leadFrames: lead, leadPerSegment: short, perSegment: segmentFrames(frames - lead, rate, about) };
}

function runsOf(frames: number, { leadFrames, leadPerSegment, perSegment }: Grid): Run[] {
  return [...equalRuns(leadFrames, leadPerSegment), ...equalRuns(frames - leadFrames, perSegment)];
}

function equalRuns(frames: number, each: number): Run[] {
  if (frames === 0) return [];
  const runs: Run[] = [
    [Math.floor(frames / each), each],
    [1, frames % each],
  ];
  return runs.filter(([segments, length]) => segments > 0 && length > 0);
}

/** The lead is one span, and so is all of a source in the middle of which nobody can begin. */
function spansOf({ picture: { frames }, seekable }: SourceFacts, { leadFrames, leadPerSegment, perSegment }: Grid) {
  const lead = leadFrames > 0 ? [{ first: 0, segment: 1, framesPerSegment: leadPerSegment }] : [];
  const leadSegments = leadFrames > 0 ? Math.ceil(leadFrames / leadPerSegment) : 0;
  const segments = perSegment > 0 ? Math.ceil((frames - leadFrames) / perSegment) : 0;
  const rest = (seekable ? spanStarts(segments) : [0]).map((start) => ({
    first: leadFrames + start * perSegment,
    segment: leadSegments + start + 1,
    framesPerSegment: perSegment,
  }));
  return [...lead, ...rest].map((start, index, all) => ({
    index,
    ...start,
    frames: (all[index + 1]?.first ?? frames) - start.first,
    last: index === all.length - 1,
  }));
}

/** How many segments come before each span. */
export function spanStarts(segments: number): number[] {
  return growing(segments, 1, Math.max(SPAN_SEGMENTS, Math.ceil(segments / SPANS_MAX)));
}

/** The starts of runs, each twice as long as the one before, up to a length. */
function growing(segments: number, first: number, longest: number): number[] {
  const starts: number[] = [];
  let length = first;
  for (let start = 0; start < segments; start += length, length = Math.min(2 * length, longest)) starts.push(start);
  return starts;
}

/** What nobody can begin in the middle of, to the sample, is made in one piece. */
function audioSpans(length: number, seekable: boolean): AudioTask["span"][] {
  const segments = audioSegments(length);
  const { first, longest } = AUDIO_SPAN_SEGMENTS;
  const starts = seekable ? growing(segments, first, Math.max(longest, Math.ceil(segments / AUDIO_SPANS_MAX))) : [0];
  return starts.map((start, index) => ({
    segment: start + 1,
    segments: (starts[index + 1] ?? segments) - start,
    last: index === starts.length - 1,
  }));
}

/** What is encoded for a span of sound: from a start, in frames of AAC and in seconds, for so long; the first segment of it has this number. */
export interface SoundCut {
  readonly segment: number;
  readonly frame: number;
  readonly fromS: number;
  /** At least. The last span ends where the sound ends. */
  readonly samples: number;
}

export function soundCut({ span, seconds: length }: AudioTask): SoundCut {
  const segment = Math.max(1, span.segment - AUDIO_WARM_UP);
  const frame = (segment - 1) * AAC.framesPerSegment;
  // The encoder looks a few frames ahead: what it makes of their beginning belongs to the next span.
  const end = (span.segment - 1 + span.segments) * AAC.framesPerSegment + AAC.lookAhead;
  const samples = (span.last ? Math.round(length * AAC.rate) : end * AAC.samples) - frame * AAC.samples;
  return { segment, frame, fromS: (frame * AAC.samples) / AAC.rate, samples };
}

/** Frames of AAC a second: its segments begin on this grid. */
export const AUDIO_FRAME_RATE: Rate = [AAC.rate, AAC.samples];

/** About so many seconds of frames. Near that length, the one whose last segment is whole or at least half as long as the others. */
export function segmentFrames(frames: number, rate: Rate, about: number = SEGMENT_SECONDS): number {
  const wanted = Math.max(1, Math.round(about * perSecond(rate)));
  const slack = Math.floor(wanted * SEGMENT_SLACK);
  const near = Array.from({ length: 2 * slack + 1 }, (_, n) => wanted + (n % 2 === 0 ? n / 2 : -(n + 1) / 2));
  return near.find((length) => frames % length === 0 || frames % length >= length / 2) ?? wanted;
}

/** Fragments that the sound will be cut into. */
function audioSegments(length: number): number {
  return audioFrames(length).runs.reduce((sum, [segments]) => sum + segments, 0);
}

function audioFrames(length: number): Pick<PlannedRendition, "rate" | "runs"> {
  const frames = Math.max(1, Math.ceil((Math.round(length * AAC.rate) + AAC.primingSamples) / AAC.samples));
  return { rate: AUDIO_FRAME_RATE, runs: equalRuns(frames, AAC.framesPerSegment) };
}
