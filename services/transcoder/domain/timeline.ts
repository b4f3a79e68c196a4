/** When the packets of a source come, gathered from what ffprobe writes for them. */

/** ffprobe's options; each packet is a line of these values, in this order. */
export const TIMELINE_OPTIONS = ["-show_entries", "packet=stream_index,pts,dts,duration,flags", "-of", "csv=p=0"] as const;

/** Different lengths that are told apart. A steady source has one or two; the clock of a telephone may make thousands. */
const LENGTHS_MAX = 4096;
/** Over so many steps a clock that trembles by some milliseconds tells its speed to two per cent. */
export const STRETCH_STEPS = 8;

interface Packet {
  readonly time: number;
  readonly decoded: number | undefined;
  readonly duration: number;
  readonly isKey: boolean;
}

/** One stream. Times in ticks of its time base. Packets that an edit list hides are not in it. */
export class Timeline {
  packets = 0;
  first = Number.POSITIVE_INFINITY;
  last = Number.NEGATIVE_INFINITY;
  /** End of the last packet; equal to `last` where the container does not tell durations. */
  end = Number.NEGATIVE_INFINITY;
  /** Most ticks that decoding times, which only grow, fell back by. */
  fallBack = 0;
  #decoded: number | undefined;
  #keyframe: number | undefined;
  #keyframeDistance = 0;
  readonly #steps = new Map<number, number>();
  readonly #stretches = new Map<number, number>();
  /** The last decoding times. */
  readonly #recent: number[] = [];

  /** Most ticks from one keyframe to the next, or to the end. */
  get keyframeDistance(): number {
    return Math.max(this.#keyframeDistance, this.last - (this.#keyframe ?? this.first));
  }

  add({ time, decoded, duration, isKey }: Packet): void {
    this.packets += 1;
    this.first = Math.min(this.first, time);
    this.last = Math.max(this.last, time);
    this.end = Math.max(this.end, time + duration);
    if (decoded !== undefined && this.#decoded !== undefined) this.#step(decoded, decoded - this.#decoded);
    this.#decoded = decoded ?? this.#decoded;
    if (isKey) {
      this.#keyframeDistance = Math.max(this.#keyframeDistance, time - (this.#keyframe ?? this.first));
      this.#keyframe = time;
    }
  }

  /** Every packet follows the one before after the same number of ticks. */
  get isEven(): boolean {
    return this.#steps.size <= 1;
  }

  /** 0–1: how many of the steps from packet to packet are of this length, rounded up or down. 1 where there are no steps. */
  shareOfSteps(ticks: number): number {
    return this.#steps.size === 0 ? 1 : share(this.#steps, (step) => Math.abs(step - ticks) <= 1);
  }

  /** 0–1: in how much of it a stretch of STRETCH_STEPS steps takes less than so many ticks. 0 where it is shorter than one. */
  shareOfStretchesBelow(ticks: number): number {
    return share(this.#stretches, (length) => length < ticks);
  }

  #step(decoded: number, ticks: number): void {
    this.fallBack = Math.max(this.fallBack, -ticks);
    count(this.#steps, ticks);
    this.#recent.push(decoded);
    if (this.#recent.length > STRETCH_STEPS) count(this.#stretches, decoded - this.#recent.shift()!);
  }
}

function count(lengths: Map<number, number>, length: number): void {
  if (lengths.size < LENGTHS_MAX || lengths.has(length)) lengths.set(length, (lengths.get(length) ?? 0) + 1);
}

function share(lengths: ReadonlyMap<number, number>, counts: (length: number) => boolean): number {
  const all = [...lengths].reduce((sum, [, times]) => sum + times, 0);
  const chosen = [...lengths].filter(([length]) => counts(length)).reduce((sum, [, times]) => sum + times, 0);
  return all === 0 ? 0 : chosen / all;
}

/** Timelines of a source by the index of their stream; none for a stream of which no packet has a time. */
export interface Timelines {
  get(stream: number): Timeline | undefined;
}

/** A reader that forgets each line after it: a video of twelve hours has four million. */
export class TimelineReader implements Timelines {
  readonly #streams = new Map<number, Timeline>();
  #packets = 0;

  /** Of all streams. */
  get packets(): number {
    return this.#packets;
  }

  add(line: string): void {
    const [stream = "", pts = "", dts = "", duration = "", flags = ""] = line.split(",");
    const decoded = ticksOf(dts);
    // AVI has decoding times only.
    const time = ticksOf(pts) ?? decoded;
    if (time === undefined || flags.includes("D")) return;
    const timeline = this.#streams.get(Number(stream)) ?? new Timeline();
    this.#streams.set(Number(stream), timeline);
    timeline.add({ time, decoded, duration: ticksOf(duration) ?? 0, isKey: flags.includes("K") });
    this.#packets += 1;
  }

  get(stream: number): Timeline | undefined {
    return this.#streams.get(stream);
  }
}

/** Undefined for "N/A". */
function ticksOf(text: string): number | undefined {
  const value = Number.parseInt(text, 10);
  return Number.isNaN(value) ? undefined : value;
}
