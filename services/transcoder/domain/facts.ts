/** What a plan is made from: size, rate, number of frames, start and end of a source. */
import { failure } from "../../kernel/errors.ts";
import type { Size } from "./ladder.ts";
import { refuseTooLong, sizeAsSeen, type Candidate, type SourceLimits, type Stream, type TextStream } from "./probe.ts";
import { gridRate, parseRate, perSecond, steadyRate, type Rate } from "./rate.ts";
import { STRETCH_STEPS, type Timeline, type Timelines } from "./timeline.ts";
import type { Demuxer } from "./whitelist.ts";

/** Slow-motion cameras in phones reach 240. */
const FRAMES_PER_SECOND_MAX = 300;
/** A camera that drops a frame now and then is steady still: the grid repeats the one before. */
const STEADY_SHARE = 0.9;
/** A stretch that is faster than the grid by no more than this is not faster: its clock trembles. */
const TREMBLE = 0.03;
/** A tenth of a source may be faster, as when a telephone catches up: a grid for the fastest moment would double the work on most recordings. */
const FAST_SHARE = 0.1;
/** Fewer pictures than one in two seconds, over more than a minute: filling the gaps would turn kilobytes into hours of work. */
const SPARSE = { framesPerSecond: 0.5, seconds: 60 } as const;
/** Lines from which on untagged video is taken for HDTV colours (ITU-R BT.709), below for those of BT.601. */
const HD_LINES = 720;

/**
 * AAC begins with 1,024 samples that only prime its decoder, and transport streams and Matroska count them: the picture starts 21 ms late. As a
 * frame of its own, filled with a copy of the first, that would make 151 frames of 150.
 */
const MOMENT_S = 0.1;

/** When the clock of a file begins anew, what comes then would lie upon what was before, and be lost. Smaller steps are noise. */
const FALL_BACK_S_MAX = 1;

/** Where a container says nothing of frames a second. */
const UNTOLD: Rate = [25, 1];

/** How YUV was made from RGB, as the scale filter names it. */
export type Matrix = "bt601" | "bt709" | "bt2020" | "smpte240m";

export interface PictureFacts extends Size {
  /** Index in the source. `width` and `height` are as seen: rotated, and with square pixels. */
  readonly stream: number;
  readonly codec: string;
  /** Of the result; `frames` of them make up the whole of it. */
  readonly rate: Rate;
  readonly frames: number;
  /** Whether the source's own frames lie on the grid of `rate`. */
  readonly steady: boolean;
  readonly interlaced: boolean;
  readonly hdr: boolean;
  readonly matrix: Matrix;
}

export interface SoundFacts {
  readonly stream: number;
  readonly codec: string;
  /** Its end, from the origin. */
  readonly seconds: number;
  /** Each packet has the time of its first sample. Where times are rounded or tremble, what is encoded from a later start lies some samples beside. */
  readonly exact: boolean;
}

export interface SourceFacts {
  readonly container: string;
  /** Time stamp of the first stream's start, s, and how long after it the result begins: the sound before the first picture, where that is a moment. */
  readonly startS: number;
  readonly originS: number;
  readonly durationS: number;
  /** Whether one can begin in the middle of it, and loses no frame and little time by that. */
  readonly seekable: boolean;
  readonly picture: PictureFacts;
  readonly sound: SoundFacts | null;
  readonly texts: readonly TextStream[];
}

/** The facts. `timeline` is undefined when the packets were not read: then the container's own words are believed. */
export function factsOf(candidate: Candidate, timeline: Timelines | undefined, limits: SourceLimits): SourceFacts {
  const { picture: stream, container } = candidate;
  const shown = timeline?.get(stream.index);
  if (timeline) refuseTimeline(shown, tick(stream));
  const { average, nominal } = ratesOf(stream, shown);
  const originS = originOf(candidate, shown);
  const seconds = pictureEnd(candidate, shown, nominal ? perSecond(nominal) : average) - originS;
  const sound = soundOf(candidate, timeline, { originS, seconds });
  const durationS = Math.max(seconds, sound?.seconds ?? 0);
  refuseTooLong(durationS, limits);
  refuseRate(average, shown ? shown.packets / seconds : average, seconds);
  const rate = nominal && perSecond(nominal) >= 1 ? steadyRate(nominal) : gridRate(average, outruns(stream, shown));
  return {
    container,
    startS: candidate.startS,
    originS,
    durationS,
    seekable: isSeekable(candidate, shown),
    picture: {
      stream: stream.index,
      codec: stream.codec_name ?? "",
      ...sizeAsSeen(stream),
      rate,
      frames: Math.max(1, Math.round(seconds * perSecond(rate))),
      steady: nominal !== undefined,
      interlaced: ["tt", "bb", "tb", "bt"].includes(stream.field_order ?? ""),
      hdr: ["smpte2084", "arib-std-b67"].includes(stream.color_transfer ?? ""),
      matrix: matrixOf(stream),
    },
    sound,
    texts: candidate.texts,
  };
}

/** Transport streams are sought by guessing: 60 of 300 frames were lost. The index of AVI has no times. */
const EXACT_CONTAINERS: readonly Demuxer[] = ["mov", "matroska"];
/** Every span decodes from the keyframe before it. Beyond this distance that costs more than it gains. */
const KEYFRAME_DISTANCE_S_MAX = 20;

/** A file without a duration was written as it was recorded, and has no index either. Of one whose packets were not read nothing is known. */
function isSeekable({ demuxer, durationS, picture }: Candidate, timeline: Timeline | undefined): boolean {
  if (!timeline || durationS === undefined || !EXACT_CONTAINERS.includes(demuxer)) return false;
  return timeline.keyframeDistance * tick(picture) <= KEYFRAME_DISTANCE_S_MAX;
}

const MATRICES: Readonly<Record<string, Matrix>> = {
  bt709: "bt709",
  smpte240m: "smpte240m",
  smpte170m: "bt601",
  bt470bg: "bt601",
  fcc: "bt601",
  bt2020nc: "bt2020",
  bt2020c: "bt2020",
};

function matrixOf({ color_space, height = 0 }: Stream): Matrix {
  return MATRICES[color_space ?? ""] ?? (height >= HD_LINES ? "bt709" : "bt601");
}

/** Frames a second on average, and the one exact rate at which they come, if there is one. */
function ratesOf(picture: Stream, timeline: Timeline | undefined): { average: number; nominal: Rate | undefined } {
  const average = parseRate(picture.avg_frame_rate);
  const told = [parseRate(picture.r_frame_rate), average].filter((rate) => rate && perSecond(rate) <= FRAMES_PER_SECOND_MAX) as Rate[];
  const [first = UNTOLD, second = first] = told;
  if (!timeline) {
    const same = Math.abs(perSecond(first) / perSecond(second) - 1) < 1e-3;
    return { average: perSecond(average ?? first), nominal: same ? second : undefined };
  }
  const span = (timeline.last - timeline.first) * tick(picture);
  const fits = (rate: Rate): boolean => timeline.shareOfSteps(1 / (perSecond(rate) * tick(picture))) >= STEADY_SHARE;
  return { average: span > 0 ? (timeline.packets - 1) / span : perSecond(first), nominal: [first, second].find(fits) };
}

/** Whether frames come faster than so many a second, for more than moments. */
function outruns(picture: Stream, timeline: Timeline | undefined): (framesPerSecond: number) => boolean {
  return (framesPerSecond) => {
    const stretch = STRETCH_STEPS / (framesPerSecond * tick(picture));
    return timeline !== undefined && timeline.shareOfStretchesBelow(stretch * (1 - TREMBLE)) > FAST_SHARE;
  };
}

/** Up to a moment after the start of the source, the first picture is where everything starts; later, the picture is late. */
function originOf({ picture, startS }: Candidate, timeline: Timeline | undefined): number {
  const first = (timeline ? timeline.first * tick(picture) : (picture.start_time ?? startS)) - startS;
  return first > 0 && first <= MOMENT_S ? first : 0;
}

/** From the start of the source, as all ends here. */
function pictureEnd({ picture, startS, durationS }: Candidate, timeline: Timeline | undefined, framesPerSecond: number): number {
  if (!timeline) return streamEnd(picture, startS) ?? durationS ?? 0;
  const end = timeline.end > timeline.last ? timeline.end * tick(picture) : timeline.last * tick(picture) + 1 / framesPerSecond;
  return end - startS;
}

/** Containers that count samples have ticks of a sample, those that count milliseconds have not. Nobody records film sound more coarsely than this. */
const SAMPLE_S_MAX = 1 / 8000;

/** A stream of sound without a packet is none. One whose end is not told ends with the picture. */
function soundOf(
  { sound, startS, durationS }: Candidate,
  timeline: Timelines | undefined,
  picture: { readonly originS: number; readonly seconds: number },
): SoundFacts | null {
  const heard = sound && timeline?.get(sound.index);
  if (!sound || (timeline && !heard)) return null;
  const end = heard ? heard.end * tick(sound) - startS : (streamEnd(sound, startS) ?? durationS);
  const seconds = end === undefined ? picture.seconds : end - picture.originS;
  const exact = heard !== undefined && heard.isEven && tick(sound) <= SAMPLE_S_MAX;
  return seconds > 0 ? { stream: sound.index, codec: sound.codec_name ?? "", seconds, exact } : null;
}

/** Seconds. */
function tick(stream: Stream): number {
  return perSecond(parseRate(stream.time_base) ?? [1, 1000]);
}

function streamEnd(stream: Stream, startS: number): number | undefined {
  if (stream.duration !== undefined) return (stream.start_time ?? startS) + stream.duration - startS;
  // Matroska: "00:01:30.042000000", an end in absolute time.
  const [, hours, minutes, seconds] = /^([0-9]{2,4}):([0-9]{2}):([0-9]{2}(?:\.[0-9]+)?)$/.exec(stream.tags?.["DURATION"] ?? "") ?? [];
  return hours === undefined ? undefined : Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds) - startS;
}

function refuseTimeline(timeline: Timeline | undefined, tickS: number): void {
  if (!timeline) throw failure("SOURCE_DAMAGED", "The file promises a picture and holds none. Upload it again, or export it anew.");
  if (timeline.fallBack * tickS <= FALL_BACK_S_MAX) return;
  throw failure(
    "SOURCE_UNSUPPORTED",
    "The clock of the file jumps back, as in recordings that were joined as they are. Convert it to MP4.",
  );
}

/** `density` counts over the whole duration, in which the picture may come late. */
function refuseRate(average: number, density: number, seconds: number): void {
  if (average > FRAMES_PER_SECOND_MAX) {
    throw failure(
      "SOURCE_TOO_COMPLEX",
      `The video has ${Math.round(average)} frames a second; at most ${FRAMES_PER_SECOND_MAX} are taken. Export it with 60.`,
    );
  }
  if (density < SPARSE.framesPerSecond && seconds > SPARSE.seconds) {
    throw failure(
      "SOURCE_TOO_COMPLEX",
      `The video shows less than one picture in two seconds over ${Math.round(seconds)} s. Export it with a constant frame rate.`,
    );
  }
}
