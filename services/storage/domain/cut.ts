/** A blob as chunks: all but the last are of one length, so that a byte is found by division. */
import { failure } from "../../kernel/errors.ts";
import { CHUNK_BYTES_MAX } from "../../kernel/limits.ts";

const HASH_BYTES = 32;

/** What is read at once of a chunk for a stream: six blocks. A viewer waits for no more of it, and a slow one holds four: 1.5 MiB. */
export const PIECE_BYTES = 384 * 1024;

interface Manifest {
  readonly blob: string;
  readonly size: number;
  /** The hashes of the chunks, 32 bytes each. */
  readonly chunks: Uint8Array;
}

/** What to take of a chunk: its bytes from `from` (inclusive) to `to` (exclusive). */
export interface Cut {
  readonly hash: string;
  /** Of the whole chunk. */
  readonly size: number;
  readonly from: number;
  readonly to: number;
}

/** The cuts that together are the bytes of a blob from `start` (inclusive) to `end` (exclusive). RANGE_NOT_SATISFIABLE for any that it has not. */
export function* cutsOf({ blob, size, chunks }: Manifest, start = 0, end = size): Generator<Cut> {
  if (start >= end || end > size) {
    throw failure("RANGE_NOT_SATISFIABLE", `The bytes ${start} to ${end} are not in blob ${blob}, which has ${size}.`);
  }
  for (let index = Math.floor(start / CHUNK_BYTES_MAX); index * CHUNK_BYTES_MAX < end; index++) {
    const first = index * CHUNK_BYTES_MAX;
    const length = Math.min(CHUNK_BYTES_MAX, size - first);
    const hash = Buffer.from(chunks.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES)).toString("hex");
    yield { hash, size: length, from: Math.max(start - first, 0), to: Math.min(end - first, length) };
  }
}

/** The same bytes in pieces of at most PIECE_BYTES, which end where whole pieces of their chunks do: so the blocks that a disk verifies are read once. */
export function* piecesOf(cuts: Iterable<Cut>): Generator<Cut> {
  for (const cut of cuts) {
    for (let from = cut.from; from < cut.to;) {
      const to = Math.min(cut.to, from - (from % PIECE_BYTES) + PIECE_BYTES);
      yield { ...cut, from, to };
      from = to;
    }
  }
}
