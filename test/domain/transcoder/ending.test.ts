import { failureOf } from "../../../services/transcoder/domain/ending.ts";

const log = "[h264 @ 0x1] error while decoding MB 3 4";

describe("the end of a conversion", () => {
  it.each([
    ["is well when ffmpeg ends well and something came out", 0, 3, undefined],
    ["is a damaged source when nothing came out", 0, 0, "SOURCE_DAMAGED"],
    ["is a damaged source when ffmpeg gives up before anything came out", 1, 0, "SOURCE_DAMAGED"],
    ["is a failure to be tried again when ffmpeg gives up in the middle", 1, 3, "TRANSCODE_FAILED"],
    ["is a failure to be tried again when ffmpeg was killed", "SIGKILL", 0, "TRANSCODE_FAILED"],
    ["is too slow when ffmpeg used up its processor time", "SIGXCPU", 3, "TRANSCODE_TIMEOUT"],
  ])("%s", (_what, by, made, type) => {
    expect(failureOf({ by, log }, made, "picture")?.type).toBe(type);
  });

  it("is not blamed on the source when memory ran out", () => {
    expect(failureOf({ by: 1, log: "x264: malloc failed: Cannot allocate memory" }, 0, "picture")?.type).toBe("TRANSCODE_FAILED");
  });

  it("shows ffmpeg's words to operators, and not to viewers", () => {
    const failure = failureOf({ by: 1, log }, 0, "sound");
    expect(failure?.data).toEqual({ log });
    expect(failure?.message).not.toContain("h264");
    expect(failure?.message).toContain("sound");
  });
});
