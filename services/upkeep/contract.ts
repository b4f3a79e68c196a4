/** Keeps the disks equal to the rows, by itself. What it does in its own time can be asked for at once. */
import { z } from "zod";
import { action, contract, returns } from "../kernel/rpc.ts";
import { uuid } from "../kernel/schemas.ts";

export const upkeep = contract("upkeep", {
  /** Compares what a disk holds, or every disk that answers, with what it should hold, as soon as a worker is free. Answers which disks. */
  compare: action({
    params: z.strictObject({ disk: uuid.optional() }),
    returns: returns<{ disks: readonly string[] }>(),
    scope: "cluster",
    idempotent: true,
  }),
  /** Deletes what nobody has needed for the time of grace, as soon as a worker is free. */
  collect: action({ params: z.strictObject({}), returns: returns<null>(), scope: "cluster", idempotent: true }),
});
