import { ladderOf } from "../../../services/transcoder/domain/ladder.ts";

const sizes = (width: number, height: number) => ladderOf({ width, height }).map((rung) => `${rung.name} ${rung.width}x${rung.height}`);

describe("the ladder", () => {
  it.each([
    ["full HD", 1920, 1080, ["1080p 1920x1080", "720p 1280x720", "480p 854x480", "360p 640x360", "240p 426x240"]],
    [
      "4K, which gets nothing above 1080p",
      3840,
      2160,
      ["1080p 1920x1080", "720p 1280x720", "480p 854x480", "360p 640x360", "240p 426x240"],
    ],
    ["a phone held upright", 1080, 1920, ["1080p 1080x1920", "720p 720x1280", "480p 480x854", "360p 360x640", "240p 240x426"]],
    ["an odd size just below a rung", 853, 479, ["360p 642x360", "240p 428x240"]],
    ["television of 4:3", 768, 576, ["480p 640x480", "360p 480x360", "240p 320x240"]],
    ["a square", 720, 720, ["720p 720x720", "480p 480x480", "360p 360x360", "240p 240x240"]],
    ["cinema", 2048, 858, ["720p 1718x720", "480p 1146x480", "360p 860x360", "240p 572x240"]],
    ["what is smaller than the ladder", 160, 101, ["100p 158x100"]],
    ["what is small and upright", 100, 160, ["100p 100x160"]],
    ["a strip that is too long for decoders", 20_000, 240, ["240p 4096x50"]],
  ])("for %s", (_what, width, height, expected) => {
    expect(sizes(width, height)).toEqual(expected);
  });

  it("makes only even sizes, and nothing larger than the source", () => {
    for (let width = 16; width < 2500; width += 7) {
      for (const height of [16, 101, 239, 241, 480, 719, 1080, 1441]) {
        for (const rung of ladderOf({ width, height })) {
          expect([rung.width % 2, rung.height % 2]).toEqual([0, 0]);
          expect(Math.min(rung.width, rung.height)).toBeLessThanOrEqual(Math.min(width, height));
        }
      }
    }
  });

  it("caps what a rendition may ask of a connection", () => {
    expect(ladderOf({ width: 1920, height: 1080 }).map((rung) => rung.maxrateK)).toEqual([5000, 2800, 1400, 800, 400]);
    expect(ladderOf({ width: 160, height: 120 }).map((rung) => rung.maxrateK)).toEqual([400]);
  });
});
