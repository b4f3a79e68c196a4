/** Runs for a thread of its own: their timers and their chance are simulated. */
import { parentPort, workerData } from "node:worker_threads";
import type { Rules } from "./rules.ts";
import { type Outcome, World } from "./world.ts";

export interface Task {
  readonly rules: Rules;
  /** Of these runs, each a seed more than the one before. */
  readonly seeds: { readonly first: number; readonly step: number; readonly count: number };
}

/** Runs that are reported together. */
const BATCH = 50;

// Errors are events here, and nobody reads where they come from.
Error.stackTraceLimit = 0;

const { rules, seeds } = workerData as Task;
let outcomes: Outcome[] = [];
for (let run = 0; run < seeds.count; run++) {
  const seed = seeds.first + run * seeds.step;
  outcomes.push(await new World(seed, rules).run(seed));
  if (outcomes.length < BATCH && run < seeds.count - 1) continue;
  parentPort?.postMessage(outcomes, []);
  outcomes = [];
}
