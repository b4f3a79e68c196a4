/** How long the segments of a rendition will be, told from its plan. */

export interface PlannedFrames {
  /** Frames a second as a fraction. */
  readonly rate: readonly [number, number];
  /** Of all segments together, and of each but the last. */
  readonly frames: number;
  readonly framesPerSegment: number;
}

/** [count, duration in ticks], as of segments that are stored. */
export type Run = readonly [number, number];

export function segmentsOf({ frames, framesPerSegment }: PlannedFrames): number {
  return Math.ceil(frames / framesPerSegment);
}

/** `timescale` is ticks a second: always a whole number a frame, or the encoder's segments would have no exact place either. */
export function plannedRuns({ rate, frames, framesPerSegment }: PlannedFrames, timescale: number): readonly Run[] {
  const ticks = (count: number): number => Math.round((count * timescale * rate[1]) / rate[0]);
  const whole = Math.floor(frames / framesPerSegment);
  const rest = frames - whole * framesPerSegment;
  const runs: Run[] = [
    [whole, ticks(framesPerSegment)],
    [1, ticks(rest)],
  ];
  return runs.filter(([count, duration]) => count > 0 && duration > 0);
}
