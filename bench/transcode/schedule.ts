/** Any number of transcoders with one slot each, simulated: the jobs that a film of some length is planned to have, each as long as its like was measured to take. */
import { PRIORITY } from "../../services/jobs/contract.ts";
import type { SourceFacts } from "../../services/transcoder/domain/facts.ts";
import { planOf, type SpanTask } from "../../services/transcoder/domain/plan.ts";
import type { DoneJob } from "./fleet.ts";

export interface TimedJob {
  readonly priority: number;
  readonly seconds: number;
}

/** As the queue hands them out: the highest priority first, of equal ones the oldest. Whoever is free first takes the next. Answers when the last ends, s. */
export function makespan(jobs: readonly TimedJob[], workers: number): number {
  const free = Array.from({ length: workers }, () => 0);
  for (const { seconds } of jobs.toSorted((a, b) => b.priority - a.priority)) {
    const first = free.indexOf(Math.min(...free));
    free[first]! += seconds;
  }
  return Math.max(...free);
}

/** The jobs of a film of `minutes`. `wholeS` is what all of the measured ones took one worker: those that overlapped were slower for it. */
export function jobsOf(minutes: number, measured: readonly DoneJob[], wholeS: number): readonly TimedJob[] {
  const summed = measured.reduce((sum, { seconds }) => sum + seconds, 0);
  const likes = new Map(measured.map((job) => [sizeOf(job), job.seconds * (wholeS / summed)]));
  return planOf(
    factsOf(minutes),
    { blob: "0".repeat(64), size: 1, demuxer: "mov" },
    { preset: "veryfast", startPriority: PRIORITY.start },
  ).tasks.map(({ kind, priority, payload }) => ({ priority, seconds: nearest(likes, { kind, payload }) }));
}

/** The kind of a job and how much it makes. */
function sizeOf({ kind, payload }: Pick<DoneJob, "kind" | "payload">): string {
  const { span } = payload as Partial<Pick<SpanTask, "span">> & { span?: { segments?: number } };
  return `${kind} ${span?.frames ?? span?.segments ?? 0}`;
}

/** What is longer or shorter than all that were measured takes in proportion. */
function nearest(likes: ReadonlyMap<string, number>, job: Pick<DoneJob, "kind" | "payload">): number {
  const wanted = sizeOf(job);
  const exact = likes.get(wanted);
  if (exact !== undefined) return exact;
  const amount = Number(wanted.split(" ")[1]);
  const same = [...likes].filter(([like]) => like.startsWith(`${job.kind} `));
  const [like = "", seconds = 0] = same.toSorted(([a], [b]) => distance(a, amount) - distance(b, amount))[0] ?? [];
  return seconds * (amount / Number(like.split(" ")[1]));
}

const distance = (like: string, amount: number): number => Math.abs(Number(like.split(" ")[1]) - amount);

function factsOf(minutes: number): SourceFacts {
  const seconds = minutes * 60;
  return {
    container: "mov",
    durationS: seconds,
    startS: 0,
    originS: 0,
    seekable: true,
    picture: {
      stream: 0,
      codec: "h264",
      width: 1920,
      height: 1080,
      rate: [30, 1],
      frames: seconds * 30,
      steady: true,
      interlaced: false,
      hdr: false,
      matrix: "bt709",
    },
    sound: { stream: 1, codec: "aac", seconds, exact: true },
    texts: [],
  };
}
