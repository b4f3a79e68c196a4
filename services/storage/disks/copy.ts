/** Brings a copy of a chunk to a disk. */
import { errorType, failure } from "../../kernel/errors.ts";
import type { Cut } from "../domain/cut.ts";
import type { Placement, StorageDisk } from "../domain/ring.ts";
import type { ChunkReader } from "./chunk-read.ts";
import type { DiskPool } from "./pool.ts";

interface Ports {
  readonly pool: DiskPool;
  readonly rings: { current(): Promise<Placement>; outside(): Promise<readonly StorageDisk[]> };
  readonly chunks: ChunkReader;
}

interface Wanted {
  readonly chunk: string;
  /** Bytes of the chunk. */
  readonly size: number;
  readonly disk: StorageDisk;
  /** Of the ring by which other copies are deleted afterwards. */
  readonly epoch?: number | undefined;
}

/**
 * Answers whether a copy was made: not when the disk has the chunk. What it writes is verified twice, by the reader and by the disk.
 * NOT_ENOUGH_DISKS when no disk that is known has a good copy; else as the reader, or the disk, fails.
 */
export async function copyChunk(ports: Ports, { chunk, size, disk, epoch: seen }: Wanted, signal: AbortSignal): Promise<boolean> {
  const { pool, rings } = ports;
  // The disk first: while it is down, nobody needs to read for it, and thousands of copies need not wait for its silence one after the other.
  if (pool.isSuspect(disk)) throw failure("DISK_UNAVAILABLE", `Disk ${disk.id} does not answer.`);
  // A delete may still be on its way to a copy that is only found and that nobody has written since: touched, it is passed by. Where an epoch says that
  // another copy is deleted afterwards, that may be the last good one, so this one is read: of bits that flip a disk knows nothing until it reads them.
  const look = { hash: chunk, epoch: seen, touch: true, verify: seen !== undefined };
  if ((await pool.stat(disk, look))?.size === size) return false;
  const { epoch } = await rings.current();
  const bytes = await readAnywhere(ports, { hash: chunk, size, from: 0, to: size }, signal);
  await pool.put(disk, { hash: chunk, bytes: Buffer.concat(bytes), epoch }, signal);
  return true;
}

/** When every disk of the ring has said that it has no good copy, one may be on a disk that was put out, or has no share yet. */
async function readAnywhere({ pool, rings, chunks }: Ports, cut: Cut, signal: AbortSignal): Promise<readonly Buffer[]> {
  try {
    return await chunks.read(cut, signal);
  } catch (error) {
    if (errorType(error) !== "CHUNK_NOT_FOUND") throw error;
    for (const disk of await rings.outside()) {
      const bytes = await pool.get(disk, cut, signal).catch(() => undefined);
      if (bytes) return bytes;
      signal.throwIfAborted();
    }
    throw failure("NOT_ENOUGH_DISKS", `No disk that is known has a good copy of chunk ${cut.hash}.`, { cause: error });
  }
}
