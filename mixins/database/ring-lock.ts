/**
 * Who writes down what a ring decides (blobs, missing copies) shares this lock; who makes a new ring takes it alone. So nothing that was decided
 * by an old ring is committed after a new one. It ends with the transaction.
 */
import { execute, type Tx } from "./sql.ts";

/** "ring" in ASCII. */
const RING_LOCK = 0x72696e67;

export async function lockRing(tx: Tx, mode: "shared" | "exclusive"): Promise<void> {
  await execute(tx, `select pg_advisory_xact_lock${mode === "shared" ? "_shared" : ""}($1)`, [RING_LOCK]);
}
