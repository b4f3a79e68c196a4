/**
 * What a disk is to the services, whatever keeps the chunks: a process that serves a folder (client.ts), or a bucket of S3 (s3/). Which one it is
 * says its address: host:port, or s3://bucket/prefix. test/integration/disk.port.test.ts is what all of them have in common.
 */
import type { ChunkRange, ChunkUpload } from "./chunks.ts";
import type { ChunkLook, ChunkPage, DiskFacts, ListedChunk, ScrubCommand, ScrubFacts, StoredChunk } from "./facts.ts";

/** Every method may fail with DISK_UNAVAILABLE, DISK_UNAUTHENTICATED or DISK_MISTAKEN, and with what it names itself; and with the signal's reason. */
export interface Disk {
  /** The same disk, for calls that mean this one: each of them fails with DISK_MISTAKEN when another one is at its address. */
  meaning(id: string): Disk;
  /** Stores a chunk. Done when it is durable; one that `existed` has another version now. DISK_FULL, DISK_STALE_EPOCH, CHUNK_CORRUPT, TOO_BUSY. */
  putChunk(chunk: ChunkUpload, signal?: AbortSignal): Promise<{ existed: boolean }>;
  /** A chunk, or a part of one, verified. CHUNK_NOT_FOUND, CHUNK_CORRUPT, RANGE_NOT_SATISFIABLE, TOO_BUSY. */
  getChunk(range: ChunkRange, signal?: AbortSignal): Promise<Buffer>;
  /** The same in the buffers in which it came, without a copy. */
  readChunk(range: ChunkRange, signal?: AbortSignal): Promise<readonly Buffer[]>;
  /** Undefined when the disk does not hold the chunk. */
  statChunk(chunk: ChunkLook, signal?: AbortSignal): Promise<StoredChunk | undefined>;
  /** Deletes that version of a chunk. Deleting what is not there succeeds. DISK_STALE_EPOCH, CHUNK_CHANGED. */
  deleteChunk(
    chunk: { readonly hash: string; readonly epoch: number; readonly version: string },
    signal?: AbortSignal,
  ): Promise<{ existed: boolean }>;
  /** At most `limit` (1 to 10 000) chunks of a partition that stand behind `after`, in the order of their names. */
  listChunks(page: ChunkPage, signal?: AbortSignal): Promise<ListedChunk[]>;
  /** Digests of all partitions (services/kernel/digests.ts). */
  getDigests(of: { readonly bits: number }, signal?: AbortSignal): Promise<Buffer>;
  /** Who the disk is, how full, and how well. */
  getDisk(signal?: AbortSignal): Promise<DiskFacts>;
  /** Done when the disk has said that it is there: the cheapest that can be asked of it. */
  greet(signal?: AbortSignal): Promise<void>;
  /** Begins, pauses or goes on with a scrub; answers how it is then. */
  scrubDisk(command: ScrubCommand, signal?: AbortSignal): Promise<ScrubFacts>;
  close(): void;
}
