/** What phones, cameras, browsers and broadcasters send, through real ffmpeg: every set of programs that this machine has. */
import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { taskOf, type Plan, type SpanTask, type TaskKind } from "../../services/transcoder/domain/plan.ts";
import type { ProgramPaths } from "../../services/transcoder/ffmpeg/locate.ts";
import { openTools, type Tools } from "../../services/transcoder/ffmpeg/sandbox.ts";
import { takeCaptions } from "../../services/transcoder/work/captions.ts";
import { plannedRuns } from "../../services/videos/domain/runs.ts";
import { doTask, LIMITS, Workshop, type Made } from "../support/conversion.ts";
import { countDecoded, describeWithToolsets, ffmpeg, ffprobe, runningPrograms } from "../support/ffmpeg.ts";
import { Sources } from "../support/sources.ts";
import { removeFolder, temporaryFolder } from "../support/tritontube.ts";

/** Sound and picture may start this far apart, s: one frame of 25 a second, and less than anybody hears. */
const SYNC_S = 0.04;

let folder: string;
let sources: Sources;
beforeAll(async () => {
  folder = await temporaryFolder("tritontube-sources-");
  sources = new Sources(folder, "http://127.0.0.1:9");
});
afterAll(async () => await removeFolder(folder));

interface Expected {
  /** Frames of the result. The same as a decoder finds in the source, where that is not said to be otherwise. */
  readonly frames: number;
  readonly sourceFrames?: number;
  /** Renditions of the picture, the largest first. */
  readonly ladder: readonly string[];
  readonly sound?: false;
}

const two = ["360p 640x360", "240p 426x240"];
const small = ["240p 320x240"];

const ordinary: readonly (readonly [title: string, source: string, expected: Expected])[] = [
  ["an ordinary MP4, its index at the end", "plain.mp4", { frames: 150, ladder: two }],
  ["a telephone's video held upright", "portrait.mp4", { frames: 150, ladder: ["360p 360x640", "240p 240x426"] }],
  ["a picture of odd size with all its colour", "odd-size-444.mp4", { frames: 60, ladder: ["360p 642x360", "240p 428x240"], sound: false }],
  ["frames that come as they like", "variable-rate.mp4", { frames: 148, sourceFrames: 96, ladder: small }],
  ["30000/1001 frames a second", "ntsc.mp4", { frames: 90, ladder: small, sound: false }],
  [
    "120 frames a second, of which each second is kept",
    "120-a-second.mp4",
    { frames: 120, sourceFrames: 240, ladder: small, sound: false },
  ],
  ["a single frame", "one-frame.mp4", { frames: 1, ladder: small, sound: false }],
  ["a picture smaller than the ladder", "tiny.mp4", { frames: 60, ladder: ["100p 160x100"], sound: false }],
  ["no sound", "no-audio.mp4", { frames: 75, ladder: small, sound: false }],
  ["10-bit HEVC with HDR", "hevc-10-bit-hdr.mp4", { frames: 50, ladder: two, sound: false }],
  ["open groups of pictures", "open-gop.mp4", { frames: 120, ladder: small, sound: false }],
  ["a transport stream that starts at 1.4 s", "starts-at-1.4-s.ts", { frames: 150, ladder: two }],
  ["a Matroska file that starts at 5 s", "starts-at-5-s.mkv", { frames: 150, ladder: two }],
  ["an edit list that hides the first frames", "edit-list.mp4", { frames: 105, ladder: two }],
  ["sound that comes half a second late", "late-audio.mp4", { frames: 150, ladder: two }],
  ["a picture that comes half a second late", "late-picture.mp4", { frames: 165, sourceFrames: 150, ladder: two }],
  [
    "interlaced television with long pixels",
    "interlaced-anamorphic.ts",
    { frames: 75, ladder: ["480p 640x480", "360p 480x360", "240p 320x240"], sound: false },
  ],
  ["VP9 and Opus", "vp9-opus.webm", { frames: 75, ladder: small }],
  ["what a browser records, without a duration", "live.webm", { frames: 75, ladder: small }],
  ["MPEG-4 and MP3 in AVI", "mpeg4-mp3.avi", { frames: 75, ladder: small }],
  ["lines of text", "subtitles.mkv", { frames: 150, ladder: two }],
  ["a picture that changes its size", "changes-size.ts", { frames: 120, ladder: two, sound: false }],
  ["flipped bits", "bit-rot.mp4", { frames: 150, ladder: two }],
  // The last packet is there in part: announced, and filled with the frame before.
  ["a copy that was cut off", "cut-off.mp4", { frames: 91, sourceFrames: 90, ladder: two }],
];

/** Whatever can be begun in its middle. */
const seamless = [
  "plain.mp4",
  "faststart.mp4",
  "fragmented.mp4",
  "portrait.mp4",
  "ntsc.mp4",
  "ntsc.mkv",
  "variable-rate.mp4",
  "long-stills.mp4",
  "hevc-10-bit-hdr.mp4",
  "open-gop.mp4",
  "starts-at-5-s.mkv",
  "edit-list.mp4",
  "late-audio.mp4",
  "late-picture.mp4",
  "vp9-opus.webm",
];

describeWithToolsets((paths: ProgramPaths) => {
  let tools: Tools;
  beforeAll(async () => {
    tools = await openTools(paths, LIMITS.secondsMax);
  });
  afterEach(async () => expect(await runningPrograms()).toEqual([]));
  afterAll(async () => await tools.close());

  const workshop = () => new Workshop(tools);

  it.each(ordinary)("makes segments of %s", async (_title, name, { frames, sourceFrames = frames, ladder, sound = true }) => {
    const path = await sources.path(name);
    expect(await framesIn(path)).toBe(sourceFrames);
    const shop = workshop();
    const made = await shop.convert(path);
    expect(made.facts.picture.frames).toBe(frames);
    expect(
      made.plan.renditions.map(({ name: rendition, width, height }) => (width > 0 ? `${rendition} ${width}x${height}` : rendition)),
    ).toEqual([...ladder, ...(sound ? ["audio"] : [])]);
    const at = await place();
    for (const rendition of made.plan.renditions) {
      expectUnbroken(made, rendition);
      if (rendition.kind === "video") await expectPicture(await shop.assemble(made, rendition.name, at), { ...rendition, frames });
      else await expectSound(await shop.assemble(made, "audio", at), made.facts.sound?.seconds ?? 0);
    }
    expect(made.finished).toEqual(made.plan.tasks.map(({ kind }) => kind));
    const poster = join(at, "poster.jpg");
    await writeFile(poster, made.thumbnail ?? []);
    expect(await ffprobe(poster, "v", "codec_name,width,height")).toEqual({ codec_name: "mjpeg", ...sizeOf(ladder[0]) });
  });

  it.each(["flash-and-beep.mp4", "flash-and-beep.ts", "flash-and-beep.mkv", "flash-and-beep.webm", "flash-and-beep.mov"])(
    "keeps sound and picture together in %s",
    async (name) => {
      const shop = workshop();
      const made = await shop.convert(await sources.path(name));
      const at = await place();
      const flashes = await flashesIn(await shop.assemble(made, "240p", at));
      const beeps = await beepsIn(await shop.assemble(made, "audio", at));
      expect(flashes.length).toBeGreaterThanOrEqual(3);
      for (const [index, flash] of flashes.entries()) expect(Math.abs(flash - (beeps[index] ?? Number.NaN))).toBeLessThanOrEqual(SYNC_S);
    },
  );

  it("keeps late sound late", async () => {
    const shop = workshop();
    const made = await shop.convert(await sources.path("late-audio.mp4"));
    const [first] = await beepsIn(await shop.assemble(made, "audio", await place()));
    expect(first).toBeGreaterThan(0.5 - SYNC_S);
    expect(first).toBeLessThan(0.5 + SYNC_S);
  });

  it.each(seamless)("joins what several workers make of the spans of %s, without a seam", async (name) => {
    const shop = workshop();
    const made = await shop.convert(await sources.path(name), { segmentSeconds: 0.6, workers: 3 });
    const spans = spansOf(made.plan);
    expect(spans.length).toBeGreaterThanOrEqual(3);
    for (const rendition of made.plan.renditions) expectUnbroken(made, rendition);
    const { frames } = made.facts.picture;
    const at = await place();
    const joined = await shop.assemble(made, spans[0]?.renditions.at(-1)?.name ?? "", at);
    expect(await countDecoded(joined)).toBe(frames);
    // Every frame shows what it shows in one piece: another frame of these sources is below 20 dB.
    const whole = await inOnePiece(shop, made, join(at, "whole.mp4"));
    expect(await countDecoded(whole)).toBe(frames);
    expect(await worstPsnr(whole, joined)).toBeGreaterThan(28);
  });

  it("joins the spans of a sound as if one encoder had made it, without a click", async () => {
    const shop = workshop();
    const made = await shop.convert(await sources.path("long-tone.mp4"), { workers: 2 });
    const spans = made.plan.tasks.filter(({ kind }) => kind === "video.audio").map(({ payload }) => taskOf("video.audio", payload));
    expect(spans.map(({ span }) => span.segments)).toEqual([2, 4, 4]);
    const at = await place();
    const joined = await shop.assemble(made, "audio", at);
    const [some] = spans;
    const whole = await publishedBy(
      shop,
      "video.audio",
      { ...some, span: { segment: 1, segments: 10, last: true } },
      join(at, "whole.mp4"),
    );
    expect(await ffprobe(joined, "a", "duration")).toEqual(await ffprobe(whole, "a", "duration"));
    // The tone has -21 dB.
    expect(await loudestDifference(joined, whole)).toBeLessThan(-50);
  });

  it("makes a sound in one piece whose times a container rounds: its spans would not meet", async () => {
    const shop = workshop();
    const { plan } = await shop.plan(shop.store(await readFile(await sources.path("long-tone.mkv"))));
    const spans = plan.tasks.filter(({ kind }) => kind === "video.audio").map(({ payload }) => taskOf("video.audio", payload).span);
    expect(spans).toEqual([{ segment: 1, segments: 10, last: true }]);
  });

  it("makes the rendition alone that somebody waits for, and the others later: the same pictures", async () => {
    const shop = workshop();
    const { plan } = await shop.plan(shop.store(await readFile(await sources.path("plain.mp4"))));
    const [span] = spansOf(plan);
    const order = async (task: unknown): Promise<string[]> => {
      const published: string[] = [];
      const hand = shop.hand(new AbortController().signal, {
        publish: async ({ rendition, segments }) =>
          void published.push(...segments.map(({ number, blob }) => `${rendition} ${number} ${blob}`)),
        defer: async (made) => void published.push(`deferred ${made}`),
        finish: async () => void published.push("finished"),
      });
      await doTask("video.span", task, hand);
      return published;
    };
    const together = await order(span);
    const wanted = await order({ ...span, wanted: "240p", planned: 1000 });
    expect(wanted).toEqual([...together.filter((line) => line.startsWith("240p")), "deferred 240p"]);
    const others = await order({ ...span, made: ["240p"] });
    expect([...wanted.slice(0, -1), ...others].toSorted()).toEqual(together.toSorted());
  });

  it("takes a poster that is not dark from a video that begins dark", async () => {
    const made = await workshop().convert(await sources.path("dark-start.mp4"));
    const path = join(await place(), "poster.jpg");
    await writeFile(path, made.thumbnail ?? []);
    const words = await ffmpeg([
      "-v",
      "info",
      "-i",
      path,
      "-vf",
      "signalstats,metadata=print:key=lavfi.signalstats.YAVG",
      "-f",
      "null",
      "-",
    ]);
    expect(Number(/YAVG=([0-9.]+)/.exec(words)?.[1])).toBeGreaterThan(32);
  });

  it("loses no language for another that is too long, nor a line for one that comes early or is odd", async () => {
    const lines = await sources.path("odd-lines.mkv");
    const made: string[] = [];
    const shop = new Workshop(tools);
    const source = shop.store(await readFile(lines));
    const { plan } = await shop.plan(source);
    const task = taskOf("video.captions", plan.tasks.find(({ kind }) => kind === "video.captions")?.payload);
    const later = { ...task, source: { ...task.source, start: 1 } };
    const hand = shop.hand(new AbortController().signal, {
      publishCaptions: async ({ language, blob }) => void made.push(`${language} ${Buffer.from(shop.bytesOf(blob)).toString()}`),
    });
    const empty = await takeCaptions(later, hand);
    expect([made, empty]).toEqual([
      ["de WEBVTT\n\n00:00:00.000 --> 00:00:00.500\nEarly\nand on.\n\n00:00:01.000 --> 00:00:02.000\nIn time.\n"],
      ["en"],
    ]);
  });

  it("tells how far it is, up to the end", async () => {
    const { progress } = await workshop().convert(await sources.path("no-audio.mp4"));
    expect(progress).toEqual(progress.toSorted((a, b) => a - b));
    expect(progress.at(-1)).toBe(1);
  });
});

/** Frames of a source: counted once for all sets of programs. */
async function framesIn(path: string): Promise<number> {
  const frames = counted.get(path) ?? (await countDecoded(path));
  counted.set(path, frames);
  return frames;
}
const counted = new Map<string, number>();

/** Of "360p 640x360". */
function sizeOf(rung: string | undefined): { width: string; height: string } {
  const [, width = "", height = ""] = /(\d+)x(\d+)$/.exec(rung ?? "") ?? [];
  return { width, height };
}

const place = async () => await mkdtemp(join(folder, "made-"));

/** Samples. The last frame of a sound may be cut short, and no player minds. */
const AAC_FRAME = 1024;

/** Numbers and times without a gap, and each segment as long as was promised before any of them was made. */
function expectUnbroken(made: Made, rendition: Plan["renditions"][number]): void {
  const { head, segments = [] } = made.published.get(rendition.name) ?? {};
  const promised = plannedRuns(rendition, head?.timescale ?? 0).flatMap(([count, duration]) =>
    Array.from({ length: count }, () => duration),
  );
  expect(segments.map(({ number }) => number)).toEqual(promised.map((_, index) => index + 1));
  const slack = rendition.kind === "audio" ? AAC_FRAME : 0;
  for (const [index, { duration }] of segments.entries()) {
    const off = Math.abs(duration - (promised[index] ?? 0));
    expect(off).toBeLessThanOrEqual(index === segments.length - 1 ? slack : 0);
  }
  let next = 0;
  for (const { start, duration } of segments) {
    expect(start).toBe(next);
    next = start + duration;
  }
}

async function expectPicture(path: string, { width, height, frames }: { width: number; height: number; frames: number }): Promise<void> {
  const about = "nb_read_frames,width,height,pix_fmt,sample_aspect_ratio,color_space,color_transfer,color_primaries,start_time";
  expect(await ffprobe(path, "v", about)).toEqual({
    nb_read_frames: String(frames),
    width: String(width),
    height: String(height),
    pix_fmt: "yuv420p",
    sample_aspect_ratio: "1:1",
    color_space: "bt709",
    color_transfer: "bt709",
    color_primaries: "bt709",
    start_time: "0.000000",
  });
}

async function expectSound(path: string, seconds: number): Promise<void> {
  const { start_time: start, duration, channels, sample_rate: rate } = await ffprobe(path, "a", "start_time,duration,channels,sample_rate");
  expect([channels, rate]).toEqual(["2", "48000"]);
  expect(Math.abs(Number(start))).toBeLessThanOrEqual(SYNC_S);
  expect(Math.abs(Number(duration) - seconds)).toBeLessThan(0.1);
}

/** When black ends, s; the last one is the end of the video. */
async function flashesIn(path: string): Promise<number[]> {
  const words = await ffmpeg(["-v", "info", "-i", path, "-vf", "blackdetect=d=0.1:pix_th=0.5", "-an", "-f", "null", "-"]);
  return [...words.matchAll(/black_end:([0-9.]+)/g)].map(([, time]) => Number(time)).slice(0, -1);
}

/** When silence ends, s. With `copyts`, so that the priming of AAC does not count. */
async function beepsIn(path: string): Promise<number[]> {
  const words = await ffmpeg(["-v", "info", "-copyts", "-i", path, "-af", "silencedetect=noise=-20dB:d=0.1", "-f", "null", "-"]);
  return [...words.matchAll(/silence_end: ([0-9.]+)/g)].map(([, time]) => Number(time));
}

/** Decibels of the frame that differs most. */
async function worstPsnr(one: string, other: string): Promise<number> {
  const graph = "[0:v]setpts=N/TB/30[a];[1:v]setpts=N/TB/30[b];[a][b]psnr";
  const words = await ffmpeg(["-v", "info", "-i", one, "-i", other, "-filter_complex", graph, "-f", "null", "-"]);
  const worst = /PSNR .* min:(\S+)/.exec(words)?.[1];
  return worst === "inf" ? Number.POSITIVE_INFINITY : Number(worst);
}

function spansOf({ tasks }: Plan): SpanTask[] {
  return tasks.filter(({ kind }) => kind === "video.span").map(({ payload }) => taskOf("video.span", payload));
}

/** The smallest rendition as a file, encoded as one span from the first frame to the last. */
async function inOnePiece(shop: Workshop, { facts, plan }: Made, path: string): Promise<string> {
  const some = spansOf(plan).at(-1);
  if (!some) throw new Error("The plan has no span.");
  const span = { index: 0, first: 0, frames: facts.picture.frames, segment: 1, last: true };
  return await publishedBy(shop, "video.span", { ...some, span, renditions: some.renditions.slice(-1) }, path);
}

/** What a task with one output makes, as a file. */
async function publishedBy(shop: Workshop, kind: TaskKind, task: unknown, path: string): Promise<string> {
  const parts: string[] = [];
  const hand = shop.hand(new AbortController().signal, {
    async publish({ init, segments }) {
      if (parts.length === 0) parts.push(init.blob);
      parts.push(...segments.map(({ blob }) => blob));
    },
  });
  await doTask(kind, task, hand);
  await writeFile(path, Buffer.concat(parts.map((blob) => shop.bytesOf(blob))));
  return path;
}

/** Of two sounds, the sample at which they differ most, in decibels below the loudest that there is. */
async function loudestDifference(one: string, other: string): Promise<number> {
  const graph = "[0:a][1:a]amerge=inputs=2,pan=mono|c0=c0-c2,volumedetect";
  const words = await ffmpeg(["-v", "info", "-i", one, "-i", other, "-filter_complex", graph, "-f", "null", "-"]);
  return Number(/max_volume: (\S+) dB/.exec(words)?.[1] ?? Number.NaN);
}
