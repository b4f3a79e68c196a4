/** Bytes that come in, as chunks with their names. */
import { createHash } from "node:crypto";
import { errorType, failure, messageOf } from "../../kernel/errors.ts";
import { CHUNK_BYTES_MAX } from "../../kernel/limits.ts";
import type { Buffers } from "../memory/buffers.ts";

export interface Chunk {
  readonly hash: string;
  readonly bytes: Uint8Array;
  /** Says that nobody needs the bytes any more. */
  release(): void;
}

/**
 * Cuts a stream. Each chunk lies in a buffer of the pool until it is released; while all are taken, or the chunk is not taken by the caller,
 * nothing is read from the stream. UPLOAD_TOO_LARGE, UPLOAD_EMPTY; UPLOAD_ABORTED when the stream ends with an error of its own kind, SERVICE_UNAVAILABLE
 * when that is the broker's and a later try may succeed.
 */
export async function* cutStream(
  source: AsyncIterable<Uint8Array>,
  { buffers, maxBytes, signal }: { buffers: Buffers; maxBytes: number; signal: AbortSignal },
): AsyncGenerator<Chunk> {
  let filling: Filling | undefined;
  let total = 0;
  try {
    for await (const piece of readable(source)) {
      total += piece.length;
      if (total > maxBytes) throw failure("UPLOAD_TOO_LARGE", `The upload has more than ${maxBytes} bytes.`);
      for (let rest = piece; rest.length > 0;) {
        // Only for bytes that are there: who is connected and silent holds no buffer.
        filling ??= new Filling(await buffers.take(signal));
        rest = filling.add(rest);
        if (!filling.isFull) continue;
        const full = filling;
        filling = undefined;
        yield full.chunk(buffers);
      }
    }
    if (total === 0) throw failure("UPLOAD_EMPTY", "The upload holds no bytes.");
    const last = filling;
    filling = undefined;
    if (last) yield last.chunk(buffers);
  } finally {
    if (filling) buffers.give(filling.buffer);
  }
}

/** Cuts bytes that are in memory already: the chunks are views of them. */
export function* cutBytes(bytes: Uint8Array): Generator<Chunk> {
  if (bytes.length === 0) throw failure("UPLOAD_EMPTY", "There are no bytes to store.");
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES_MAX) {
    const part = bytes.subarray(at, at + CHUNK_BYTES_MAX);
    yield { hash: createHash("sha256").update(part).digest("hex"), bytes: part, release: () => undefined };
  }
}

/** A chunk that grows, and is hashed while it does: 8 MiB at once would stop everything else for 5 ms. */
class Filling {
  readonly buffer: Buffer;
  readonly #hash = createHash("sha256");
  #length = 0;

  constructor(buffer: Buffer) {
    this.buffer = buffer;
  }

  get isFull(): boolean {
    return this.#length === this.buffer.length;
  }

  /** Takes what there is room for; answers the rest. */
  add(piece: Uint8Array): Uint8Array {
    const taken = piece.subarray(0, this.buffer.length - this.#length);
    this.buffer.set(taken, this.#length);
    this.#hash.update(taken);
    this.#length += taken.length;
    return piece.subarray(taken.length);
  }

  chunk(buffers: Buffers): Chunk {
    return {
      hash: this.#hash.digest("hex"),
      bytes: this.buffer.subarray(0, this.#length),
      release: () => buffers.give(this.buffer),
    };
  }
}

/** The stream, whose errors are rows of the table: a connection that broke is an upload that ended early, a service that is not there is none of the sender's. */
async function* readable(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* source;
  } catch (error) {
    if (errorType(error)) throw error;
    const type = (error as { retryable?: unknown }).retryable === true ? "SERVICE_UNAVAILABLE" : "UPLOAD_ABORTED";
    throw failure(type, `The upload ended before its last byte: ${messageOf(error)}.`, { cause: error });
  }
}
