/** Makes and measures videos with ffmpeg and ffprobe, for tests that look from outside. */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { promisify } from "node:util";
import { needs } from "./neighbours.ts";

const run = promisify(execFile);

/** Decoding a film of a minute on a busy machine. */
const TOOL_MS = 120_000;

/** A moving picture with a second-by-second beep: H.264 and AAC in MP4, 30 frames a second. Answers its path. */
export async function makeSource(folder: string, { seconds, size = "1280x720" }: { seconds: number; size?: string }): Promise<string> {
  const path = join(folder, `source-${size}-${seconds}s.mp4`);
  const inputs = [
    "-f",
    "lavfi",
    "-i",
    `testsrc2=size=${size}:rate=30:duration=${seconds}`,
    "-f",
    "lavfi",
    "-i",
    `sine=frequency=440:beep_factor=4:duration=${seconds}`,
  ];
  await run(
    needs("ffmpeg"),
    [
      "-nostdin",
      "-v",
      "error",
      "-y",
      ...inputs,
      "-c:v",
      "libx264",
      "-preset",
      "ultrafast",
      "-pix_fmt",
      "yuv420p",
      "-c:a",
      "aac",
      "-movflags",
      "+faststart",
      path,
    ],
    { timeout: TOOL_MS },
  );
  return path;
}

/** Frames that a player gets from a stream's first picture track, decoded to the end without an error. */
export async function decodeFrames(address: string): Promise<number> {
  const { stderr } = await run(
    needs("ffmpeg"),
    ["-nostdin", "-hide_banner", "-v", "info", "-xerror", "-i", address, "-map", "0:v:0", "-f", "null", "-"],
    { timeout: TOOL_MS },
  );
  return Number([...stderr.matchAll(/frame=\s*([0-9]+)/g)].at(-1)?.[1] ?? Number.NaN);
}

/** Frames of a source by decoding it. */
export async function countFrames(path: string): Promise<number> {
  const { stdout } = await run(
    needs("ffprobe"),
    ["-v", "error", "-count_frames", "-select_streams", "v:0", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", path],
    { timeout: TOOL_MS },
  );
  return Number.parseInt(stdout, 10);
}

/** Presentation time of the first packet of each kind that is not hidden by an edit list, s. */
export async function startTimes(address: string): Promise<{ audio: number; video: number }> {
  const { stdout } = await run(needs("ffprobe"), ["-v", "error", "-show_entries", "stream=codec_type,start_time", "-of", "json", address], {
    timeout: TOOL_MS,
  });
  const { streams } = JSON.parse(stdout) as { streams: { codec_type: string; start_time: string }[] };
  const first = (kind: string): number => Number(streams.find((stream) => stream.codec_type === kind)?.start_time ?? Number.NaN);
  return { audio: first("audio"), video: first("video") };
}

/** The same video in other bytes, since the same bytes are not converted twice. Behind it stands what its container takes for nothing. */
export function another(bytes: Buffer): Buffer {
  const random = randomBytes(64);
  return Buffer.concat([bytes, nothingIn(bytes, random)]);
}

/** Behind an MP4 it says nothing, and makes it another file. */
export function freeBox(random: Buffer = randomBytes(64)): Buffer {
  return Buffer.concat([Buffer.from([0, 0, 0, 8 + random.length]), Buffer.from("free"), random]);
}

/** A null packet of a transport stream, an element Void of Matroska, a box `free` of MP4. */
function nothingIn(bytes: Buffer, random: Buffer): Buffer {
  if (bytes[0] === 0x47) return Buffer.concat([Buffer.from([0x47, 0x1f, 0xff, 0x10]), Buffer.alloc(184, random)]);
  if (bytes.readUInt32BE(0) === 0x1a45dfa3) return Buffer.concat([Buffer.from([0xec, 0x80 + random.length]), random]);
  return freeBox(random);
}
