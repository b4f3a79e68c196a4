import { audioCommand, pictureCommand, spanCommand, type Means, type PlannedCommand } from "../../../services/transcoder/domain/argv.ts";
import type { SpanTask } from "../../../services/transcoder/domain/plan.ts";
import { DEMUXERS, inputProtection } from "../../../services/transcoder/domain/whitelist.ts";

const means: Means = { pixelsMax: 1_000_000, threads: 2, canToneMap: true, frameSync: "-fps_mode" };
const source = { blob: "ab".repeat(32), size: 1000, demuxer: "mov", seekable: true, start: 0, origin: 0 } as const;
const span: SpanTask = {
  version: 8,
  source,
  rate: [30, 1],
  framesPerSegment: 120,
  span: { index: 0, first: 0, frames: 300, segment: 1, last: true },
  picture: { stream: 0, interlaced: false, hdr: false, matrix: "bt601" },
  preset: "veryfast",
  renditions: [
    { name: "720p", width: 1280, height: 720, maxrateK: 2800 },
    { name: "240p", width: 426, height: 240, maxrateK: 400 },
  ],
};
const audio = { version: 8, source, stream: 1, seconds: 10, span: { segment: 1, segments: 3, last: true } } as const;
const picture = { version: 8, source, stream: 0, seconds: 10, hdr: false, width: 1920, height: 1080 } as const;

const commands: [string, PlannedCommand][] = [
  ["a span", spanCommand(span, means)],
  ["the sound", audioCommand(audio, means)],
  ["a bright poster", pictureCommand(picture, means, true)],
  ["any poster", pictureCommand(picture, means, false)],
];

/** The value behind an option. */
const valueOf = (options: readonly string[], name: string) => options[options.indexOf(name) + 1];

describe.each(commands)("the command for %s", (_what, command) => {
  it("lets ffmpeg open nothing but its source, by loopback HTTP, as the container that it was found to be", () => {
    const { inputOptions } = command;
    expect(valueOf(inputOptions, "-protocol_whitelist")).toBe("http,tcp");
    expect(valueOf(inputOptions, "-f")).toBe("mov");
    expect(valueOf(inputOptions, "-format_whitelist")).toBe("mov");
    expect(valueOf(inputOptions, "-max_pixels")).toBe("1000000");
    const decoders = valueOf(inputOptions, "-codec_whitelist")?.split(",") ?? [];
    expect(decoders).toEqual(expect.arrayContaining(["h264", "hevc", "vp9", "aac", "opus"]));
    expect(decoders).not.toEqual(expect.arrayContaining(["magicyuv"]));
    expect(inputOptions).toContain("-nostdin");
  });

  it("ends, whatever the source says of its length", () => {
    for (const { options } of command.outputs) expect(options.some((option) => option === "-frames:v" || option === "-t")).toBe(true);
  });

  it("is made of single words, and takes nothing along of what the source says of itself", () => {
    const words = [...command.inputOptions, ...command.outputs.flatMap(({ options }) => options)];
    expect(words.filter((word) => /\s/.test(word) || word === "")).toEqual([]);
    for (const { options } of command.outputs) expect(valueOf(options, "-map_metadata")).toBe("-1");
  });
});

describe("a span", () => {
  it("is decoded once for all renditions, on a grid that starts with the source", () => {
    expect(spanCommand(span, means).filter).toBe(
      "[0:0]setpts=round(PTS-(0.000000)/TB),fps=30/1:start_time=0,tpad=stop_mode=clone:stop_duration=1,split=2[s0][s1];" +
        "[s0]scale=1280:720:flags=bicubic:in_color_matrix=bt601:out_color_matrix=bt709:out_range=tv,setsar=1[v0];" +
        "[s1]scale=426:240:flags=bicubic:in_color_matrix=bt601:out_color_matrix=bt709:out_range=tv,setsar=1[v1]",
    );
  });

  it("that is not the first is sought, from the keyframe before, of which the grid takes what is on screen", () => {
    const later = {
      ...span,
      source: { ...source, start: 1.4, origin: 0.02 },
      span: { index: 1, first: 240, frames: 120, segment: 3, last: false },
    };
    const { inputOptions, filter } = spanCommand(later, means);
    expect(valueOf(inputOptions, "-ss")).toBe("8.020000");
    expect(inputOptions).toContain("-noaccurate_seek");
    expect(filter).toContain("[0:0]setpts=round(PTS-(9.420000)/TB),fps=30/1:start_time=0,split=2");
    expect(filter).not.toContain("tpad");
  });

  it("is not sought when it is the first", () => {
    expect(spanCommand(span, means).inputOptions).not.toContain("-ss");
  });

  it("has a keyframe at the start of each segment and nowhere else, in every rendition", () => {
    for (const { options } of spanCommand(span, means).outputs) {
      expect([valueOf(options, "-g"), valueOf(options, "-keyint_min"), valueOf(options, "-sc_threshold")]).toEqual(["120", "120", "0"]);
    }
  });

  it("is made progressive where it is interlaced, before frames are dropped", () => {
    expect(spanCommand({ ...span, picture: { ...span.picture, interlaced: true } }, means).filter).toMatch(/^\[0:0\]bwdif=.*,fps=/);
  });

  it("is mapped from HDR where this ffmpeg can, and converted plainly where it cannot", () => {
    const hdr: SpanTask = { ...span, picture: { ...span.picture, hdr: true, matrix: "bt2020" } };
    expect(spanCommand(hdr, means).filter).toMatch(/zscale=t=linear:npl=100:w=1280:h=720,.*tonemap=.*in_color_matrix=bt709/);
    expect(spanCommand(hdr, { ...means, canToneMap: false }).filter).toMatch(/^(?!.*zscale).*in_color_matrix=bt2020/);
  });
});

describe("a poster", () => {
  it("has at most 1280 pixels in a line, and the shape of the video", () => {
    expect(valueOf(pictureCommand(picture, means, false).outputs[0]?.options ?? [], "-filter:v")).toBe("scale=1280:720,setsar=1");
  });

  it("is mapped from HDR as the video is", () => {
    expect(valueOf(pictureCommand({ ...picture, hdr: true }, means, false).outputs[0]?.options ?? [], "-filter:v")).toMatch(
      /^zscale=.*tonemap=.*,setsar=1$/,
    );
  });

  it("is not sought in a transport stream", () => {
    expect(pictureCommand(picture, means, true).inputOptions).toContain("-ss");
    expect(pictureCommand({ ...picture, source: { ...source, seekable: false } }, means, true).inputOptions).not.toContain("-ss");
  });
});

it("never opens a container that names other files", () => {
  expect(DEMUXERS).not.toEqual(expect.arrayContaining([expect.stringMatching(/hls|dash|concat|sdp|image2|lavfi|rtsp|rtp/)]));
  for (const demuxer of DEMUXERS)
    expect(inputProtection(demuxer, 1, "probe")).toEqual(expect.arrayContaining(["-f", demuxer, "-format_whitelist"]));
});
