/** The life of an upload, and what it is cut into. */
import { CHUNK_BYTES_MAX } from "../../kernel/limits.ts";

/** whole: the bytes of a video. partial: some of them, to be joined. final: what partial ones were joined into. */
export type UploadKind = "whole" | "partial" | "final";

/**
 * open: takes bytes, until it has as many as its length. complete: has them all, and is on its way to be the source of its video; where a partial
 * one stays. stored: its video has them. expired: its last byte did not come in time, and what had come is let go.
 */
export type UploadState = "open" | "complete" | "stored" | "expired";

/** How many bytes the next part may have. None crosses a multiple of a chunk's length: then most of them are chunks as they are, and joining them copies nothing. */
export function partRoom(offset: number): number {
  return CHUNK_BYTES_MAX - (offset % CHUNK_BYTES_MAX);
}

export interface Piece {
  readonly blob: string;
  readonly size: number;
}

/** Pieces that stand next to each other, and whether they have to be copied to become whole chunks. */
export interface Run<P extends Piece> {
  readonly copied: boolean;
  readonly pieces: readonly P[];
}

/**
 * How pieces become one blob. A piece that begins where a chunk begins, and ends where one ends or is the last, is used as it is. Those between two
 * such places are copied into chunks of their own.
 */
export function joinPlan<P extends Piece>(pieces: readonly P[]): readonly Run<P>[] {
  const runs: { copied: boolean; pieces: P[] }[] = [];
  let at = 0;
  for (const [index, piece] of pieces.entries()) {
    const last = index === pieces.length - 1;
    const begins = at % CHUNK_BYTES_MAX === 0;
    at += piece.size;
    const copied = !(begins && (last || at % CHUNK_BYTES_MAX === 0));
    const run = runs.at(-1);
    // A copy ends where a chunk ends; the next one may begin there, and stays one of its own.
    if (run?.copied === copied && !(copied && begins)) run.pieces.push(piece);
    else runs.push({ copied, pieces: [piece] });
  }
  return runs;
}
