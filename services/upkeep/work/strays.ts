/** Copies where none should be. */
import { setTimeout as sleep } from "node:timers/promises";
import { errorType } from "../../kernel/errors.ts";
import type { Pace } from "../domain/pace.ts";
import { atOnce } from "./at-once.ts";
import type { HeldChunk, KnownChunk, Ports, RingNow } from "./ports.ts";

/** Names that are asked for in one call: what is known of the last of them is as old as the reading of all before it, on every owner. */
const BATCH = 32;
const AT_ONCE = 2;

interface Strays {
  readonly disk: string;
  /** As they were listed, before their rows were asked for. */
  readonly held: readonly HeldChunk[];
  readonly ring: RingNow;
  readonly graceSeconds: number;
  /** How fast owners read what they have, before another copy is deleted. */
  readonly pace: Pace;
}

type StrayPorts = Pick<Ports, "known" | "copy" | "erase">;

/**
 * Deletes from a disk what it should not have: a copy of what is needed when every owner has one, which it is brought if it has not, and a copy that
 * nobody knows when it is older than the time of grace. What is stored again meanwhile has another version, and stays. Answers why others stay.
 */
export async function settleStrays(ports: StrayPorts, { held, ...at }: Strays, signal: AbortSignal): Promise<Error[]> {
  const failures: Error[] = [];
  for (let from = 0; from < held.length; from += BATCH) {
    signal.throwIfAborted();
    const batch = held.slice(from, from + BATCH);
    const rows = new Map((await ports.known(batch.map(({ chunk }) => chunk))).map((row) => [row.chunk, row]));
    const outcomes = await atOnce(
      batch,
      AT_ONCE,
      async (stray) => await settle(ports, stray, { row: rows.get(stray.chunk), ...at }, signal),
    );
    signal.throwIfAborted();
    failures.push(...outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason as Error] : [])));
  }
  return failures;
}

interface Place extends Omit<Strays, "held"> {
  readonly row: KnownChunk | undefined;
}

async function settle(
  ports: StrayPorts,
  { chunk, version, ageSeconds }: HeldChunk,
  { disk, row, ring, graceSeconds, pace }: Place,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  const owners = ring.owners(chunk);
  if (row ? owners.includes(disk) : ageSeconds < graceSeconds) return;
  if (row && !row.leaving) {
    await sleep(pace.delayOf(row.size, performance.now()), undefined, { signal });
    for (const owner of owners) await ports.copy({ chunk, size: row.size, disk: owner, epoch: ring.epoch });
  }
  await ports.erase({ disk, chunk, version, epoch: ring.epoch }).catch((error: unknown) => {
    if (errorType(error) !== "CHUNK_CHANGED") throw error;
  });
}
