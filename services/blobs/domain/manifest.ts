/** What makes a blob: its size and the names of its chunks, in order. */
import { createHash } from "node:crypto";
import { failure } from "../../kernel/errors.ts";
import { CHUNK_BYTES_MAX } from "../../kernel/limits.ts";

const HASH_BYTES = 32;

interface Part {
  readonly blob: string;
  readonly size: number;
  readonly chunks: Uint8Array;
}

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

/** The names of the chunks of a blob, each once. */
export function distinctChunks(chunks: Uint8Array): Buffer[] {
  const names = new Map<string, Buffer>();
  for (let at = 0; at < chunks.length; at += HASH_BYTES) {
    const name = Buffer.from(chunks.subarray(at, at + HASH_BYTES));
    names.set(name.toString("latin1"), name);
  }
  return [...names.values()];
}

/** The blob that these blobs are together. INVALID_REQUEST where a chunk that is not full would come to stand in the middle. */
export function joined(parts: readonly Part[]): Part {
  const uneven = parts.slice(0, -1).find(({ size }) => size % CHUNK_BYTES_MAX !== 0);
  if (uneven)
    throw failure("INVALID_REQUEST", `Blob ${uneven.blob} has ${uneven.size} bytes: only the last part may end within a chunk of 8 MiB.`);
  const size = parts.reduce((sum, part) => sum + part.size, 0);
  const chunks = Buffer.concat(parts.map((part) => part.chunks));
  return { blob: blobName(size, chunks), size, chunks };
}
