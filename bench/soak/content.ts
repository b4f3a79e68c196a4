/** Bytes that follow from a few words, so that nobody has to keep them to know them again. */
import { createCipheriv, createHash } from "node:crypto";
import { CHUNK_BYTES_MAX } from "../../services/kernel/limits.ts";

/** Whole chunks, by their numbers, and a tail of its own: blobs that share chunks. */
export interface Content {
  readonly chunks: readonly number[];
  readonly tail: string;
  readonly tailBytes: number;
}

export function bytesOf({ chunks, tail, tailBytes }: Content): Buffer {
  return Buffer.concat([...chunks.map((chunk) => noise(`chunk ${chunk}`, CHUNK_BYTES_MAX)), noise(tail, tailBytes)]);
}

export function digestOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function noise(words: string, length: number): Buffer {
  const key = createHash("sha256").update(words).digest();
  return createCipheriv("aes-256-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(length));
}
