/** ffmpeg, for as long as it takes. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { needs } from "../../test/support/neighbours.ts";

const WORDS_BYTES_MAX = 64 * 1024 * 1024;

/** Answers what it wrote to standard error. Rejects when it does not end well. */
export async function runFfmpeg(args: readonly string[], cores: readonly number[] = []): Promise<string> {
  const command = [needs("ffmpeg"), "-nostdin", "-hide_banner", "-y", ...args];
  const [program = "", ...rest] = cores.length === 0 ? command : ["taskset", "-c", cores.join(","), ...command];
  const { stderr } = await promisify(execFile)(program, rest, { maxBuffer: WORDS_BYTES_MAX });
  return stderr;
}
