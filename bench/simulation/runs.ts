/** Many runs, on all processors. */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { SHIPPED, VARIANTS } from "./rules.ts";
import type { Task } from "./worker.ts";
import type { Outcome } from "./world.ts";

/** What a run can be found guilty of, the worst first. */
export const FINDINGS = ["lost", "thin", "hidden", "resurrected", "unowned", "stuck"] as const;

export interface Tally {
  /** A name of VARIANTS, or "shipped". */
  readonly variant: string;
  runs: number;
  acknowledged: number;
  /** How many runs were found guilty of each. */
  readonly found: Record<(typeof FINDINGS)[number], number>;
  /** Of the first run of each kind. */
  readonly first: Partial<Record<(typeof FINDINGS)[number], Outcome>>;
}

export interface Batch {
  readonly variant: string;
  readonly seed: number;
  readonly runs: number;
  /** Ends early when this is found. */
  readonly until?: (tally: Tally) => boolean;
}

export async function simulate({ variant, seed, runs, until }: Batch): Promise<Tally> {
  const tally: Tally = {
    variant,
    runs: 0,
    acknowledged: 0,
    found: { lost: 0, thin: 0, hidden: 0, resurrected: 0, unowned: 0, stuck: 0 },
    first: {},
  };
  const step = Math.min(availableParallelism(), runs);
  const tasks = Array.from({ length: step }, (_, thread): Task => {
    const count = Math.ceil((runs - thread) / step);
    return { rules: { ...SHIPPED, ...VARIANTS[variant] }, seeds: { first: seed + thread, step, count } };
  });
  const workers = tasks.map((task) => new Worker(new URL("worker.ts", import.meta.url), { workerData: task }));
  const take = (outcomes: readonly Outcome[]): void => {
    for (const outcome of outcomes) add(tally, outcome);
    if (until?.(tally)) for (const worker of workers) void worker.terminate();
  };
  await Promise.all(workers.map(async (worker) => await ended(worker, take)));
  return tally;
}

async function ended(worker: Worker, take: (outcomes: readonly Outcome[]) => void): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    worker.on("message", take);
    worker.once("error", reject);
    worker.once("exit", () => resolve());
  });
}

function add(tally: Tally, outcome: Outcome): void {
  tally.runs++;
  tally.acknowledged += outcome.acknowledged;
  for (const finding of FINDINGS) {
    if (outcome[finding].length === 0) continue;
    tally.found[finding]++;
    tally.first[finding] ??= outcome;
  }
}
