/** The catalogue of blobs: which chunks, in which order, make up a stored byte string. A blob exists from the moment its row is committed. */
import { z } from "zod";
import { action, contract, returns } from "../kernel/rpc.ts";
import { sha256, uuid } from "../kernel/schemas.ts";

export interface BlobManifest {
  readonly blob: string;
  /** Bytes. Every chunk but the last is CHUNK_BYTES_MAX long. */
  readonly size: number;
  /** The chunks' SHA-256, 32 bytes each, one after the other. */
  readonly chunks: Uint8Array;
}

/** 6,400 chunks of 8 MiB are 50 GiB, and their hashes 205 KB: one control message, below the 256 KB that NATS is to carry. */
const BLOB_CHUNKS_MAX = 6400;

export const blobs = contract("blobs", {
  /**
   * Makes a blob of chunks that are durable on a write quorum each. In the same transaction the copies that are still missing become repair jobs.
   * The name is SHA-256 over the size (8 bytes, big endian) and the chunk hashes: the same bytes always get the same name, and one row.
   */
  commit: action({
    params: z.strictObject({
      epoch: z.int().positive(),
      size: z.int().positive(),
      chunks: z
        .instanceof(Uint8Array)
        .refine((bytes) => bytes.length > 0 && bytes.length % 32 === 0 && bytes.length <= 32 * BLOB_CHUNKS_MAX),
      missing: z.array(z.strictObject({ chunk: sha256, size: z.int().positive(), disk: uuid })).max(1000),
    }),
    returns: returns<{ blob: string }>(),
    scope: "cluster",
    idempotent: true,
  }),
  get: action({ params: z.strictObject({ blob: sha256 }), returns: returns<BlobManifest>(), scope: "cluster", idempotent: true }),
  /** A reader found a copy missing or bad: makes a repair job, once. */
  reportMissing: action({
    params: z.strictObject({ chunk: sha256, size: z.int().positive(), disk: uuid }),
    returns: returns<null>(),
    scope: "cluster",
    idempotent: true,
  }),
});
