/** Brings to a disk the copies that it should have and has not. */
import { messageOf } from "../../kernel/errors.ts";
import { atOnce } from "./at-once.ts";
import type { Ports, SizedChunk } from "./ports.ts";

/** Taken at a time: brought in seconds, so that little waits for the end of a claim when this process is killed. */
const BATCH = 16;
/** Each holds a chunk in memory, and takes a disk's time from readers. */
const AT_ONCE = 2;

type RepairPorts = Pick<Ports, "ring" | "copy" | "dueRepairs" | "repaired" | "repairFailed" | "warn">;

/** Goes on while there is something that can be brought. What cannot be is due again later; when nothing of a batch could, the disk itself may be away. */
export async function repair(ports: RepairPorts, disk: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    const due = await ports.dueRepairs(disk, BATCH);
    if (due.length === 0) return;
    const failed = await bring(ports, disk, due);
    if (failed.length === due.length) return;
  }
}

/** Answers the chunks that could not be brought. */
async function bring(ports: RepairPorts, disk: string, due: readonly SizedChunk[]): Promise<readonly string[]> {
  const { owners } = await ports.ring();
  const outcomes = await atOnce(due, AT_ONCE, async ({ chunk, size }) => {
    // The ring may have changed since the copy was missed.
    if (owners(chunk).includes(disk)) await ports.copy({ chunk, size, disk });
  });
  const failures = outcomes.flatMap((outcome, index) =>
    outcome.status === "rejected" ? [{ chunk: due[index]!.chunk, reason: outcome.reason as unknown }] : [],
  );
  const failed = new Set(failures.map(({ chunk }) => chunk));
  const done = due.map(({ chunk }) => chunk).filter((chunk) => !failed.has(chunk));
  if (done.length > 0) await ports.repaired(disk, done);
  if (failures.length > 0) {
    ports.warn("copies of chunks could not be brought to a disk; trying again later", {
      disk,
      copies: failures.length,
      reason: messageOf(failures[0]!.reason),
    });
    await ports.repairFailed(disk, [...failed]);
  }
  return [...failed];
}
