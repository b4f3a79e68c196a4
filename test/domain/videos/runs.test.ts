import { plannedRuns, segmentsOf } from "../../../services/videos/domain/runs.ts";

describe("the segments that are planned", () => {
  it.each([
    [
      {
        rate: [30, 1],
        runs: [
          [2, 120],
          [1, 12],
        ],
      },
      15_360,
      [
        [2, 61_440],
        [1, 6144],
      ],
    ],
    [{ rate: [30_000, 1001], runs: [[2, 120]] }, 30_000, [[2, 120_120]]],
    [{ rate: [25, 1], runs: [[1, 1]] }, 12_800, [[1, 512]]],
    [
      {
        rate: [48_000, 1024],
        runs: [
          [2, 188],
          [1, 94],
        ],
      },
      48_000,
      [
        [2, 192_512],
        [1, 96_256],
      ],
    ],
  ] as const)("of %j have these lengths at %d ticks a second", (planned, timescale, runs) => {
    expect(plannedRuns(planned, timescale)).toEqual(runs);
    expect(segmentsOf(planned)).toBe(runs.reduce((sum, [count]) => sum + count, 0));
  });
});
