/** How much each has asked for, counted for all gateways together. */
import { z } from "zod";
import { action, contract, returns } from "../kernel/rpc.ts";

/** A gateway tells what it has seen in batches: a row is about 100 bytes on the wire. */
export const SPENDING_BATCH_MAX = 500;

const spending = z.strictObject({
  /** Who, and what for: "read/203.0.113.7". */
  key: z.string().min(1).max(200),
  /** What was spent, in ms: requests times what each costs. Less than nothing gives back. */
  costMs: z.number().min(-86_400_000).max(86_400_000),
  /** More than this ahead is refused, and then nothing is spent. Without it, what was allowed elsewhere is only counted. */
  mostMs: z.number().positive().optional(),
});

/** How far ahead of the clock a bucket is: 0 is empty. */
export interface Level {
  readonly key: string;
  readonly aheadMs: number;
  /** Whether it would have gone beyond `mostMs`. */
  readonly refused: boolean;
}

export const limits = contract("limits", {
  /** Pours into each bucket, and answers how full it is. A bucket empties by a millisecond each millisecond. */
  spend: action({
    params: z.strictObject({ spent: z.array(spending).min(1).max(SPENDING_BATCH_MAX) }),
    returns: returns<readonly Level[]>(),
    scope: "cluster",
    idempotent: false,
    timeoutMs: 3000,
  }),
});
