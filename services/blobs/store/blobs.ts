/** The rows of blobs, and the repair jobs that come with them. */
import { enqueue } from "../../../mixins/database/enqueue.ts";
import { execute, one, type Database, type Tx } from "../../../mixins/database/sql.ts";
import { failure } from "../../kernel/errors.ts";
import type { BlobManifest } from "../contract.ts";

/** A copy of a chunk that a disk should have and has not. */
export interface MissingCopy {
  readonly chunk: string;
  readonly size: number;
  readonly disk: string;
}

/** A repair is never given up: only the copy, or a ring without that disk, ends it. The most that the column holds; with the longest pauses, 10,000 years. */
const REPAIR_ATTEMPTS = 2 ** 31 - 1;

/** DISK_STALE_EPOCH when the ring has changed since `epoch`: the writer does not know the present owners. */
export async function assertCurrent(tx: Tx, epoch: number): Promise<void> {
  const active = await one<{ epoch: number }>(tx, "select epoch from rings order by epoch desc limit 1");
  if (!active) throw failure("RING_EMPTY", "There is no ring yet.");
  if (epoch < active.epoch) throw failure("DISK_STALE_EPOCH", `The ring is at epoch ${active.epoch}, and the writer at ${epoch}.`);
}

/** The same bytes have the same name: a blob that is there already is the blob. */
export async function insertBlob(tx: Tx, { blob, size, chunks }: BlobManifest): Promise<void> {
  await execute(tx, "insert into blobs (id, size, chunks) values ($1, $2, $3) on conflict (id) do nothing", [
    Buffer.from(blob, "hex"),
    size,
    Buffer.from(chunks),
  ]);
}

export async function findBlob(db: Database, blob: string): Promise<BlobManifest | undefined> {
  const found = await one<{ size: string; chunks: Buffer }>(db, "select size, chunks from blobs where id = $1", [Buffer.from(blob, "hex")]);
  return found && { blob, size: Number(found.size), chunks: found.chunks };
}

/** One job for each copy, however often and by whomever it is missed. */
export async function enqueueRepairs(tx: Tx, missing: readonly MissingCopy[]): ReturnType<typeof enqueue> {
  const jobs = missing.map((copy) => ({
    kind: "chunk.repair" as const,
    payload: { ...copy },
    dedupeKey: `${copy.chunk}:${copy.disk}`,
    maxAttempts: REPAIR_ATTEMPTS,
  }));
  return jobs.length === 0 ? [] : await enqueue(tx, jobs);
}
