/** A chunk as messages, and messages as a chunk. */
import type { GetChunkResponse, PutChunkRequest } from "../../proto/gen/tritontube/disk/v1/disk.ts";
import { failure } from "../../services/kernel/errors.ts";
import { CHUNK_BYTES_MAX, MESSAGE_BYTES } from "../../services/kernel/limits.ts";

export interface ChunkRange {
  readonly hash: string;
  /** First byte; default 0. */
  readonly offset?: number;
  /** Bytes; default: to the end. */
  readonly length?: number;
}

export interface ChunkUpload {
  readonly hash: string;
  /** 1 byte to 8 MiB. Must not change until the upload ends. */
  readonly bytes: Uint8Array;
  readonly epoch: number;
}

/** Header, data, commit. The data are views of the chunk's bytes. */
export function* uploadOf({ hash, bytes, epoch }: ChunkUpload): Generator<PutChunkRequest> {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  yield { part: { $case: "header", value: { sha256: Buffer.from(hash, "hex"), size: whole.length, epoch } } };
  for (let at = 0; at < whole.length; at += MESSAGE_BYTES) {
    yield { part: { $case: "data", value: whole.subarray(at, at + MESSAGE_BYTES) } };
  }
  yield { part: { $case: "commit", value: {} } };
}

/** The data of a download, each with the length of all of it. Throws CHUNK_CORRUPT when it is not as long as its header promised. */
export async function* downloadOf(
  messages: AsyncIterable<GetChunkResponse>,
  range: ChunkRange,
): AsyncGenerator<{ readonly total: number; readonly bytes: Buffer }> {
  let total = 0;
  let received = 0;
  for await (const { part } of messages) {
    if (part?.$case === "header") total = lengthOf(range, part.value.size);
    if (part?.$case !== "data") continue;
    received += part.value.length;
    if (received > total) break;
    yield { total, bytes: part.value };
  }
  if (received !== total || total === 0) throw failure("CHUNK_CORRUPT", `${received} of ${total} bytes of chunk ${range.hash} came.`);
}

function lengthOf({ hash, offset = 0, length }: ChunkRange, size: number): number {
  if (size > CHUNK_BYTES_MAX) throw failure("CHUNK_CORRUPT", `Chunk ${hash} is said to have ${size} bytes.`);
  return length ?? size - offset;
}
