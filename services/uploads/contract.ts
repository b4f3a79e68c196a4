/**
 * Uploads that can be resumed: what is expected, and which bytes are durable so far. The bytes themselves go from the gateway through storage to the
 * disks; here are the rows that name them. An upload that a row calls complete becomes the source of its video, whatever ends in between.
 */
import { z } from "zod";
import { CHUNK_BYTES_MAX } from "../kernel/limits.ts";
import { principal } from "../kernel/principal.ts";
import { action, contract, event, returns } from "../kernel/rpc.ts";
import { sha256, uuid } from "../kernel/schemas.ts";
import type { UploadKind, UploadState } from "./domain/upload.ts";

export type { UploadKind, UploadState } from "./domain/upload.ts";

/** A part of an upload that is durable. */
export interface UploadPiece {
  /** Where it stands in the whole, bytes. */
  readonly start: number;
  readonly size: number;
  readonly blob: string;
}

export interface Upload {
  readonly id: string;
  readonly kind: UploadKind;
  readonly state: UploadState;
  /** Null of a partial upload. */
  readonly video: string | null;
  readonly owner: string | null;
  /** Bytes; null until the client knows it. */
  readonly length: number | null;
  /** Bytes that are durable: where the next one goes. */
  readonly offset: number;
  /** `Upload-Metadata` and `Upload-Concat` as the client sent them; "" and null when it did not. */
  readonly metadata: string;
  readonly concat: string | null;
  /** RFC 3339 UTC. Moves on with each part. */
  readonly expiresAt: string;
}

/** What a request shows to prove that it is the newest that sends bytes of an upload. A bigint column, so a string. */
const hold = z.strictObject({ id: uuid, fence: z.string().regex(/^[0-9]{1,19}$/) });
export type UploadHold = z.infer<typeof hold>;

/** The header that carries it, with all others, has 16 KiB. */
const METADATA_LENGTH_MAX = 12 * 1024;
const bytes = z.int().positive();
/** Whose upload it is not is told that there is no such upload. */
const byId = z.strictObject({ as: principal, id: uuid });

/** Partial uploads that can become one: as many addresses as the header has room for. */
const JOINED_MAX = 128;

const newUpload = z.strictObject({
  id: uuid,
  as: principal,
  /** Who makes it, a user or an address: has so many open uploads at most. */
  madeBy: z.string().min(1).max(200),
  metadata: z.string().max(METADATA_LENGTH_MAX),
});

export const uploads = contract("uploads", {
  /** Without a video it is a partial upload, to be joined with others. UPLOADS_TOO_MANY. */
  create: action({
    params: newUpload.extend({ video: uuid.nullable(), length: bytes.nullable() }),
    returns: returns<Upload>(),
    scope: "cluster",
    idempotent: true,
  }),
  /**
   * An upload of the bytes of partial ones, in this order; one may come several times. They stay as they are, and complete it at once.
   * UPLOAD_NOT_FOUND when one of them is not there or somebody else's; UPLOAD_OFFSET_CONFLICT when one is not complete; UPLOAD_TOO_LARGE.
   */
  join: action({
    params: newUpload.extend({
      video: uuid,
      concat: z.string().max(METADATA_LENGTH_MAX),
      partials: z.array(uuid).min(1).max(JOINED_MAX),
      bytesMax: bytes,
    }),
    returns: returns<Upload>(),
    scope: "cluster",
    idempotent: true,
  }),
  /** UPLOAD_NOT_FOUND; UPLOAD_EXPIRED for some days after its end. */
  get: action({ params: byId, returns: returns<Upload>(), scope: "cluster", idempotent: true }),

  /**
   * Makes this request the one that sends bytes, for a few seconds: `beat` and `append` make it longer. UPLOAD_LOCKED while another one holds it;
   * if nothing comes from that one's client, it is asked to leave.
   */
  hold: action({
    params: byId,
    returns: returns<{ upload: Upload; fence: string }>(),
    scope: "cluster",
    idempotent: false,
    timeoutMs: 5000,
  }),
  /** `idle`: nothing has come for a while. Answers whether another request waits for this one to leave. UPLOAD_LOCKED when it has been taken over. */
  beat: action({
    params: z.strictObject({ hold, idle: z.boolean() }),
    returns: returns<{ wanted: boolean }>(),
    scope: "cluster",
    idempotent: true,
    timeoutMs: 2000,
  }),
  release: action({ params: z.strictObject({ hold }), returns: returns<null>(), scope: "cluster", idempotent: true }),
  /** The length of an upload that had none. */
  declare: action({ params: z.strictObject({ hold, length: bytes }), returns: returns<Upload>(), scope: "cluster", idempotent: true }),
  /**
   * Bytes that are durable: parts without a gap, from the present offset on, in one transaction. With the last of them the upload is complete, and the
   * job that makes a video of it exists. UPLOAD_LOCKED for an older hold, UPLOAD_OFFSET_CONFLICT for another offset.
   */
  append: action({
    params: z.strictObject({
      hold,
      start: z.int().nonnegative(),
      parts: z
        .array(z.strictObject({ blob: sha256, size: z.int().positive().max(CHUNK_BYTES_MAX) }))
        .min(1)
        .max(1000),
    }),
    returns: returns<Upload>(),
    scope: "cluster",
    idempotent: true,
  }),
  /**
   * For those who work on what has come: how far that is, and the durable pieces without a gap, from the one that holds the byte `at` on, some at a time.
   * None when that byte has not come; none either when its video has all of them (`stored`). UPLOAD_NOT_FOUND, UPLOAD_EXPIRED.
   */
  pieces: action({
    params: z.strictObject({ id: uuid, at: z.int().nonnegative() }),
    returns: returns<{ state: UploadState; offset: number; pieces: readonly UploadPiece[] }>(),
    scope: "cluster",
    idempotent: true,
  }),
  /** Ends it: its bytes are let go, and a video that has no others is gone. */
  remove: action({ params: byId, returns: returns<null>(), scope: "cluster", idempotent: true }),
});

/** More bytes of an upload are durable, or it has ended. */
export const uploadProgressed = event<{
  id: string;
  video: string | null;
  owner: string | null;
  state: UploadState | "removed";
  offset: number;
  length: number | null;
}>("upload.progressed");
