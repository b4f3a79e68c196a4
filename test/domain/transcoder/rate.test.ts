import { gridRate, parseRate, steadyRate, type Rate } from "../../../services/transcoder/domain/rate.ts";

describe("frame rates", () => {
  it.each([
    ["30000/1001", [30_000, 1001]],
    ["50/2", [25, 1]],
    ["0/0", undefined],
    ["N/A", undefined],
    ["30", undefined],
    ["-30/1", undefined],
  ])("reads %s", (text, rate) => {
    expect(parseRate(text)).toEqual(rate);
  });

  it.each<[Rate, Rate, string]>([
    [[30, 1], [30, 1], "as it is"],
    [[2997, 100], [30_000, 1001], "in its usual spelling"],
    [[19_001, 634], [30_000, 1001], "in its usual spelling"],
    [[15, 1], [15, 1], "also where it is not usual"],
    [[120, 1], [60, 1], "by every second frame"],
    [[100, 1], [50, 1], "by every second frame"],
    [[240_000, 1001], [60_000, 1001], "by every fourth frame"],
    [[12_345_678, 1_000_001], [6173, 500], "without numbers that no time scale holds"],
  ])("keeps the even rate %j as %j, %s", (source, expected) => {
    expect(steadyRate(source)).toEqual(expected);
  });

  it.each([
    [27.02, [30, 1]],
    [24, [24, 1]],
    [23.98, [24, 1]],
    [23.976, [24, 1]],
    [7, [24, 1]],
    [59.999, [60, 1]],
    [144, [60, 1]],
  ] as const)("gives an uneven source of %d frames a second the grid %j", (average, expected) => {
    expect(gridRate(average, () => false)).toEqual(expected);
  });

  it("gives it a faster one where that would lose frames, up to 60", () => {
    expect(gridRate(20, (rate) => rate < 29)).toEqual([30, 1]);
    expect(gridRate(20, () => true)).toEqual([60, 1]);
  });
});
