/** Asks ffprobe what a source is. Its answer is as untrusted as the source: it is read by a schema (domain/probe.ts). */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { failure, type TritonError } from "../../kernel/errors.ts";
import { traced } from "../../kernel/trace.ts";
import { LOG_CHARACTERS } from "../domain/ending.ts";
import { PROBE_ENTRIES, refusalOf, type SourceLimits } from "../domain/probe.ts";
import { TIMELINE_OPTIONS, TimelineReader } from "../domain/timeline.ts";
import { inputProtection, type Demuxer } from "../domain/whitelist.ts";

/** The answer for 64 streams has 40 KB. */
const ANSWER_CHARACTERS_MAX = 1024 * 1024;
const PROBE_MS = 120_000;
/** A source without a duration is read whole, however large it is. */
const COUNT_MS = 30 * 60_000;
/** Twelve hours of 60 frames a second with two streams of sound. */
const PACKETS_MAX = 12 * 3600 * 160;

export interface Question {
  /** The launcher. */
  readonly ffprobe: string;
  /** The folder to run in. */
  readonly folder: string;
  readonly url: string;
  readonly demuxer: Demuxer;
  readonly limits: SourceLimits;
  readonly signal: AbortSignal;
}

/** Streams and format. Throws SOURCE_* when nothing can be read, TRANSCODE_TIMEOUT when it takes too long. */
export async function probe(question: Question): Promise<unknown> {
  let answer = "";
  const { code, log } = await ask(question, ["-show_entries", PROBE_ENTRIES, "-of", "json"], PROBE_MS, (line) => {
    answer += line;
    return answer.length <= ANSWER_CHARACTERS_MAX;
  });
  if (code === 0) return JSON.parse(answer);
  if (code === null) throw killed(log);
  const refusal = refusalOf(log, question.limits);
  throw failure(refusal.type, refusal.message, { data: { log } });
}

/** When the packets come: reads the whole source, or what there is of a damaged one. Throws TRANSCODE_FAILED when not the source ended, but ffprobe was killed. */
export async function readTimeline(question: Question): Promise<TimelineReader> {
  const timeline = new TimelineReader();
  const { code, log } = await ask(question, TIMELINE_OPTIONS, COUNT_MS, (line) => {
    timeline.add(line);
    return timeline.packets <= PACKETS_MAX;
  });
  if (timeline.packets > PACKETS_MAX) {
    throw failure(
      "SOURCE_TOO_COMPLEX",
      `The file has more than ${PACKETS_MAX} frames. Cut it into parts, or export it with fewer frames a second.`,
    );
  }
  if (code === null) throw killed(log);
  return timeline;
}

/** The source is perhaps not to blame: whoever needs memory kills, too. */
function killed(log: string): TritonError {
  return failure("TRANSCODE_FAILED", "The program that examines sources was killed.", { data: { log } });
}

async function ask(...asked: Parameters<typeof untilGone>): ReturnType<typeof untilGone> {
  return await traced({ name: "ffprobe" }, async () => await untilGone(...asked));
}

/** Runs ffprobe until it is gone. `onLine` says whether to go on. */
async function untilGone(
  { ffprobe, folder, url, demuxer, limits, signal }: Question,
  entries: readonly string[],
  timeoutMs: number,
  onLine: (line: string) => boolean,
): Promise<{ code: number | null; log: string }> {
  signal.throwIfAborted();
  const deadline = AbortSignal.timeout(timeoutMs);
  const args = ["-v", "error", "-hide_banner", ...inputProtection(demuxer, limits.pixelsMax, "probe"), ...entries, url];
  const child = spawn(ffprobe, args, {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
    signal: AbortSignal.any([signal, deadline]),
    killSignal: "SIGKILL",
  });
  // "error" tells of an abort, too; "close" comes after it in any case but one: a program that could not be started.
  const gone = new Promise<unknown>((resolve) =>
    child.once("close", resolve).on("error", (error) => child.pid === undefined && resolve(error)),
  );
  let log = "";
  child.stderr.on("data", (words: Buffer) => (log = `${log}${words.toString()}`.slice(-LOG_CHARACTERS)));
  for await (const line of createInterface({ input: child.stdout })) {
    if (!onLine(line)) child.kill("SIGKILL");
  }
  const end = await gone;
  signal.throwIfAborted();
  if (end instanceof Error) throw end;
  if (deadline.aborted) throw failure("TRANSCODE_TIMEOUT", "The file could not be examined in time.", { data: { log } });
  return { code: child.exitCode, log };
}
