/** What an upload brings: its source by chance, and the jobs that the shipped planner makes of it. */
import { PRIORITY, type JobKind } from "../../services/jobs/contract.ts";
import type { SourceFacts } from "../../services/transcoder/domain/facts.ts";
import { piecesOf, planOf, type AudioTask, type PlannedTask, type SpanTask } from "../../services/transcoder/domain/plan.ts";
import type { Chance } from "./chance.ts";
import { UPLOADS, WORK } from "./measured.ts";

const SECONDS = { least: 2, most: 12 * 3600 };
const RATE = 30;
/** Of segments of sound, s (services/transcoder/domain/plan.ts: 188 frames of 1024 samples). */
const AUDIO_SEGMENT_S = (188 * 1024) / 48_000;

const AUDIO_BITRATE = 128e3;

export interface Source {
  readonly seconds: number;
  readonly width: number;
  readonly height: number;
  /** Bits a second. */
  readonly bitrate: number;
}

export interface Task {
  readonly kind: JobKind;
  readonly priority: number;
  readonly cpuS: number;
  /** Behind so much of it the first segment is there. */
  readonly partS?: number;
  /** Segments that it stores, of all renditions. */
  readonly segments: number;
  /** Bytes of the source that it reads, at least. */
  readonly reads: number;
  /** Bytes that it stores, each once: at most, since the ladder says the peak. */
  readonly writes: number;
  /** What playing begins with. */
  readonly first: boolean;
}

/** `sigma` is the spread of lengths. */
export function sourceBy(chance: Chance, sigma: number): Source {
  const { medianS, sizes } = UPLOADS;
  const { width, height, bitrate } = chance.oneOf(sizes);
  const seconds = Math.min(SECONDS.most, Math.max(SECONDS.least, Math.round(chance.logNormal(medianS, sigma))));
  return { seconds, width, height, bitrate };
}

export function tasksOf(source: Source): readonly Task[] {
  const bytes = { blob: "0".repeat(64), size: Math.max(1, Math.round(bytesOf(source))), demuxer: "mov" } as const;
  const { tasks } = planOf(factsOf(source), bytes, { preset: "veryfast", startPriority: PRIORITY.start });
  return tasks.map((task) => taskFrom(task, source));
}

export const bytesOf = ({ seconds, bitrate }: Source): number => (seconds * bitrate) / 8;

function taskFrom({ kind, priority, payload }: PlannedTask, source: Source): Task {
  const about = { kind, priority, first: false, segments: 1 };
  // Of this very plan: nobody has to check it, as a transcoder does.
  if (kind === "video.span") return { ...about, ...spanOf(payload as unknown as SpanTask, source) };
  if (kind !== "video.audio") return { ...about, cpuS: WORK.start + WORK.picture, reads: 0, writes: 0 };
  const { span } = payload as unknown as AudioTask;
  const seconds = Math.min(span.segments * AUDIO_SEGMENT_S, source.seconds);
  const first = span.segment === 1;
  // Sound lies between the bytes of the picture, which are read with it.
  const bytes = { reads: (seconds * source.bitrate) / 8, writes: (seconds * AUDIO_BITRATE) / 8 };
  return { ...about, ...bytes, first, segments: span.segments, cpuS: WORK.start + seconds * WORK.audioSecond };
}

function spanOf(task: SpanTask, { bitrate }: Source): Omit<Task, "kind" | "priority"> {
  const costs = piecesOf(task).map(({ span }) => WORK.start + span.frames * frameCost(task));
  const cpuS = costs.reduce((sum, cost) => sum + cost, 0);
  const { frames, index } = task.span;
  const segments = Math.ceil(frames / task.framesPerSegment) * task.renditions.length;
  const seconds = frames / RATE;
  const peak = task.renditions.reduce((sum, { maxrateK }) => sum + maxrateK * 1000, 0);
  const bytes = { reads: (seconds * bitrate) / 8, writes: (seconds * peak) / 8 };
  return { ...bytes, cpuS, partS: costs[0] ?? cpuS, segments, first: index === 0 };
}

/** In proportion to the pixels that are encoded, on the line through the two sizes that were measured. */
function frameCost({ renditions }: SpanTask): number {
  const [large, small] = WORK.frames;
  const pixels = renditions.reduce((sum, { width, height }) => sum + width * height, 0);
  const [most, least] = [LADDER_PIXELS[large.height], LADDER_PIXELS[small.height]];
  return small.cpuS + ((pixels - least) / (most - least)) * (large.cpuS - small.cpuS);
}

/** Of all renditions together (services/transcoder/domain/ladder.ts). */
const LADDER_PIXELS = { 1080: 3_737_760, 480: 742_560 } as const;

function factsOf({ seconds, width, height }: Source): SourceFacts {
  const picture = { stream: 0, codec: "h264", width, height, rate: [RATE, 1], frames: seconds * RATE } as const;
  return {
    container: "mov",
    durationS: seconds,
    startS: 0,
    originS: 0,
    seekable: true,
    picture: { ...picture, steady: true, interlaced: false, hdr: false, matrix: "bt709" },
    sound: { stream: 1, codec: "aac", seconds, exact: true },
    texts: [],
  };
}
