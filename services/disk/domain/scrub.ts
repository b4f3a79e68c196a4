/** Where the scrub is, and what it knows. It goes through the chunks in the order of their names, a 256th part after the other. */
import { z } from "zod";
import { OUTER_FOLDERS } from "./partition.ts";

/** A week: what rots is found before the other copies have had time to rot as well. */
export const PASS_EVERY_MS = 7 * 24 * 3600 * 1000;

const time = z.number().nonnegative();

export const scrubState = z.object({
  /** When the pass began that is under way, or the last one; 0 before the first. Milliseconds since 1970. */
  startedAt: time,
  running: z.boolean(),
  paused: z.boolean(),
  /** The last chunk that was looked at in this pass; empty before the first. */
  after: z.string(),
  checkedChunks: z.number(),
  checkedBytes: z.number(),
  /** For each outer folder, when the last look at it that was completed began; 0 before the first. What came later was verified when it came. */
  verifiedAt: z.array(time).length(OUTER_FOLDERS),
});
export type ScrubState = z.output<typeof scrubState>;

export const FRESH: ScrubState = {
  startedAt: 0,
  running: false,
  paused: false,
  after: "",
  checkedChunks: 0,
  checkedBytes: 0,
  verifiedAt: Array.from({ length: OUTER_FOLDERS }, () => 0),
};

/** The state at the beginning of a pass. */
export function begun(state: ScrubState, nowMs: number): ScrubState {
  return { ...state, startedAt: nowMs, running: true, after: "", checkedChunks: 0, checkedBytes: 0 };
}

export function isDue(state: ScrubState, nowMs: number): boolean {
  return state.running || nowMs - state.startedAt >= PASS_EVERY_MS;
}

/** The outer folder that a pass goes on with, 0 to 255. */
export function outerOf({ after }: ScrubState): number {
  return after === "" ? 0 : Number.parseInt(after.slice(0, 2), 16);
}

/** How much of the pass is done, 0 to 1. */
export function progressOf(state: ScrubState): number {
  if (!state.running) return state.startedAt === 0 ? 0 : 1;
  return state.after === "" ? 0 : Number.parseInt(state.after.slice(0, 8), 16) / 2 ** 32;
}
