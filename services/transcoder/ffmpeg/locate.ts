/** Finds ffmpeg and ffprobe: those of the configuration, else those on PATH, else the old ones that npm packages carry. */
import { execFile } from "node:child_process";
import { constants } from "node:fs";
import { access, chmod, copyFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { promisify } from "node:util";
import { messageOf } from "../../kernel/errors.ts";
import type { TranscoderInfo } from "../contract.ts";
import type { Abilities } from "../domain/argv.ts";

const run = promisify(execFile);

/** A program that only lists what it can do, on a busy machine. */
const ASK_MS = 20_000;

export type Found = TranscoderInfo["found"];

export interface Located {
  readonly path: string;
  readonly found: Found;
  /** First line of `-version`. */
  readonly version: string;
}

export interface Programs {
  readonly ffmpeg: Located;
  readonly ffprobe: Located;
  readonly abilities: Abilities;
}

export interface ProgramPaths {
  readonly ffmpeg: string | undefined;
  readonly ffprobe: string | undefined;
}

/** Throws an Error that says what was tried and how to get one. `folder` takes a copy where a package's program may not be run in its place. */
export async function locate(configured: ProgramPaths, folder: string): Promise<Programs> {
  const ffmpeg = await firstUsable("ffmpeg", configured.ffmpeg, folder);
  const ffprobe = await firstUsable("ffprobe", configured.ffprobe, folder);
  return { ffmpeg, ffprobe, abilities: await abilitiesOf(ffmpeg.path) };
}

async function abilitiesOf(path: string): Promise<Abilities> {
  const [filters, options] = await Promise.all([lines(path, "-filters"), lines(path, "-h", "long")]);
  return {
    canToneMap: ["zscale", "tonemap"].every((name) => lists(filters, name)),
    frameSync: options.some((line) => line.startsWith("-fps_mode")) ? "-fps_mode" : "-vsync",
  };
}

async function firstUsable(program: "ffmpeg" | "ffprobe", configured: string | undefined, folder: string): Promise<Located> {
  const tried: string[] = [];
  // What an operator named is used or refused, never replaced by something else.
  const candidates: Found[] = configured === undefined ? ["path", "package"] : ["configuration"];
  for (const found of candidates) {
    try {
      const path = found === "package" ? await carried(program, folder) : (configured ?? program);
      return { path, found, version: await check(program, path) };
    } catch (error) {
      tried.push(`${found}: ${messageOf(error).split("\n", 1)[0]}`);
    }
  }
  throw new Error(
    `There is no usable ${program} (${tried.join("; ")}). Install one (apt-get install ffmpeg), or set ${program.toUpperCase()}_PATH.`,
  );
}

async function check(program: "ffmpeg" | "ffprobe", path: string): Promise<string> {
  const [version = ""] = await lines(path, "-version");
  if (!version.startsWith(`${program} version`)) throw new Error(`${path} is not ${program}`);
  if (program === "ffmpeg") {
    const encoders = await lines(path, "-encoders");
    const missing = ["libx264", "aac"].filter((name) => !lists(encoders, name));
    if (missing.length > 0) throw new Error(`${path} was built without ${missing.join(" and ")}`);
  }
  return version;
}

/** The program of an npm package, made runnable: @ffprobe-installer has mode 744, which only its owner may run. */
async function carried(program: "ffmpeg" | "ffprobe", folder: string): Promise<string> {
  const path = carrier(`@${program}-installer/${program}`);
  if (await isExecutable(path)) return path;
  await chmod(path, 0o755).catch(() => undefined);
  if (await isExecutable(path)) return path;
  const copy = join(folder, `${program}.copy`);
  await copyFile(path, copy);
  await chmod(copy, 0o755);
  return copy;
}

/** These packages throw a plain string where they have nothing for the platform. */
function carrier(name: string): string {
  try {
    return (createRequire(import.meta.url)(name) as { path: string }).path;
  } catch (error) {
    throw new Error(`the package ${name} does not help: ${messageOf(error)}`, { cause: error });
  }
}

async function isExecutable(path: string): Promise<boolean> {
  return await access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

async function lines(path: string, ...question: string[]): Promise<string[]> {
  const { stdout } = await run(path, ["-hide_banner", ...question], { timeout: ASK_MS, maxBuffer: 4 * 1024 * 1024 });
  return stdout.split("\n");
}

/** Lists have the name in their second column: " V....D libx264   H.264 …". */
function lists(list: readonly string[], name: string): boolean {
  return list.some((line) => line.trim().split(/\s+/)[1] === name);
}
