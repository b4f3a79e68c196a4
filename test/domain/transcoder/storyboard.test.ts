import { storyboardOf } from "../../../services/transcoder/domain/storyboard.ts";

const rendition = (count: number, width = 426, height = 240) => ({
  width,
  height,
  timescale: 1000,
  init: { blob: "init", size: 800 },
  segments: Array.from({ length: count }, (_, index) => ({ blob: `segment ${index}`, size: 10, start: index * 4000 })),
});

describe("a storyboard", () => {
  it("has a picture of each segment of a short video, and is decoded from nothing else", () => {
    const { parts, ...board } = storyboardOf(rendition(12));
    expect(board).toEqual({ columns: 10, rows: 2, width: 160, height: 90, starts: Array.from({ length: 12 }, (_, index) => index * 4) });
    expect(parts.map(({ blob }) => blob)).toEqual(["init", ...Array.from({ length: 12 }, (_, index) => `segment ${index}`)]);
  });

  it("has a hundred pictures of a long one, at equal distances from its start", () => {
    const { starts, rows } = storyboardOf(rendition(10_800));
    expect([starts.length, rows]).toEqual([100, 10]);
    expect(starts.every((start, tile) => start === tile * 432)).toBe(true);
  });

  it.each([
    [240, 426, 50],
    [2400, 240, 270],
    [320, 240, 120],
  ])("keeps the shape of %d × %d, within reason", (width, height, tile) => {
    expect(storyboardOf(rendition(1, width, height)).width).toBe(tile);
  });
});
