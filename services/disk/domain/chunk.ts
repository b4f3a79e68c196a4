/** What a chunk is called, and where it lies in the folder of a disk. */
import { join } from "node:path";
import { failure } from "../../kernel/errors.ts";
import { CHUNK_BYTES_MAX } from "../../kernel/limits.ts";

const SHA256_BYTES = 32;

/** SHA-256 in lower case hexadecimal. Throws INVALID_REQUEST: nothing but 32 bytes ever becomes a path. */
export function hashOf(sha256: Uint8Array): string {
  if (sha256.length !== SHA256_BYTES) throw failure("INVALID_REQUEST", `A chunk is named by 32 bytes, not by ${sha256.length}.`);
  return Buffer.from(sha256).toString("hex");
}

/** Two levels of 256 folders: a folder holds about 15 chunks when the disk holds a million. */
export function folderOf(hash: string): string {
  return join(hash.slice(0, 2), hash.slice(2, 4));
}

export function assertChunkSize(size: number): void {
  if (size < 1 || size > CHUNK_BYTES_MAX) {
    throw failure("INVALID_REQUEST", `A chunk has 1 to ${CHUNK_BYTES_MAX} bytes, not ${size}.`);
  }
}

export interface Range {
  /** First byte, inclusive. */
  readonly start: number;
  /** Last byte, exclusive. */
  readonly end: number;
}

/** The bytes that a read asks for; length 0 means to the end. Throws RANGE_NOT_SATISFIABLE, CHUNK_CORRUPT for an empty file. */
export function rangeOf(asked: { readonly offset: number; readonly length: number }, size: number): Range {
  if (size === 0) throw failure("CHUNK_CORRUPT", "The file of the chunk is empty, and no chunk is.");
  const end = asked.length === 0 ? size : asked.offset + asked.length;
  if (asked.offset >= size || end > size) {
    throw failure("RANGE_NOT_SATISFIABLE", `Bytes ${asked.offset} to ${end} of a chunk of ${size} were asked for.`);
  }
  return { start: asked.offset, end };
}
