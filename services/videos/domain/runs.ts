/** How long the segments of a rendition will be, told from its plan. */

/** Equal neighbours, in order: how many segments, and how long each: in frames as planned, in ticks as stored. */
export type Run = readonly [segments: number, length: number];

export interface PlannedFrames {
  /** Frames a second as a fraction. */
  readonly rate: readonly [number, number];
  readonly runs: readonly Run[];
}

export function segmentsOf({ runs }: PlannedFrames): number {
  return runs.reduce((sum, [segments]) => sum + segments, 0);
}

/** `timescale` is ticks a second: always a whole number a frame, or the encoder's segments would have no exact place either. */
export function plannedRuns({ rate, runs }: PlannedFrames, timescale: number): readonly Run[] {
  return runs.map(([segments, frames]) => [segments, Math.round((frames * timescale * rate[1]) / rate[0])]);
}
