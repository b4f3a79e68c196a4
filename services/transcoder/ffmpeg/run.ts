/**
 * Runs ffmpeg. The one module that knows fluent-ffmpeg, and what to stay away from in it (2.1.3): its `progress` event starts an ffprobe of its
 * own without our whitelists; a list of options is split at spaces, single arguments are not; `kill` before the process exists does nothing;
 * its timeout reports before the process is gone; and the path of the program is one for the whole process, so there is one launcher, and how nice it
 * is comes beside it.
 */
import type { ChildProcess } from "node:child_process";
import createCommand from "fluent-ffmpeg";
import { failure } from "../../kernel/errors.ts";
import { traced } from "../../kernel/trace.ts";
import type { PlannedCommand } from "../domain/argv.ts";
import { LOG_CHARACTERS, type Ended } from "../domain/ending.ts";
import { Countdown } from "./countdown.ts";
import type { CpuMeter } from "./meter.ts";
import type { Turn } from "./sandbox.ts";

/** 25 days: a longer timer fires at once. */
const TIMER_MS_MAX = 2 ** 31 - 1;

export interface FfmpegRun {
  readonly launcher: string;
  readonly turn: Pick<Turn, "niceness" | "begun">;
  /**
   * Resolves when ffmpeg itself runs, and no more what starts it: a process that stands still before it has asked the kernel to end with its parent
   * would outlive that.
   */
  readonly running: Promise<void>;
  /** Is told when the process stands still for others, and when it goes on. */
  readonly onTurn: (stopped: boolean) => void;
  readonly meter: Pick<CpuMeter, "begin" | "end">;
  readonly folder: string;
  readonly command: PlannedCommand;
  readonly input: string;
  /** Where the output of this name goes: an address that we made. */
  readonly target: (name: string) => string;
  /** Besides the time in which it stands still. */
  readonly timeoutS: number;
  readonly signal: AbortSignal;
}

/** Resolves, or rejects with the signal's reason or TRANSCODE_TIMEOUT, only when the process is gone. */
export async function runFfmpeg(run: FfmpegRun): Promise<Ended> {
  const over = new AbortController();
  const limit = new Countdown(Math.min(Math.ceil(run.timeoutS * 1000), TIMER_MS_MAX), () => over.abort());
  const onTurn = (stopped: boolean): void => {
    limit.turn(stopped);
    run.onTurn(stopped);
  };
  const signal = AbortSignal.any([run.signal, over.signal]);
  const ended = await traced({ name: "ffmpeg" }, async () => await untilGone(commandOf(run), { ...run, onTurn }, signal));
  limit.end();
  run.signal.throwIfAborted();
  if (over.signal.aborted) {
    throw failure("TRANSCODE_TIMEOUT", `The conversion was not done after ${Math.round(run.timeoutS)} s.`, { data: { log: ended.log } });
  }
  return ended;
}

type Command = ReturnType<typeof createCommand>;

function commandOf({ launcher, turn, folder, command, input, target }: FfmpegRun): Command {
  const built = createCommand({ cwd: folder, niceness: turn.niceness })
    .setFfmpegPath(launcher)
    .input(input)
    .inputOptions(...command.inputOptions);
  if (command.filter !== null) built.complexFilter(command.filter);
  for (const { name, options } of command.outputs) built.output(target(name)).outputOptions(...options);
  return built;
}

async function untilGone(command: Command, { turn, running, onTurn, meter }: FfmpegRun, signal: AbortSignal): Promise<Ended> {
  let log = "";
  let gone: (() => void) | undefined;
  let ended = false;
  const kill = (): void => void command.kill("SIGKILL");
  return await new Promise<Ended>((resolve) => {
    const end = (by: number | string): void => {
      signal.removeEventListener("abort", kill);
      ended = true;
      gone?.();
      meter.end();
      resolve({ by, log });
    };
    command
      .on("start", () => {
        const { pid } = (command as Command & { readonly ffmpegProc: ChildProcess }).ffmpegProc;
        const begin = (): void => {
          if (pid !== undefined && !ended) gone = turn.begun(pid, onTurn);
        };
        void running.then(begin);
        if (pid !== undefined && !ended) meter.begin(pid);
        if (signal.aborted) kill();
      })
      .on("stderr", (line: string) => (log = `${log}${line}\n`.slice(-LOG_CHARACTERS)))
      .on("end", () => end(0))
      .on("error", (error: Error) => end(reasonOf(error.message)));
    signal.addEventListener("abort", kill);
    command.run();
  });
}

function reasonOf(message: string): number | string {
  const [, code, signal] = /^ffmpeg (?:exited with code ([0-9]+)|was killed with signal (\w+))/.exec(message) ?? [];
  return code === undefined ? (signal ?? message) : Number(code);
}
