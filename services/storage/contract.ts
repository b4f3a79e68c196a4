/**
 * Bytes in and out of the disks. Runs in every process that handles bytes; every action is of scope "node", since bytes never cross NATS
 * (no back-pressure there, and a retried stream is corrupted silently).
 */
import type { Readable } from "node:stream";
import { z } from "zod";
import { PARTITION_BITS_MAX } from "../kernel/digests.ts";
import { CHUNK_BYTES_MAX } from "../kernel/limits.ts";
import { action, contract, returns } from "../kernel/rpc.ts";
import { sha256, uuid } from "../kernel/schemas.ts";

export interface StoredBlob {
  /** SHA-256 name of the blob. */
  readonly blob: string;
  /** Bytes. */
  readonly size: number;
}

export interface HeldChunk {
  /** Bytes. */
  readonly size: number;
  /** Names this copy: the disk stores the chunk again under another one. */
  readonly version: string;
}

export interface ListedChunk extends HeldChunk {
  readonly chunk: string;
  /** Since it was stored, or stored again. */
  readonly ageSeconds: number;
}

/** Of one list: as many as a disk tells at once. */
const LIST_CHUNKS_MAX = 10_000;

/** What `fetch` holds in memory at once: sixteen times the largest segment of the ladder. */
export const FETCH_BYTES_MAX = 64 * 1024 * 1024;

/** Reading a chunk from a slow disk, and writing it to another. */
export const COPY_MS = 120_000;

/** Of the ring by which copies are deleted on the answer's word: the disk has seen it when it answers. DISK_STALE_EPOCH when it has seen a newer one. */
const epoch = z.int().positive().optional();

export const storage = contract("storage", {
  /**
   * Stores the stream that comes along. Answers when every chunk is durable on a write quorum of disks and the blob's row is committed.
   * The quorum is two disks in two zones; a ring with only one disk or one zone is asked for no more than it has. NOT_ENOUGH_DISKS.
   * UPLOAD_TOO_LARGE above `maxBytes`, UPLOAD_EMPTY for none; whatever ends the stream early ends the call with that error, and leaves no blob.
   */
  write: action({
    params: z.strictObject({ maxBytes: z.int().positive() }),
    returns: returns<StoredBlob>(),
    scope: "node",
    idempotent: false,
    timeoutMs: 0,
  }),
  /** Stores bytes that are in memory already, with the same promise. */
  put: action({
    params: z.strictObject({ bytes: z.instanceof(Uint8Array) }),
    returns: returns<StoredBlob>(),
    scope: "node",
    idempotent: false,
    timeoutMs: 60_000,
  }),
  /** Bytes start (inclusive) to end (exclusive), verified chunk by chunk before they are handed on. BLOB_NOT_FOUND, RANGE_NOT_SATISFIABLE. */
  read: action({
    params: z.strictObject({ blob: sha256, start: z.int().nonnegative().optional(), end: z.int().positive().optional() }),
    returns: returns<Readable>(),
    scope: "node",
    idempotent: false,
    timeoutMs: 0,
  }),
  /** A whole small blob, from a memory cache of what is asked for often. */
  fetch: action({
    params: z.strictObject({ blob: sha256 }),
    returns: returns<Uint8Array>(),
    scope: "node",
    idempotent: true,
    timeoutMs: 30_000,
  }),
  stat: action({ params: z.strictObject({ blob: sha256 }), returns: returns<StoredBlob>(), scope: "node", idempotent: true }),

  // One disk, by its id: one of the ring, or any other that was ever registered (DISK_NOT_FOUND). DISK_UNAVAILABLE when it does not answer.

  /** Brings a verified copy of a chunk to a disk; no, when it holds one, which is read first where an epoch says that others are deleted then. NOT_ENOUGH_DISKS when no disk that is known has a good copy. */
  copy: action({
    params: z.strictObject({ chunk: sha256, size: z.int().min(1).max(CHUNK_BYTES_MAX), disk: uuid, epoch }),
    returns: returns<{ copied: boolean }>(),
    scope: "node",
    idempotent: true,
    timeoutMs: COPY_MS,
  }),
  /** What a disk holds of a chunk; null for nothing. */
  holds: action({
    params: z.strictObject({ disk: uuid, chunk: sha256, epoch }),
    returns: returns<HeldChunk | null>(),
    scope: "node",
    idempotent: true,
  }),
  /** What a disk holds of a partition (of the first `bits` bits of the names), in the order of the names, from behind `after` on. */
  list: action({
    params: z.strictObject({
      disk: uuid,
      bits: z.int().min(0).max(PARTITION_BITS_MAX),
      partition: z.int().nonnegative(),
      after: sha256.optional(),
      limit: z.int().min(1).max(LIST_CHUNKS_MAX),
      epoch,
    }),
    returns: returns<readonly ListedChunk[]>(),
    scope: "node",
    idempotent: true,
    timeoutMs: 40_000,
  }),
  /** Digests of all partitions as they lie on a disk now (services/kernel/digests.ts). It walks over all of its folders: minutes, on a large one. */
  digests: action({
    params: z.strictObject({ disk: uuid, bits: z.int().min(0).max(PARTITION_BITS_MAX) }),
    returns: returns<Uint8Array>(),
    scope: "node",
    idempotent: false,
    timeoutMs: 620_000,
  }),
  /**
   * Deletes from a disk the very copy that `holds` or `list` told of; answers whether there was one. CHUNK_CHANGED when it was stored again since,
   * DISK_STALE_EPOCH when the disk knows a newer ring than that of `epoch`.
   */
  erase: action({
    params: z.strictObject({ disk: uuid, chunk: sha256, version: z.string().min(1).max(200), epoch: z.int().positive() }),
    returns: returns<boolean>(),
    scope: "node",
    idempotent: true,
  }),
});
