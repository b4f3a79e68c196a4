/** The index of an MP4 tells the same as its packets do, on whatever a telephone, a camera or a broken copy sends. */
import { array, assert, constantFrom, nat, property, tuple } from "fast-check";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { Readable } from "node:stream";
import { promisify } from "node:util";
import { factsOf } from "../../services/transcoder/domain/facts.ts";
import { reachIn, timelinesIn } from "../../services/transcoder/domain/sample-tables.ts";
import { candidateOf, type Candidate } from "../../services/transcoder/domain/probe.ts";
import type { Timelines } from "../../services/transcoder/domain/timeline.ts";
import type { ProgramPaths } from "../../services/transcoder/ffmpeg/locate.ts";
import { probe, readTimeline } from "../../services/transcoder/ffmpeg/probe.ts";
import { openTools, removeFolder as removeToolFolder, type Tools } from "../../services/transcoder/ffmpeg/sandbox.ts";
import { serveSource } from "../../services/transcoder/ffmpeg/source.ts";
import { readIndex } from "../../services/transcoder/work/index.ts";
import { LIMITS } from "../support/conversion.ts";
import { describeWithToolsets } from "../support/ffmpeg.ts";
import { needs } from "../support/neighbours.ts";
import { Sources } from "../support/sources.ts";
import { removeFolder, temporaryFolder } from "../support/tritontube.ts";

/** 1,024 samples, 48,000 a second. */
const SOUND_FRAME_S = 0.022;

let folder: string;
let sources: Sources;
beforeAll(async () => {
  folder = await temporaryFolder("tritontube-index-");
  sources = new Sources(folder, "http://127.0.0.1:9");
});
afterAll(async () => await removeFolder(folder));

const indexed = [
  "plain.mp4",
  "faststart.mp4",
  "portrait.mp4",
  "odd-size-444.mp4",
  "variable-rate.mp4",
  "ntsc.mp4",
  "long-stills.mp4",
  "120-a-second.mp4",
  "one-frame.mp4",
  "tiny.mp4",
  "no-audio.mp4",
  "hevc-10-bit-hdr.mp4",
  "open-gop.mp4",
  "edit-list.mp4",
  "late-audio.mp4",
  "late-picture.mp4",
  "flash-and-beep.mov",
  "bit-rot.mp4",
];

describeWithToolsets((paths: ProgramPaths) => {
  let tools: Tools;
  beforeAll(async () => {
    tools = await openTools(paths, LIMITS.secondsMax);
  });
  afterAll(async () => await tools.close());

  it.each(indexed)("plans %s from its index as from its packets", async (name) => {
    const { candidate, index, packets } = await look(await sources.path(name), tools);
    expect(index).toBeDefined();
    expect(told(index!, candidate.picture.index)).toEqual(told(packets, candidate.picture.index));
    const { sound: heard, durationS, ...facts } = factsOf(candidate, index, LIMITS);
    const expected = factsOf(candidate, packets, LIMITS);
    expect(facts).toEqual({ ...facts, picture: expected.picture, originS: expected.originS, seekable: expected.seekable });
    // The last packet of sound may be told shorter by the index than its decoder makes it.
    expect(Math.abs(durationS - expected.durationS)).toBeLessThan(SOUND_FRAME_S);
    expect(Math.abs((heard?.seconds ?? 0) - (expected.sound?.seconds ?? 0))).toBeLessThan(SOUND_FRAME_S);
  });

  it.each(["faststart.mp4", "long-faststart.mp4", "plain.mp4"])(
    "tells how many bytes of %s hold what comes before a time",
    async (name) => {
      const path = await sources.path(name);
      const bytes = await readFile(path);
      const moov = bytes.subarray(bytes.indexOf("moov") + 4);
      for (const stream of [0, 1]) {
        const packets = await packetsOf(path, stream);
        const reach = reachIn(moov, stream, 41);
        for (const time of [0, 0.5, 1, 2.5, 4]) {
          const needed = Math.max(...packets.filter(({ decoded }) => decoded <= time).map(({ end }) => end));
          const soon = Math.max(...packets.filter(({ decoded }) => decoded <= Math.ceil(time) + 0.001).map(({ end }) => end));
          expect(reach(time)).toBeGreaterThanOrEqual(needed);
          expect(reach(time)).toBeLessThanOrEqual(soon);
        }
        expect(reach(1e9)).toBe(Math.max(...packets.map(({ end }) => end)));
      }
    },
  );

  it.each(["fragmented.mp4", "cut-off.mp4", "ntsc.mkv"])(
    "reads the packets of %s, whose index cannot be believed or is none",
    async (name) => {
      expect((await look(await sources.path(name), tools)).index).toBeUndefined();
    },
  );
});

describe("an index that lies", () => {
  it("is read to its end, whatever its bytes say", async () => {
    const bytes = await readFile(await sources.path("edit-list.mp4"));
    const moov = bytes.subarray(bytes.indexOf("moov") + 4);
    const streams = [
      { index: 0, timescale: 15_360 },
      { index: 1, timescale: 48_000 },
    ];
    expect(timelinesIn(moov, bytes.length, streams)).toBeDefined();
    const changes = array(tuple(nat(moov.length - 1), constantFrom(0, 1, 0x7f, 0xff)), { minLength: 1, maxLength: 8 });
    assert(
      property(changes, (changed) => {
        const broken = Uint8Array.from(moov);
        for (const [at, value] of changed) broken[at] = value;
        timelinesIn(broken, bytes.length, streams);
      }),
      { numRuns: 2000 },
    );
  });
});

async function packetsOf(path: string, stream: number): Promise<{ decoded: number; end: number }[]> {
  const args = ["-v", "error", "-select_streams", String(stream), "-show_entries", "packet=dts_time,size,pos", "-of", "csv=p=0", path];
  const { stdout } = await promisify(execFile)(needs("ffprobe"), args);
  return stdout
    .trim()
    .split("\n")
    .map((line) => line.split(",").map(Number))
    .map(([decoded = 0, size = 0, pos = 0]) => ({ decoded, end: pos + size }));
}

/** What a plan is made of. */
function told(timelines: Timelines, stream: number) {
  const { packets, first, last, end, fallBack, keyframeDistance } = timelines.get(stream)!;
  return { packets, first, last, end, fallBack, keyframeDistance };
}

async function look(path: string, tools: Tools): Promise<{ candidate: Candidate; index: Timelines | undefined; packets: Timelines }> {
  const bytes = await readFile(path);
  const size = bytes.length;
  const read = async (start: number, end: number) => Readable.from([bytes.subarray(start, end)]);
  const source = await serveSource({ size, read });
  const work = await tools.folder();
  const demuxer = path.endsWith(".mkv") ? ("matroska" as const) : ("mov" as const);
  const question = { ffprobe: tools.ffprobe, folder: work, url: source.url, demuxer, limits: LIMITS, signal: new AbortController().signal };
  try {
    const candidate = candidateOf(await probe(question), demuxer, LIMITS);
    return { candidate, index: await readIndex(candidate, size, read), packets: await readTimeline(question) };
  } finally {
    await source.close();
    await removeToolFolder(work);
  }
}
