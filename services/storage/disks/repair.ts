/** Brings a copy of a chunk to a disk that should have it. */
import { errorType, failure } from "../../kernel/errors.ts";
import type { MissingCopy } from "../domain/copies.ts";
import type { Placement } from "../domain/ring.ts";
import type { ChunkReader } from "./chunk-read.ts";
import type { DiskPool } from "./pool.ts";

interface Ports {
  readonly pool: DiskPool;
  readonly rings: { current(): Promise<Placement> };
  readonly chunks: ChunkReader;
}

/** Resolves when the disk has the chunk, or need not have it any more. Every failure is one that may pass. */
export async function repair({ pool, rings, chunks }: Ports, { chunk, size, disk: id }: MissingCopy, signal: AbortSignal): Promise<void> {
  const placement = await rings.current();
  const disk = placement.owners(chunk).find((owner) => owner.id === id);
  if (!disk) return;
  // The disk first: while it is down, nobody needs to read for it, and thousands of repairs need not wait for its silence one after the other.
  if (pool.isSuspect(disk)) throw failure("DISK_UNAVAILABLE", `Disk ${id} does not answer.`);
  if (await pool.has(disk, chunk, signal)) return;
  const bytes = await chunks.read({ hash: chunk, size }, signal).catch((error: unknown) => {
    if (errorType(error) !== "CHUNK_NOT_FOUND") throw error;
    throw failure("NOT_ENOUGH_DISKS", `No disk of the ring has a good copy of chunk ${chunk}.`, { cause: error });
  });
  await pool.put(disk, { hash: chunk, bytes, epoch: placement.epoch }, signal);
}
