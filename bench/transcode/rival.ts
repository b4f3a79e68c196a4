/** What somebody who knows ffmpeg would write for one machine and one file: one process, one decode, every rendition, the same encoder settings. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { spanCommand, type Means } from "../../services/transcoder/domain/argv.ts";
import type { SpanTask } from "../../services/transcoder/domain/plan.ts";
import { runFfmpeg } from "./program.ts";

export interface Rival {
  /** User and system, s. */
  readonly cpuS: number;
  readonly seconds: number;
  /** By rendition. */
  readonly outputs: ReadonlyMap<string, { readonly path: string; readonly bytes: number }>;
}

/** `task` is any span of the film: it names the renditions, and how they are encoded. */
export async function convertAlone(film: string, folder: string, task: SpanTask, frames: number): Promise<Rival> {
  const whole = { ...task, span: { index: 0, first: 0, frames, segment: 1, last: true } };
  // Threads for each encoder as ffmpeg itself would choose them.
  const means: Means = { threads: 0, pixelsMax: 2 ** 25, canToneMap: false, frameSync: "-vsync" };
  const { filter, outputs } = spanCommand(whole, means);
  const path = (name: string): string => join(folder, `alone-${name}.mp4`);
  const pictures = outputs.flatMap(({ name, options }) => [...options, path(name)]);
  const sound = ["-map", "0:a:0", "-c:a", "aac", "-b:a", "128k", "-ac", "2", "-ar", "48000", path("audio")];
  const words = await runFfmpeg([
    "-benchmark",
    "-v",
    "info",
    "-nostats",
    "-i",
    film,
    "-filter_complex",
    filter ?? "",
    ...pictures,
    ...sound,
  ]);
  const [, user, system, real] = /bench: utime=([0-9.]+)s stime=([0-9.]+)s rtime=([0-9.]+)s/.exec(words) ?? [];
  const sizes = await Promise.all(
    outputs.map(async ({ name }) => [name, { path: path(name), bytes: (await stat(path(name))).size }] as const),
  );
  return { cpuS: Number(user) + Number(system), seconds: Number(real), outputs: new Map(sizes) };
}

/** How alike a conversion is to its source, 0–1 (SSIM over all planes), at the size of the source. */
export async function likeness(converted: string, film: string, height: number): Promise<number> {
  const graph = `[0:v]setpts=N/30/TB[a];[1:v]setpts=N/30/TB,scale=-2:${height}:flags=bicubic[b];[a][b]ssim`;
  const words = await runFfmpeg([
    "-v",
    "info",
    "-nostats",
    "-i",
    converted,
    "-i",
    film,
    "-filter_complex",
    graph,
    "-an",
    "-f",
    "null",
    "-",
  ]);
  return Number(/SSIM .* All:([0-9.]+)/.exec(words)?.[1] ?? Number.NaN);
}
