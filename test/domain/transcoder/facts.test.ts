import { errorType } from "../../../services/kernel/errors.ts";
import { factsOf, type SourceFacts } from "../../../services/transcoder/domain/facts.ts";
import { candidateOf, refusalOf } from "../../../services/transcoder/domain/probe.ts";
import { TimelineReader } from "../../../services/transcoder/domain/timeline.ts";
import type { Demuxer } from "../../../services/transcoder/domain/whitelist.ts";

const limits = { secondsMax: 43_200, pixelsMax: 35_389_440 };

/** What ffprobe says of ten seconds of ordinary video. */
const picture = {
  index: 0,
  codec_type: "video",
  codec_name: "h264",
  width: 1920,
  height: 1080,
  sample_aspect_ratio: "1:1",
  field_order: "progressive",
  r_frame_rate: "30/1",
  avg_frame_rate: "30/1",
  time_base: "1/30",
  start_time: "0.000000",
  duration: "10.000000",
  disposition: { attached_pic: 0, default: 1 },
};
const sound = {
  index: 1,
  codec_type: "audio",
  codec_name: "aac",
  channels: 2,
  time_base: "1/1000",
  start_time: "0.000000",
  duration: "10.000000",
};
const format = { start_time: "0.000000", duration: "10.000000", tags: { major_brand: "isom" } };

interface Answer {
  readonly streams?: readonly object[];
  readonly format?: object;
  readonly demuxer?: Demuxer;
  /** Lines of packets; undefined when they were not read. */
  readonly packets?: readonly string[];
}

function facts({ streams = [picture, sound], format: about = format, demuxer = "mov", packets }: Answer): SourceFacts {
  const timeline = packets && new TimelineReader();
  for (const line of packets ?? []) timeline?.add(line);
  return factsOf(candidateOf({ streams, format: about }, demuxer, limits), timeline, limits);
}

/** `count` frames of one tick each from a time on, in stream 0. */
const frames = (count: number, from = 0) => Array.from({ length: count }, (_, n) => `0,${from + n},${from + n},1,__`);

/** The same, with a keyframe first and then every so many frames. */
const withKeyframes = (count: number, every: number) => frames(count).map((line, n) => (n % every === 0 ? line.replace("__", "K_") : line));

/** Sound that starts at 1.4 s, and a picture that starts later. */
const late = (by: number) => ({
  streams: [
    { ...picture, start_time: String(1.4 + by) },
    { ...sound, start_time: "1.4" },
  ],
  format: { ...format, start_time: "1.4" },
});

const seekable = (answer: Answer): boolean => facts(answer).seekable;

/** So many frames in steps of 20 ms, and the rest of a hundred in steps of 80. */
function stretches(fast: number): string[] {
  const steps = Array.from({ length: 100 }, (_, n) => (n < fast ? 20 : 80));
  const times = steps.map((_, n) => steps.slice(0, n).reduce((sum, step) => sum + step, 0));
  return times.map((time, n) => `0,${time},${time},${steps[n]},__`);
}

describe("a source in the middle of which one can begin", () => {
  it("has an exact index, and a keyframe at least every 20 s", () => {
    expect(seekable({ packets: withKeyframes(1500, 600) })).toBe(true);
    expect(seekable({ packets: withKeyframes(1500, 601) })).toBe(false);
    expect(seekable({ packets: withKeyframes(601, 1000) })).toBe(true);
    expect(seekable({ packets: withKeyframes(602, 1000) })).toBe(false);
  });

  it("is no transport stream, no AVI, nothing without a duration, and nothing that was not read through", () => {
    const packets = withKeyframes(300, 30);
    expect(seekable({ packets, demuxer: "matroska" })).toBe(true);
    expect(seekable({ packets, demuxer: "mpegts" })).toBe(false);
    expect(seekable({ packets, demuxer: "avi" })).toBe(false);
    expect(seekable({ packets, format: { start_time: "0.000000", tags: {} } })).toBe(false);
    expect(seekable({})).toBe(false);
  });
});

const text = (index: number, language?: string, about: object = {}) => ({
  index,
  codec_type: "subtitle",
  codec_name: "subrip",
  ...(language === undefined ? {} : { tags: { language } }),
  ...about,
});
const textsOf = (...texts: object[]) => facts({ streams: [picture, ...texts] }).texts.map((one) => `${one.stream} ${one.language}`);

describe("the lines of text of a source", () => {
  it("are one stream of each language, by the name that people choose", () => {
    expect(textsOf(text(2, "ger"), text(3, "eng"), text(4, "deu"), text(5, "pt-BR"))).toEqual(["2 de", "3 en", "5 pt-BR"]);
    expect(textsOf(text(2, "ger", { disposition: { forced: 1 } }), text(3, "ger"))).toEqual(["3 de"]);
  });

  it("are in no known language where none is told, or what is told is none", () => {
    expect(textsOf(text(2))).toEqual(["2 und"]);
    expect(textsOf(text(2, "../../etc"))).toEqual(["2 und"]);
    expect(textsOf(text(2, "x".repeat(300)))).toEqual(["2 und"]);
  });

  it("are of no more languages than a disc has", () => {
    const letters = "abcdefghijklmnopqrstuvwxyz".split("");
    const many = letters.flatMap((a) => ["x", "y"].map((b) => `q${a}${b}`)).slice(0, 40);
    expect(textsOf(...many.map((name, index) => text(index + 2, name)))).toHaveLength(32);
  });

  it("are no pictures of text", () => {
    expect(textsOf(text(2, "eng", { codec_name: "hdmv_pgs_subtitle" }), text(3, "eng", { codec_name: "dvd_subtitle" }))).toEqual([]);
  });
});

/** What is said of a sound whose packets come after such steps. */
function isExact(ticks: string, steps: readonly number[]): boolean | undefined {
  const times = steps.map((_, n) => steps.slice(0, n).reduce((sum, step) => sum + step, 0));
  const packets = [...frames(300), ...times.map((time, n) => `1,${time},${time},${steps[n]},K_`)];
  return facts({ streams: [picture, { ...sound, time_base: ticks }], packets }).sound?.exact;
}

describe("the times of a sound", () => {
  it("are those of its samples where each packet has as many ticks", () => {
    expect(isExact("1/48000", Array<number>(400).fill(1024))).toBe(true);
  });

  it("are not where they tremble, drift, or are rounded to milliseconds", () => {
    expect(isExact("1/48000", [...Array<number>(300).fill(1024), 1030, 1018, ...Array<number>(100).fill(1024)])).toBe(false);
    expect(isExact("1/1000", [21, 21, 22, 21, 21, 22])).toBe(false);
    expect(isExact("1/1000", Array<number>(400).fill(20))).toBe(false);
  });
});

describe("the facts of a source", () => {
  it("are what the container says, where its packets were not read", () => {
    expect(facts({})).toEqual({
      container: "mp4",
      startS: 0,
      originS: 0,
      seekable: false,
      durationS: 10,
      picture: {
        stream: 0,
        codec: "h264",
        width: 1920,
        height: 1080,
        rate: [30, 1],
        frames: 300,
        steady: true,
        interlaced: false,
        hdr: false,
        matrix: "bt709",
      },
      sound: { stream: 1, codec: "aac", seconds: 10, exact: false },
      texts: [],
    });
  });

  it.each([
    ["rotated by its display matrix", { side_data_list: [{ side_data_type: "Display Matrix", rotation: -90 }] }, [1080, 1920]],
    ["rotated by the older tag", { tags: { rotate: "270" } }, [1080, 1920]],
    ["upside down", { side_data_list: [{ rotation: 180 }] }, [1920, 1080]],
    ["anamorphic", { width: 720, height: 576, sample_aspect_ratio: "16:15" }, [768, 576]],
    ["anamorphic and rotated", { width: 1440, height: 1080, sample_aspect_ratio: "4:3", tags: { rotate: "90" } }, [1080, 1920]],
    ["of pixels that cannot be", { sample_aspect_ratio: "1:100000" }, [1920, 1080]],
  ])("show the size of a picture that is %s as it is seen", (_what, about, [width, height]) => {
    expect(facts({ streams: [{ ...picture, ...about }] }).picture).toMatchObject({ width, height });
  });

  it.each([
    [{ field_order: "tt" }, { interlaced: true }],
    [{ color_transfer: "arib-std-b67" }, { hdr: true }],
    [{ color_space: "smpte170m" }, { matrix: "bt601" }],
    [{ color_space: "bt2020nc" }, { matrix: "bt2020" }],
    [{ height: 576 }, { matrix: "bt601" }],
  ])("of %j are %j", (about, expected) => {
    expect(facts({ streams: [{ ...picture, ...about }] }).picture).toMatchObject(expected);
  });

  it("count the packets of a source that holds less than it says", () => {
    expect(facts({ streams: [picture], packets: frames(197) })).toMatchObject({
      durationS: 197 / 30,
      picture: { frames: 197, steady: true },
    });
  });

  it("leave out packets that an edit list hides", () => {
    const packets = [...frames(97, -97).map((line) => line.replace("__", "_D")), ...frames(100)];
    expect(facts({ streams: [picture], packets }).picture).toMatchObject({ frames: 100, steady: true });
  });

  it("put an uneven source on a grid that loses none of its frames on average", () => {
    const uneven = { ...picture, r_frame_rate: "60/1", avg_frame_rate: "270/10", time_base: "1/1000" };
    const packets = Array.from({ length: 270 }, (_, n) => `0,${n * 37 + (n % 7)},${n * 37 + (n % 7)},37,__`);
    expect(facts({ streams: [uneven], packets }).picture).toMatchObject({ rate: [30, 1], steady: false });
  });

  it("put it on a faster one when its frames come in stretches that are faster, but for a few", () => {
    const uneven = { ...picture, r_frame_rate: "60/1", avg_frame_rate: "20/1", time_base: "1/1000" };
    expect(facts({ streams: [uneven], packets: stretches(8) }).picture).toMatchObject({ rate: [24, 1], steady: false });
    expect(facts({ streams: [uneven], packets: stretches(30) }).picture).toMatchObject({ rate: [50, 1], steady: false });
  });

  it("keep the rate of a source that drops a frame now and then, and fill the holes", () => {
    const packets = frames(300).filter((_, n) => n % 50 !== 25);
    const dropped = { ...picture, avg_frame_rate: "294/10" };
    expect(facts({ streams: [dropped], packets }).picture).toMatchObject({ rate: [30, 1], steady: true, frames: 300 });
  });

  it("know an even rate by a clock that counts in milliseconds", () => {
    const packets = Array.from({ length: 90 }, (_, n) => Math.round((n * 1001) / 30)).map((time) => `0,${time},${time},33,K_`);
    const counted = { ...picture, r_frame_rate: "30000/1001", avg_frame_rate: "30000/1001", time_base: "1/1000" };
    expect(facts({ streams: [counted], packets }).picture).toMatchObject({ rate: [30_000, 1001], steady: true, frames: 90 });
  });

  it("begin with the picture where the sound begins a moment earlier, and with the sound where it is earlier by more", () => {
    expect(facts(late(0.021))).toMatchObject({ startS: 1.4, originS: expect.closeTo(0.021), picture: { frames: 300 } });
    expect(facts(late(0.5))).toMatchObject({ startS: 1.4, originS: 0, picture: { frames: 315 } });
  });

  it("do not count the time before a Matroska file starts", () => {
    const bare = { ...picture, duration: undefined, start_time: "5.0" };
    const about = { start_time: "5.000000", duration: "15.000000" };
    expect(facts({ streams: [bare], format: about, demuxer: "matroska" })).toMatchObject({ durationS: 10, picture: { frames: 300 } });
    const tagged = { ...bare, tags: { DURATION: "00:00:15.000000000" } };
    expect(facts({ streams: [tagged], format: { start_time: "5.000000" }, demuxer: "matroska" }).durationS).toBe(10);
  });

  it("take a stream of sound without packets for none", () => {
    expect(facts({ packets: frames(300) }).sound).toBeNull();
    expect(facts({ packets: [...frames(300), "1,0,0,10000,K_"] }).sound).toMatchObject({ seconds: 10 });
  });

  it("prefer the default among the sounds that can be decoded", () => {
    const sounds = [
      { ...sound, codec_name: "wmav2" },
      { ...sound, index: 2 },
      { ...sound, index: 3, disposition: { default: 1 } },
    ];
    expect(facts({ streams: [picture, ...sounds] }).sound?.stream).toBe(3);
  });
});

describe("a source is refused", () => {
  const many = Array.from({ length: 70 }, (_, index) => ({ ...sound, index }));
  it.each<[string, Answer, string, string]>([
    ["without a picture", { streams: [sound] }, "SOURCE_WITHOUT_PICTURE", "no moving picture"],
    [
      "with a cover only",
      { streams: [sound, { ...picture, disposition: { attached_pic: 1 } }] },
      "SOURCE_WITHOUT_PICTURE",
      "no moving picture",
    ],
    ["without streams", { streams: [] }, "SOURCE_WITHOUT_PICTURE", "no moving picture"],
    ["that is no answer of ffprobe", { streams: [{ index: "x" }] }, "SOURCE_DAMAGED", "again"],
    ["of an unknown picture codec", { streams: [{ ...picture, codec_name: "magicyuv" }] }, "SOURCE_UNSUPPORTED", "magicyuv"],
    ["of an unknown sound codec", { streams: [picture, { ...sound, codec_name: "wmav2" }] }, "SOURCE_UNSUPPORTED", "wmav2"],
    ["of too many pixels", { streams: [{ ...picture, width: 12_000, height: 12_000 }] }, "SOURCE_TOO_BIG", "12000 × 12000"],
    ["of no size", { streams: [{ ...picture, width: 0, height: 0 }] }, "SOURCE_DAMAGED", "how large"],
    ["of a size that shows nothing", { streams: [{ ...picture, height: 8 }] }, "SOURCE_UNSUPPORTED", "at least 16"],
    ["of too many streams", { streams: [picture, ...many] }, "SOURCE_TOO_COMPLEX", "71 streams"],
    ["that lasts for days", { format: { ...format, duration: "100000" } }, "SOURCE_TOO_LONG", "100000 s"],
    ["whose packets last longer than it says", { streams: [picture], packets: frames(2, 2_000_000) }, "SOURCE_TOO_LONG", "s long"],
    [
      "of a thousand frames a second",
      { streams: [{ ...picture, avg_frame_rate: "1000/1", r_frame_rate: "1000/1" }] },
      "SOURCE_TOO_COMPLEX",
      "1000 frames",
    ],
    [
      "of two frames hours apart",
      { streams: [picture], packets: ["0,0,0,1,K_", "0,600000,600000,1,__"] },
      "SOURCE_TOO_COMPLEX",
      "one picture in two seconds",
    ],
    [
      "whose picture comes after hours",
      { streams: [picture], packets: frames(300, 600_000) },
      "SOURCE_TOO_COMPLEX",
      "one picture in two seconds",
    ],
    ["that promises a picture and holds none", { packets: ["1,0,0,10,K_"] }, "SOURCE_DAMAGED", "holds none"],
    ["whose clock begins anew", { streams: [picture], packets: [...frames(300), ...frames(300)] }, "SOURCE_UNSUPPORTED", "jumps back"],
  ])("%s", (_what, answer, type, words) => {
    let thrown: unknown;
    try {
      facts(answer);
    } catch (error) {
      thrown = error;
    }
    expect(errorType(thrown)).toBe(type);
    expect((thrown as Error).message).toContain(words);
  });

  it.each([
    ["[h264 @ 0x1] Picture size 8000x8000 exceeds specified max pixel count 35389440", "SOURCE_TOO_BIG"],
    ["[magicyuv @ 0x1] Codec (magicyuv) not on whitelist 'h264'", "SOURCE_UNSUPPORTED"],
    ["[mov @ 0x1] moov atom not found", "SOURCE_DAMAGED"],
    ["[mov @ 0x1] Format not on whitelist 'mov'", "SOURCE_DAMAGED"],
    ["", "SOURCE_DAMAGED"],
  ])("when ffprobe ends with %j", (words, type) => {
    const refusal = refusalOf(words, limits);
    expect(refusal.type).toBe(type);
    expect(refusal.message).not.toContain("@ 0x");
  });
});
