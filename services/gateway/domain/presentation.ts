/** What both manifests are made from: the renditions of one video, and how long each of their segments is. */

export interface PresentedRendition {
  readonly name: string;
  readonly kind: "video" | "audio";
  readonly width: number;
  readonly height: number;
  /** RFC 6381. */
  readonly codecs: string;
  /** Bits per second of the heaviest segment, and of all of them. */
  readonly bitrate: number;
  readonly averageBitrate: number;
  /** Ticks a second. */
  readonly timescale: number;
  /** Runs of equal durations, in order, from time 0: [count, duration in ticks]. */
  readonly runs: readonly (readonly [number, number])[];
}

export interface Presentation {
  readonly revision: number;
  /** Frames a second as a fraction. */
  readonly frameRate: readonly [number, number];
  readonly renditions: readonly PresentedRendition[];
  /** Languages. */
  readonly captions: readonly string[];
}

/** The language as it calls itself: "Deutsch". */
export function languageName(language: string): string {
  return new Intl.DisplayNames([language], { type: "language", fallback: "code" }).of(language) ?? language;
}

/** Lightest first: a player that takes the first it sees has a picture soonest. */
export function ofKind(presentation: Presentation, kind: PresentedRendition["kind"]): PresentedRendition[] {
  return presentation.renditions.filter((rendition) => rendition.kind === kind).toSorted((a, b) => a.bitrate - b.bitrate);
}

export function segmentCount(rendition: Pick<PresentedRendition, "runs">): number {
  return rendition.runs.reduce((sum, [count]) => sum + count, 0);
}

/** Seconds from 0 to the end of the longest rendition. */
export function durationS(presentation: Presentation): number {
  return Math.max(0, ...presentation.renditions.map((each) => ticks(each) / each.timescale));
}

/** Seconds of the longest segment. */
export function segmentSecondsMax(renditions: readonly PresentedRendition[]): number {
  return Math.max(0, ...renditions.flatMap(({ runs, timescale }) => runs.map(([, duration]) => duration / timescale)));
}

/** One frame, by the segment that it is in. */
export interface FrameAt {
  readonly number: number;
  /** Of the segment, from 0. */
  readonly frame: number;
}

/** The frame of a picture rendition that is nearest to a time, s; the last one for what lies behind it. */
export function frameAt({ runs, timescale }: PresentedRendition, [rate, per]: Presentation["frameRate"], seconds: number): FrameAt {
  const tick = (timescale * per) / rate;
  let number = 1;
  let left = Math.round((seconds * rate) / per);
  for (const [count, duration] of runs) {
    const frames = Math.round(duration / tick);
    const segments = Math.min(count, Math.floor(left / frames));
    number += segments;
    left -= segments * frames;
    if (segments < count) return { number, frame: left };
  }
  const frames = Math.round((runs.at(-1)?.[1] ?? tick) / tick);
  return { number: number - 1, frame: frames - 1 };
}

/** Where the segments of a rendition are, seen from the manifests. The revision makes each address name the same bytes for ever. */
export function streamFolder(revision: number, rendition: string): string {
  return `streams/${revision}/${rendition}`;
}

/** Up to six decimals, none superfluous. */
export function decimal(value: number): string {
  return String(Number(value.toFixed(6)));
}

function ticks(rendition: PresentedRendition): number {
  return rendition.runs.reduce((sum, [count, duration]) => sum + count * duration, 0);
}
