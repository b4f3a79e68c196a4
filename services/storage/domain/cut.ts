/** A blob as chunks: all but the last are of one length, so that a byte is found by division. */
import { failure } from "../../kernel/errors.ts";
import { CHUNK_BYTES_MAX } from "../../kernel/limits.ts";

const HASH_BYTES = 32;

/** What a stream reads of a chunk at first: two messages. A viewer waits for no more of it. */
export const PIECE_BYTES = 512 * 1024;
/** A chunk that is not longer is read whole. */
export const WHOLE_BYTES_MAX = 1024 * 1024;

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

/**
 * The same bytes in pieces of at most the length that is asked for with each, a power of two times PIECE_BYTES. They end where whole pieces of their chunks
 * do: so the blocks that a disk verifies are read once.
 */
export function* piecesOf(cuts: Iterable<Cut>, length: () => number): Generator<Cut> {
  for (const cut of cuts) {
    for (let from = cut.from; from < cut.to;) {
      const most = cut.size <= WHOLE_BYTES_MAX ? WHOLE_BYTES_MAX : length();
      const to = Math.min(cut.to, from - (from % most) + most);
      yield { ...cut, from, to };
      from = to;
    }
  }
}

/** What is left of the cuts behind their first bytes. */
export function* behind(cuts: Iterable<Cut>, bytes: number): Generator<Cut> {
  let before = bytes;
  for (const cut of cuts) {
    const length = cut.to - cut.from;
    if (before < length) yield { ...cut, from: cut.from + before };
    before = Math.max(0, before - length);
  }
}
