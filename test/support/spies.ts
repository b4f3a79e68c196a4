/** ffmpeg and ffprobe that tell with which words they are started, and then do what they always do. */
import { execFile, spawn, type ChildProcessByStdio } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { promisify } from "node:util";
import { needs } from "./neighbours.ts";

export class Spies {
  /** The settings that make TritonTube run them. */
  readonly env: Readonly<Record<"FFMPEG_PATH" | "FFPROBE_PATH", string>>;
  #told = "";
  readonly #ear: ChildProcessByStdio<null, Readable, null>;

  private constructor(env: Spies["env"], pipe: string) {
    this.env = env;
    // Open at both ends, so that it does not end with the first who has told something.
    this.#ear = spawn("sh", ["-c", 'exec cat <> "$0"', pipe], { stdio: ["ignore", "pipe", "ignore"] });
    this.#ear.stdout.on("data", (text: Buffer) => (this.#told += text.toString()));
  }

  /** They look for `mark`, which nothing but a stranger's words has in it. */
  static async post(folder: string, mark: string): Promise<Spies> {
    // Programs that read strangers' files may write no file, but into a pipe.
    const pipe = join(folder, "heard");
    await promisify(execFile)("mkfifo", [pipe]);
    const [FFMPEG_PATH, FFPROBE_PATH] = [join(folder, "ffmpeg"), join(folder, "ffprobe")];
    await writeFile(FFMPEG_PATH, script(needs("ffmpeg"), mark, pipe), { mode: 0o755 });
    await writeFile(FFPROBE_PATH, script(needs("ffprobe"), mark, pipe), { mode: 0o755 });
    return new Spies({ FFMPEG_PATH, FFPROBE_PATH }, pipe);
  }

  /** How often one of them was started. */
  get starts(): number {
    return this.#told.split("\n").filter((line) => line !== "").length;
  }

  /** How often one of them was given a stranger's word, as an argument or in its environment. */
  get told(): number {
    return this.#told.split("\n").filter((line) => line === "told").length;
  }

  leave(): void {
    this.#ear.kill();
  }
}

const script = (program: string, mark: string, pipe: string): string => `#!/bin/sh
case "$* $(env)" in *'${mark}'*) echo told ;; *) echo started ;; esac > '${pipe}'
exec '${program}' "$@"
`;
