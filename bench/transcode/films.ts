/** The sources: made once, kept in a folder, so that every run converts the same bytes. */
import { access, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runFfmpeg as ffmpeg } from "./program.ts";

/** A grain like that of a camera: without it an encoder has nothing to do between two pictures. */
const GRAIN = "noise=alls=4:allf=t,format=yuv420p,setsar=1";
/** The longer films are this one several times over. */
const MINUTE_S = 60;

/** One minute of 1080p: a test card, a pan over a picture full of detail, a fractal that grows, and cells that live and die. */
const SCENES = [
  "testsrc2=size=1920x1080:rate=30:duration=12",
  "mandelbrot=size=2560x1440:rate=30:start_scale=0.3,trim=end_frame=1,loop=-1:1:0,setpts=N/30/TB,trim=duration=20,crop=1920:1080:x='320+300*sin(t/3)':y='180+170*cos(t/4)'",
  "mandelbrot=size=640x360:rate=30,trim=duration=12,scale=1920:1080:flags=bicubic",
  "life=size=320x180:rate=30:mold=10:ratio=0.1:death_color=#204060:life_color=#f0e0a0:seed=7,trim=duration=16,scale=1920:1080:flags=bilinear",
] as const;

/**
 * The path of a film of 30 frames a second with sound, as long as that: whole minutes. At 1080p it has 8 Mbit/s. The first call takes the better part of two
 * minutes, later ones what a copy takes.
 */
export async function filmOf(folder: string, minutes: number, height: 1080 | 480 = 1080): Promise<string> {
  await mkdir(folder, { recursive: true });
  const minute = await once(join(folder, "film-1-min.mp4"), makeMinute);
  const part =
    height === 1080 ? minute : await once(join(folder, `film-1-min-${height}p.mp4`), async (path) => await shrink(minute, height, path));
  if (minutes === 1) return part;
  const name = height === 1080 ? `film-${minutes}-min.mp4` : `film-${minutes}-min-${height}p.mp4`;
  return await once(join(folder, name), async (path) => await repeatMinute(part, minutes, path));
}

async function shrink(film: string, height: number, path: string): Promise<void> {
  await ffmpeg(["-i", film, "-vf", `scale=-2:${height}`, ...encoded(20), path]);
}

/** Some seconds of 480p out of the film, no two from the same place. */
export async function shortOf(folder: string, film: string, index: number, seconds: number): Promise<string> {
  return await once(join(folder, `short-${index}-${seconds}-s.mp4`), async (path) => {
    const from = ["-ss", String(((index * 7) % (MINUTE_S - seconds)) + index / 100), "-i", film, "-t", String(seconds)];
    await ffmpeg([...from, "-vf", "scale=854:480", ...encoded(20), path]);
  });
}

/** What exists is whole: it gets its name when it is. */
async function once(path: string, make: (path: string) => Promise<void>): Promise<string> {
  const exists = await access(path).then(
    () => true,
    () => false,
  );
  if (exists) return path;
  const part = path.replace(/\.mp4$/, ".part.mp4");
  await make(part);
  await rename(part, path);
  return path;
}

async function makeMinute(path: string): Promise<void> {
  const shots = SCENES.map((_, index) => `[${index}]${GRAIN}[v${index}]`);
  const joined = `${SCENES.map((_, index) => `[v${index}]`).join("")}concat=n=${SCENES.length}:v=1:a=0[v]`;
  const inputs = [...SCENES, `sine=frequency=440:beep_factor=4:duration=${MINUTE_S}`].flatMap((scene) => ["-f", "lavfi", "-i", scene]);
  const maps = ["-map", "[v]", "-map", String(SCENES.length)];
  await ffmpeg([
    ...inputs,
    "-filter_complex",
    [...shots, joined].join(";"),
    ...maps,
    ...encoded(20),
    "-maxrate",
    "8M",
    "-bufsize",
    "16M",
    path,
  ]);
}

const encoded = (crf: number): readonly string[] =>
  [
    ["-c:v", "libx264", "-preset", "superfast", "-crf", String(crf), "-g", "250"],
    ["-c:a", "aac", "-b:a", "128k", "-movflags", "+faststart"],
  ].flat();

async function repeatMinute(minute: string, minutes: number, path: string): Promise<void> {
  const list = `${path}.txt`;
  await writeFile(list, `file '${minute}'\n`.repeat(minutes));
  // The sound is made for all of it: that of the minutes, one behind the other, would have gaps.
  const sound = ["-f", "lavfi", "-i", `sine=frequency=440:beep_factor=4:duration=${minutes * MINUTE_S}`];
  const streams = ["-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", "aac", "-b:a", "128k"];
  await ffmpeg(["-f", "concat", "-safe", "0", "-i", list, ...sound, ...streams, "-movflags", "+faststart", path]);
  await rm(list);
}
