/** The programs that transcoder tests run with: every set that this machine has, since what works with one must work with the other. */
import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import type { ProgramPaths } from "../../services/transcoder/ffmpeg/locate.ts";
import { needs } from "./neighbours.ts";
import { childrenOf } from "./tritontube.ts";

const run = promisify(execFile);

/** Decoding and encoding seconds of small pictures, on a busy machine. */
const TOOL_MS = 120_000;

interface Toolset {
  /** Also the title of tests; says what is missing where it is. */
  readonly name: string;
  readonly paths: ProgramPaths | undefined;
}

/** ffmpeg 5 or newer as a distribution has it, and the builds of 2018 and 2023 that npm carries. */
const toolsets: readonly Toolset[] = [
  named("ffmpeg of this machine", "ffmpeg: apt-get install -y --no-install-recommends ffmpeg", {
    ffmpeg: onPath("ffmpeg"),
    ffprobe: onPath("ffprobe"),
  }),
  named("ffmpeg of the npm packages", "the optional packages: npm ci", {
    ffmpeg: carried("@ffmpeg-installer/ffmpeg"),
    ffprobe: carried("@ffprobe-installer/ffprobe"),
  }),
];

function named(name: string, remedy: string, paths: ProgramPaths): Toolset {
  const complete = paths.ffmpeg !== undefined && paths.ffprobe !== undefined;
  return complete ? { name, paths } : { name: `${name} [needs ${remedy}]`, paths: undefined };
}

/** `describe` for each set; one that this machine lacks is skipped, and named among what could not run. */
export function describeWithToolsets(body: (paths: ProgramPaths) => void): void {
  for (const { name, paths } of toolsets) {
    if (paths) describe(`with the ${name}`, () => body(paths));
    else describe.skip(`with the ${name}`, () => body({ ffmpeg: undefined, ffprobe: undefined }));
  }
}

function onPath(program: string): string | undefined {
  return (process.env["PATH"] ?? "")
    .split(delimiter)
    .map((folder) => join(folder, program))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

function carried(name: string): string | undefined {
  try {
    return (createRequire(import.meta.url)(name) as { path: string }).path;
  } catch {
    return undefined;
  }
}

/** Runs an ffmpeg for the test itself; answers what it wrote to standard error. */
export async function ffmpeg(args: readonly string[]): Promise<string> {
  const { stderr } = await run(needs("ffmpeg"), ["-nostdin", "-hide_banner", "-y", ...args], {
    timeout: TOOL_MS,
    maxBuffer: 16 * 1024 * 1024,
  });
  return stderr;
}

/** What ffprobe says of the first picture or the first sound of a file. It decodes all of it for `nb_read_frames`. */
export async function ffprobe(path: string, kind: "v" | "a", entries: string): Promise<Record<string, string>> {
  const counting = entries.includes("nb_read_frames") ? ["-count_frames"] : [];
  const args = ["-v", "error", ...counting, "-select_streams", `${kind}:0`, "-show_entries", `stream=${entries}`, "-of", "json", path];
  const { stdout } = await run(needs("ffprobe"), args, { timeout: TOOL_MS });
  const { streams } = JSON.parse(stdout) as { streams: Record<string, unknown>[] };
  return Object.fromEntries(Object.entries(streams[0] ?? {}).map(([name, value]) => [name, String(value)]));
}

/** Frames that come out of a decoder, errors of the source or not. */
export async function countDecoded(path: string): Promise<number> {
  const words = await ffmpeg(["-v", "info", "-i", path, "-map", "0:v:0", "-vsync", "passthrough", "-f", "null", "-"]).catch(
    (error: { stderr?: string }) => error.stderr ?? "",
  );
  return Number([...words.matchAll(/frame=\s*([0-9]+)/g)].at(-1)?.[1] ?? 0);
}

/** The ffmpeg and ffprobe processes that this process has started and that still run. */
export async function runningPrograms(): Promise<string[]> {
  return (await childrenOf(process.pid)).map(({ command }) => command).filter((command) => /\bff(?:mpeg|probe)/.test(command));
}
