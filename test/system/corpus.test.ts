/**
 * What people upload, from the upload to a player: each source is watched as it is, and as it comes out of DASH and of HLS, frame by frame. The
 * suite watches a few; `npm run test:corpus` all of them.
 */
import { uploadFile, untilStatus, type VideoJson } from "../support/client.ts";
import { describeWith } from "../support/neighbours.ts";
import { Sources } from "../support/sources.ts";
import { removeFolder, startTritonTube, temporaryFolder, type TritonTube } from "../support/tritontube.ts";
import { likeness, watch, type Watched } from "../support/watch.ts";

/** Sound and picture may drift so far apart, s: one frame of 25 a second, and less than anybody hears. */
const SYNC_S = 0.04;
/** Conversion of seconds of small pictures, on a machine that others use, too. */
const WORK_MS = 300_000;

interface Expected {
  /** Frames that a player sees, where they are not those of the source, one for one. */
  readonly frames?: number;
  /** Of the source's frames every so many are kept; all, where nothing is said. */
  readonly every?: number;
  /** The last frame is shown for less than half a step of the grid, and has no place on it. */
  readonly brief?: true;
  readonly silent?: true;
  /** Below this the picture is another one (1 is the same); 0.93 where nothing is said. */
  readonly alike?: number;
  /** What a player should see, as a filter for the source; as it is, where nothing is said. */
  readonly shown?: string;
  /** One of those that the suite watches. */
  readonly usual?: true;
}

const LIGHT = "zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=hable:desat=0,zscale=t=bt709:m=bt709:r=tv,format=yuv420p";

const corpus: Readonly<Record<string, Expected>> = {
  "plain.mp4": { usual: true },
  "faststart.mp4": {},
  // Its muxer makes the first frame longer, by the priming of the sound.
  "fragmented.mp4": { frames: 151, shown: "fps=30:start_time=0" },
  "portrait.mp4": {},
  "portrait-of-odd-size.mp4": { silent: true, usual: true },
  "odd-size-444.mp4": { silent: true },
  "long-pixels.mp4": { silent: true },
  "variable-rate.mp4": { frames: 148, brief: true, shown: "fps=30:start_time=0", usual: true },
  "long-stills.mp4": { frames: 210, silent: true, shown: "fps=30:start_time=0" },
  "film.mkv": {},
  "ntsc.mp4": { silent: true },
  "ntsc.mkv": { silent: true },
  "60-a-second.mp4": {},
  "120-a-second.mp4": { frames: 120, every: 2, silent: true, shown: "select='not(mod(n,2))'" },
  "one-frame.mp4": { silent: true },
  "tiny.mp4": { silent: true },
  "no-audio.mp4": { silent: true },
  "hevc-10-bit-hdr.mp4": { silent: true, shown: LIGHT, usual: true },
  "hlg.mkv": { silent: true, shown: LIGHT },
  "10-bit.mkv": {},
  "prores.mov": {},
  "many-b-frames.mp4": {},
  "open-gop.mp4": { silent: true },
  "open-gop-hevc.mp4": { silent: true },
  "one-keyframe.mp4": {},
  "starts-at-1.4-s.ts": {},
  "starts-at-5-s.mkv": { usual: true },
  "edit-list.mp4": { usual: true },
  "late-audio.mp4": {},
  "late-picture.mp4": { frames: 165, shown: "tpad=start=15:start_mode=clone" },
  "gap.ts": { frames: 150, shown: "fps=30" },
  "interlaced-anamorphic.ts": { silent: true, shown: "yadif", alike: 0.9 },
  "interlaced.mkv": { shown: "yadif", alike: 0.9 },
  "vp9-opus.webm": {},
  "live.webm": {},
  "av1.mp4": { silent: true },
  "mpeg4-mp3.avi": {},
  "mjpeg.avi": {},
  "h264.flv": {},
  "surround.mkv": {},
  "several-tracks.mkv": { usual: true },
  "time-code.mov": {},
  "cut-off.mp4": { frames: 91, shown: "tpad=stop=1:stop_mode=clone" },
};

const chosen = Object.entries(corpus).filter(([, { usual }]) => usual || process.env["CORPUS"] === "all");

describeWith(["ffmpeg", "ffprobe"], "an upload", () => {
  let folder: string;
  let sources: Sources;
  let tube: TritonTube;
  beforeAll(async () => {
    folder = await temporaryFolder("tritontube-corpus-");
    sources = new Sources(folder, "http://127.0.0.1:9");
    tube = await startTritonTube();
  }, WORK_MS);
  afterAll(async () => {
    expect(await tube.stop()).toBe(0);
    await removeFolder(tube.dataDir);
    await removeFolder(folder);
  }, WORK_MS);

  it.each(chosen)(
    "of %s is shown through DASH and HLS frame by frame, with its sound in time",
    async (name, { alike = 0.93, shown = "null", silent, ...expected }) => {
      const source = await sources.path(name);
      const original = await watch(source, { hasSound: !silent });
      const { id } = await uploadFile(tube.url, source);
      const ended = await untilStatus(tube.url, id, ["ready", "failed"], WORK_MS);
      expect([ended.status, ended.error]).toEqual(["ready", null]);
      const largest = picturesOf(ended).length - 1;
      for (const manifest of ["manifest.mpd", "master.m3u8"]) {
        const address = `${tube.url}/api/v1/videos/${id}/${manifest}`;
        const played = await watch(address, { picture: largest, hasSound: !silent });
        expectSame(original, played, expected);
        expect(await likeness(address, largest, source, shown)).toBeGreaterThan(alike);
      }
    },
    WORK_MS,
  );
});

const picturesOf = ({ renditions }: VideoJson) => renditions.filter(({ height }) => height > 0);

/** Every frame once or as long as it is to be seen, in order, at its time, and each tone at its frame. */
function expectSame(original: Watched, played: Watched, { frames = original.frames.length, every = 1, brief }: Expected): void {
  expect(played.frames).toHaveLength(frames);
  const numbers = played.frames.map(({ number }) => number);
  expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
  const kept = original.frames.slice(0, brief ? -1 : undefined).filter((_, index) => index % every === 0);
  expect([...new Set(numbers)]).toEqual([...new Set(kept.map(({ number }) => number))]);

  const step = frames > 1 ? (played.frames.at(-1)!.time - played.frames[0]!.time) / (frames - 1) : 1;
  for (const [index, { time }] of played.frames.entries()) expect(Math.abs(time - index * step)).toBeLessThan(0.002);
  const later = latenesses(kept, played);
  const start = median(later);
  // Before a first picture that comes late it is shown already.
  for (const late of later.slice(1)) expect(Math.abs(late - start)).toBeLessThan(0.51 * step + 0.002);
  for (const beep of original.beeps) {
    expect(Math.min(...played.beeps.map((heard) => Math.abs(heard - beep - start)))).toBeLessThanOrEqual(SYNC_S);
  }
}

/** How much later than in the source each of its frames is shown for the first time, s. */
function latenesses(kept: Watched["frames"], played: Watched): number[] {
  const shown = new Map(played.frames.toReversed().map(({ number, time }) => [number, time]));
  return kept.map(({ number, time }) => (shown.get(number) ?? Number.NaN) - time);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
