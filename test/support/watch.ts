/** What there is to see and to hear, frame by frame: the sources of the tests carry the number of each frame, and a tone at each full second. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { ffmpeg } from "./ffmpeg.ts";
import { needs } from "./neighbours.ts";

const run = promisify(execFile);

/** Decoding some seconds of a small picture, on a machine that others use, too. */
const TOOL_MS = 120_000;

/** The number of a frame stands in a strip over its whole width: a white block, the bits from the lowest on, a black block. */
export const CODE_BLOCKS = 16;
export const CODE_HEIGHT_SHARE = 8;

/** Times are not moved: the priming of AAC does not count, and what starts late does. */
const AS_IT_IS = ["-nostdin", "-hide_banner", "-v", "info", "-copyts"];

interface Frame {
  readonly number: number;
  /** Presentation time, s. */
  readonly time: number;
}

export interface Watched {
  /** In the order in which they are shown. */
  readonly frames: readonly Frame[];
  /** When each tone begins, s. The one at the very start is not heard to begin, and the end of the silence at the end is none. */
  readonly beeps: readonly number[];
}

/** Watches a file or a stream from its first frame to its last. `picture` is the index among its pictures. */
export async function watch(
  address: string,
  { picture = 0, hasSound = true }: { picture?: number; hasSound?: boolean } = {},
): Promise<Watched> {
  // Apart: ffmpeg takes the end of a shorter sound for the end of all of a DASH manifest.
  const [frames, beeps] = await Promise.all([framesOf(address, picture), hasSound ? beepsOf(address) : []]);
  return { frames, beeps };
}

async function framesOf(address: string, picture: number): Promise<Frame[]> {
  const inside = 1 / CODE_HEIGHT_SHARE;
  const strip = `crop=iw:ih*${inside / 2}:0:ih*${inside / 4},scale=${CODE_BLOCKS}:1:flags=area,format=gray,showinfo`;
  const { stdout, stderr } = await run(
    needs("ffmpeg"),
    [...AS_IT_IS, "-i", address, "-map", `0:v:${picture}`, "-vf", strip, "-vsync", "passthrough", "-f", "rawvideo", "pipe:1"],
    { encoding: "buffer", timeout: TOOL_MS, maxBuffer: 64 * 1024 * 1024 },
  );
  const times = [...stderr.toString().matchAll(/ n: *[0-9]+ pts: *\S+ pts_time:(\S+)/g)].map(([, time]) => Number(time));
  return times.map((time, index) => ({ time, number: numberIn(stdout.subarray(index * CODE_BLOCKS, (index + 1) * CODE_BLOCKS)) }));
}

async function beepsOf(address: string): Promise<number[]> {
  const detect = ["-map", "0:a:0", "-af", "silencedetect=noise=-20dB:d=0.1", "-f", "null", "-"];
  const { stderr } = await run(needs("ffmpeg"), [...AS_IT_IS, "-i", address, ...detect], { timeout: TOOL_MS });
  return [...stderr.matchAll(/silence_end: ([0-9.]+)/g)].map(([, time]) => Number(time)).slice(0, -1);
}

/** NaN where there is no strip. */
function numberIn(blocks: Uint8Array): number {
  const [white = 0, black = 255] = [blocks[0], blocks.at(-1)];
  if (white - black < 64) return Number.NaN;
  const bits = [...blocks.subarray(1, -1)].map((luma) => (luma > (white + black) / 2 ? 1 : 0));
  return bits.reduce<number>((number, bit, index) => number + bit * 2 ** index, 0);
}

/** How alike two streams look on average over their frames, 0–1 (SSIM); frame by frame in the order of `shown` and as `filter` shows `source`. */
export async function likeness(shown: string, picture: number, source: string, filter: string): Promise<number> {
  const graph = [
    `[0:v:${picture}]setpts=N/TB/30[shown]`,
    `[1:v:0]${filter},setpts=N/TB/30[wanted]`,
    "[wanted][shown]scale2ref[scaled][same]",
    "[same][scaled]ssim",
  ];
  const words = await ffmpeg(["-v", "info", "-i", shown, "-copyts", "-i", source, "-filter_complex", graph.join(";"), "-f", "null", "-"]);
  return Number(/SSIM .* All:([0-9.]+)/.exec(words)?.[1] ?? Number.NaN);
}
