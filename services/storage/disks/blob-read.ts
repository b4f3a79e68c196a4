/** Bytes out: a range of a blob as a stream, or a small blob whole. */
import { Readable } from "node:stream";
import { MESSAGE_BYTES } from "../../kernel/limits.ts";
import type { Cut } from "../domain/cut.ts";
import type { ChunkReader } from "./chunk-read.ts";

/** A stream of these cuts. While one chunk is handed on, the next is on its way: two chunks, 16 MiB, are all that a slow reader holds. */
export function streamOf(chunks: ChunkReader, cuts: Iterable<Cut>): Readable {
  const ending = new AbortController();
  const pieces = piecesOf(chunks, cuts, ending.signal);
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
  for (const cut of cuts) parts.push(await readCut(chunks, cut, signal));
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
}

async function* piecesOf(chunks: ChunkReader, cuts: Iterable<Cut>, signal: AbortSignal): AsyncGenerator<Buffer, undefined> {
  const rest = cuts[Symbol.iterator]();
  const begin = (): Promise<Buffer> | undefined => {
    const { done, value } = rest.next();
    if (done) return undefined;
    const coming = readCut(chunks, value, signal);
    // Whoever destroys the stream does not wait for it.
    coming.catch(() => undefined);
    return coming;
  };
  for (let coming = begin(); coming;) {
    const bytes = await coming;
    coming = begin();
    for (let at = 0; at < bytes.length; at += MESSAGE_BYTES) yield bytes.subarray(at, at + MESSAGE_BYTES);
  }
}

async function readCut(chunks: ChunkReader, cut: Cut, signal: AbortSignal): Promise<Buffer> {
  return (await chunks.read(cut, signal)).subarray(cut.from, cut.to);
}
