/** Bytes out: a range of a blob as a stream, or a small blob whole. */
import { Readable } from "node:stream";
import { piecesOf, type Cut } from "../domain/cut.ts";
import type { ChunkReader } from "./chunk-read.ts";

/**
 * Pieces that are on their way while one is handed on. Each is asked for by itself: a slow reader has no call open at any disk, whose window it
 * would fill for all others. It holds these, one that waits in the stream, and one that its own writer keeps.
 */
const AHEAD = 2;

/** A stream of these cuts. */
export function streamOf(chunks: ChunkReader, cuts: Iterable<Cut>): Readable {
  const ending = new AbortController();
  const pieces = inOrder(chunks, piecesOf(cuts), ending.signal);
  return new Readable({
    read() {
      pieces.next().then(
        ({ done, value }) => this.push(done ? null : value),
        (error: Error) => this.destroy(error),
      );
    },
    // The generator may be waiting for a disk, and only the signal ends that.
    destroy(error, done) {
      ending.abort();
      done(error);
    },
  });
}

/** The whole of these cuts in memory; a single one is not copied. */
export async function bytesOf(chunks: ChunkReader, cuts: Iterable<Cut>, signal: AbortSignal): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (const cut of cuts) parts.push(await chunks.read(cut, signal));
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
}

async function* inOrder(chunks: ChunkReader, pieces: Iterator<Cut>, signal: AbortSignal): AsyncGenerator<Buffer, undefined> {
  const coming: Promise<Buffer>[] = [];
  const begin = (): void => {
    const { done, value } = pieces.next();
    if (done) return;
    const piece = chunks.read(value, signal);
    // Whoever destroys the stream does not wait for it.
    piece.catch(() => undefined);
    coming.push(piece);
  };
  for (let ahead = 0; ahead < AHEAD; ahead++) begin();
  for (let piece = coming.shift(); piece; piece = coming.shift()) {
    const bytes = await piece;
    begin();
    yield bytes;
  }
}
