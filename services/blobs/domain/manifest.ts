/** What makes a blob: its size and the names of its chunks, in order. */
import { createHash } from "node:crypto";
import { failure } from "../../kernel/errors.ts";
import { CHUNK_BYTES_MAX } from "../../kernel/limits.ts";

const HASH_BYTES = 32;

/**
 * The name of a blob: SHA-256 over its size (8 bytes, big endian) and the hashes of its chunks. The bytes were hashed once, for the chunks; this
 * hashes 32 bytes for each 8 MiB more. INVALID_REQUEST when so many chunks cannot have that size.
 */
export function blobName(size: number, chunks: Uint8Array): string {
  const count = chunks.length / HASH_BYTES;
  if (count !== Math.ceil(size / CHUNK_BYTES_MAX))
    throw failure("INVALID_REQUEST", `A blob of ${size} bytes does not have ${count} chunks.`);
  const length = Buffer.alloc(8);
  length.writeBigUInt64BE(BigInt(size));
  return createHash("sha256").update(length).update(chunks).digest("hex");
}
