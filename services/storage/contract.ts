/**
 * Bytes in and out of the disks. Runs in every process that handles bytes; every action is of scope "node", since bytes never cross NATS
 * (no back-pressure there, and a retried stream is corrupted silently).
 */
import type { Readable } from "node:stream";
import { z } from "zod";
import { action, contract, returns } from "../kernel/rpc.ts";
import { sha256 } from "../kernel/schemas.ts";

export interface StoredBlob {
  /** SHA-256 name of the blob. */
  readonly blob: string;
  /** Bytes. */
  readonly size: number;
}

/** What `fetch` holds in memory at once: sixteen times the largest segment of the ladder. */
export const FETCH_BYTES_MAX = 64 * 1024 * 1024;

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
});
