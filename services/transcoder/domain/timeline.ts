/** When the packets of a source come, gathered from what ffprobe writes for them. */

/** ffprobe's options; each packet is a line of these values, in this order. */
export const TIMELINE_OPTIONS = ["-show_entries", "packet=stream_index,pts,dts,duration,flags", "-of", "csv=p=0"] as const;

/** Different steps that are told apart. A steady source has one or two; the clock of a telephone may make thousands. */
const STEPS_MAX = 4096;

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

  /** Most ticks from one keyframe to the next, or to the end. */
  get keyframeDistance(): number {
    return Math.max(this.#keyframeDistance, this.last - (this.#keyframe ?? this.first));
  }

  add({ time, decoded, duration, isKey }: Packet): void {
    this.packets += 1;
    this.first = Math.min(this.first, time);
    this.last = Math.max(this.last, time);
    this.end = Math.max(this.end, time + duration);
    if (decoded !== undefined && this.#decoded !== undefined) this.#step(decoded - this.#decoded);
    this.#decoded = decoded ?? this.#decoded;
    if (isKey) {
      this.#keyframeDistance = Math.max(this.#keyframeDistance, time - (this.#keyframe ?? this.first));
      this.#keyframe = time;
    }
  }

  /** 0–1: how many of the steps from packet to packet are of this length, rounded up or down. 1 where there are no steps. */
  shareOfSteps(ticks: number): number {
    const counts = [...this.#steps];
    const all = counts.reduce((sum, [, count]) => sum + count, 0);
    const near = counts.filter(([step]) => Math.abs(step - ticks) <= 1).reduce((sum, [, count]) => sum + count, 0);
    return all === 0 ? 1 : near / all;
  }

  #step(ticks: number): void {
    this.fallBack = Math.max(this.fallBack, -ticks);
    if (this.#steps.size < STEPS_MAX || this.#steps.has(ticks)) this.#steps.set(ticks, (this.#steps.get(ticks) ?? 0) + 1);
  }
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
