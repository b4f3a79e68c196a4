/** The catalogue of blobs: which chunks, in which order, make up a stored byte string. A blob exists from the moment its row is committed. */
import { z } from "zod";
import { PARTITION_BITS_MAX } from "../kernel/digests.ts";
import { CHUNK_BYTES_MAX } from "../kernel/limits.ts";
import { action, contract, returns } from "../kernel/rpc.ts";
import { sha256, uuid } from "../kernel/schemas.ts";

export interface BlobManifest {
  readonly blob: string;
  /** Bytes. Every chunk but the last is CHUNK_BYTES_MAX long. */
  readonly size: number;
  /** The chunks' SHA-256, 32 bytes each, one after the other. */
  readonly chunks: Uint8Array;
}

const chunkSize = z.int().min(1).max(CHUNK_BYTES_MAX);

/** 6,400 chunks of 8 MiB are 50 GiB, and their hashes 205 KB: one control message, below the 256 KB that NATS is to carry. */
const BLOB_CHUNKS_MAX = 6400;

/** Of one call: a writer asks for a chunk at a time; whoever asks for more has them at hand anyway. */
const LEASE_CHUNKS_MAX = 256;
/** 64 digits each: 128 KB of the 256 KB that NATS is to carry. */
const PARTS_MAX = 2000;

/** 64 digits and 36 more each, in one control message. */
const COPIES_MAX = 1000;
const CHUNKS_MAX = 1000;
/** 12 bytes each: 196 KB. */
const DIGESTS_MAX = 16_384;

const missingCopy = z.strictObject({ chunk: sha256, size: chunkSize, disk: uuid });
const chunkNames = z.strictObject({ chunks: z.array(sha256).max(CHUNKS_MAX) });
const copiesOfDisk = z.strictObject({ disk: uuid, chunks: z.array(sha256).max(CHUNKS_MAX) });
/** The partition of a chunk is that many first bits of its name. */
const bits = z.int().min(0).max(PARTITION_BITS_MAX);

export interface SizedChunk {
  readonly chunk: string;
  /** Bytes. */
  readonly size: number;
}

export interface KnownChunk extends SizedChunk {
  /** A blob contains it. Others are leased, or wait for the end of the time of grace. */
  readonly needed: boolean;
  /** It is being deleted. */
  readonly leaving: boolean;
}

/** What a disk lacks. */
export interface Backlog {
  readonly disk: string;
  readonly copies: number;
  readonly bytes: number;
  /** When the oldest was noted, ISO 8601. */
  readonly oldest: string;
}

export interface Collected {
  readonly blobs: number;
  readonly chunks: number;
  /** Whether there is more to be done at once. */
  readonly more: boolean;
}

interface Amount {
  readonly count: number;
  readonly bytes: number;
}

export interface Usage {
  /** Blobs, as long as they are. */
  readonly logical: Amount;
  /** Chunks that they are made of, each once. */
  readonly unique: Amount;
  /** Copies of those chunks that the ring wants. */
  readonly physical: Amount;
  /** Chunks that did not have to be stored, since they were there. */
  readonly deduplicated: Amount;
  /** Chunks that no blob contains: leased, or waiting for the end of the time of grace. */
  readonly pending: Amount;
  /** Chunks that are being deleted. */
  readonly leaving: Amount;
  /** Copies that owners should have and have not. */
  readonly missing: Amount;
}

export interface Unneeded {
  /** Blobs that no row names. */
  readonly blobs: number;
  readonly pending: Amount;
  readonly leaving: Amount;
  /** Since the oldest of these chunks was last touched, seconds; 0 when there are none. */
  readonly oldestS: number;
}

export const blobs = contract("blobs", {
  /**
   * Says that these chunks are about to be stored, before their first byte goes to a disk: for the time of grace (COLLECT_GRACE_SECONDS) nobody
   * deletes them. Answers when that began. CHUNK_LEAVING while one of them is on its way out: ask again in a few seconds.
   */
  lease: action({
    params: z.strictObject({
      chunks: z
        .array(z.strictObject({ chunk: sha256, size: chunkSize }))
        .min(1)
        .max(LEASE_CHUNKS_MAX),
    }),
    returns: returns<{ leasedAt: string }>(),
    scope: "cluster",
    idempotent: true,
  }),
  /**
   * Makes a blob of chunks that are durable on a write quorum each, and were leased before: `leasedAt` is the answer to the first of those
   * leases. In the same transaction the copies that are still missing become rows. DISK_STALE_EPOCH when the ring has changed since `epoch`;
   * CHUNK_NOT_LEASED when a chunk may have been deleted meanwhile: it has to be leased and stored again.
   * The name is SHA-256 over the size (8 bytes, big endian) and the chunk hashes: the same bytes always get the same name, and one row.
   */
  commit: action({
    params: z.strictObject({
      epoch: z.int().positive(),
      size: z.int().positive(),
      chunks: z
        .instanceof(Uint8Array)
        .refine((bytes) => bytes.length > 0 && bytes.length % 32 === 0 && bytes.length <= 32 * BLOB_CHUNKS_MAX),
      leasedAt: z.iso.datetime(),
      missing: z.array(missingCopy).max(COPIES_MAX),
    }),
    returns: returns<{ blob: string }>(),
    scope: "cluster",
    idempotent: true,
  }),
  /**
   * Joins blobs to one, in this order, without a byte being copied. All but the last have to be multiples of CHUNK_BYTES_MAX long
   * (INVALID_REQUEST), and somebody has to need each of them until this has answered (BLOB_NOT_FOUND).
   */
  concat: action({
    params: z.strictObject({ parts: z.array(sha256).min(1).max(PARTS_MAX) }),
    returns: returns<{ blob: string; size: number }>(),
    scope: "cluster",
    idempotent: true,
  }),
  get: action({ params: z.strictObject({ blob: sha256 }), returns: returns<BlobManifest>(), scope: "cluster", idempotent: true }),
  /** Copies that were found missing or bad: rows, once each, until they are brought. Those of chunks that nobody knows any more are ignored. */
  reportMissing: action({
    params: z.strictObject({ copies: z.array(missingCopy).max(COPIES_MAX) }),
    returns: returns<null>(),
    scope: "cluster",
    idempotent: true,
  }),

  /** The chunks of a partition behind `after`, in the order of their names: what its owners should hold. */
  chunksIn: action({
    params: z.strictObject({ bits, partition: z.int().nonnegative(), after: sha256.optional(), limit: z.int().min(1).max(CHUNKS_MAX) }),
    returns: returns<readonly KnownChunk[]>(),
    scope: "cluster",
    idempotent: true,
  }),
  /** Digests (services/kernel/digests.ts) of the partitions `first` to `last`, both inclusive, over all chunks that have rows. */
  digests: action({
    params: z
      .strictObject({ bits, first: z.int().nonnegative(), last: z.int().nonnegative() })
      .refine(({ first, last }) => first <= last && last - first < DIGESTS_MAX, `must be 1 to ${DIGESTS_MAX} partitions`),
    returns: returns<Uint8Array>(),
    scope: "cluster",
    idempotent: true,
  }),
  /** Those of these chunks that have rows. */
  known: action({ params: chunkNames, returns: returns<readonly KnownChunk[]>(), scope: "cluster", idempotent: true }),

  /** Disks that lack copies which should be brought now. */
  disksDue: action({ params: z.strictObject({}), returns: returns<readonly string[]>(), scope: "cluster", idempotent: true }),
  /** Takes copies that a disk lacks, to be brought within two minutes: nobody else is given them until then. */
  dueRepairs: action({
    params: z.strictObject({ disk: uuid, limit: z.int().min(1).max(CHUNKS_MAX) }),
    returns: returns<readonly SizedChunk[]>(),
    scope: "cluster",
    idempotent: false,
  }),
  /** The disk has these copies now, or need not have them any more. */
  repaired: action({ params: copiesOfDisk, returns: returns<null>(), scope: "cluster", idempotent: true }),
  /** These copies could not be brought: they are due again after a pause that grows with each attempt. */
  repairFailed: action({ params: copiesOfDisk, returns: returns<null>(), scope: "cluster", idempotent: false }),
  backlog: action({ params: z.strictObject({}), returns: returns<readonly Backlog[]>(), scope: "cluster", idempotent: true }),

  /** Deletes some blobs that nobody has named for the time of grace, and marks some chunks that no blob has contained for as long as leaving. */
  collect: action({ params: z.strictObject({}), returns: returns<Collected>(), scope: "cluster", idempotent: true }),
  /** Chunks behind `after` that are to be deleted from every disk, in the order of their names. */
  leaving: action({
    params: z.strictObject({ after: sha256.optional(), limit: z.int().min(1).max(CHUNKS_MAX) }),
    returns: returns<readonly SizedChunk[]>(),
    scope: "cluster",
    idempotent: true,
  }),
  /** Those of these chunks that are leaving: to be asked between the look at a disk and the delete. */
  areLeaving: action({ params: chunkNames, returns: returns<readonly string[]>(), scope: "cluster", idempotent: true }),
  /** No disk that answers has these chunks any more: forgets those of them that are leaving. */
  left: action({ params: chunkNames, returns: returns<null>(), scope: "cluster", idempotent: true }),

  /** What the collector has to do. Counts only that. */
  unneeded: action({ params: z.strictObject({}), returns: returns<Unneeded>(), scope: "cluster", idempotent: true }),
  /** What is stored, counted now: reads every row, so it is for people and not for programs that ask all the time. */
  usage: action({ params: z.strictObject({}), returns: returns<Usage>(), scope: "cluster", idempotent: true }),
});
