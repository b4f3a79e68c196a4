/** A source whose bytes are still on their way, read as far as they have come. */
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { failure } from "../kernel/errors.ts";
import { call, type Caller } from "../kernel/rpc.ts";
import { storage } from "../storage/contract.ts";
import { uploads, type UploadPiece } from "../uploads/contract.ts";
import { videos } from "../videos/contract.ts";
import { NotYetThere, type Source } from "./ffmpeg/source.ts";

/** Jobs begin when what they need is there, so hardly anybody waits; who does holds a slot, and gives it back after this. */
const WAIT_MS = 20_000;
const ASK_MS = 500;

export interface Upload {
  readonly upload: string;
  readonly video: string;
  /** Bytes that it will have. */
  readonly size: number;
}

/** SERVICE_UNAVAILABLE when what is read does not come within a while: NotYetThere when that is because it has not been sent. */
export function growingSource(caller: Caller, upload: Upload, waitMs = WAIT_MS): Source {
  return {
    size: upload.size,
    async read(start, end) {
      const over = new AbortController();
      const body = Readable.from(bytesOf(caller, upload, { start, end }, { over: over.signal, waitMs }));
      // A generator ends only after what it waits for, and its stream after it: so the waiting ends first.
      const destroy = body.destroy.bind(body);
      body.destroy = (error) => {
        over.abort();
        return destroy(error);
      };
      return body;
    },
  };
}

/** How far an upload has come, bytes. */
export async function offsetOf(caller: Caller, { upload, size }: Pick<Upload, "upload" | "size">): Promise<number> {
  return (await call(caller, uploads.pieces, { id: upload, at: size })).offset;
}

async function* bytesOf(
  caller: Caller,
  upload: Upload,
  { start, end }: { readonly start: number; readonly end: number },
  patience: Patience,
): AsyncGenerator<Uint8Array> {
  for (let at = start; at < end;) {
    const found = await whatIsThere(caller, upload, at, patience);
    const pieces = "blob" in found ? [{ start: 0, size: upload.size, blob: found.blob }] : found.pieces;
    for (const piece of pieces) {
      const stop = Math.min(end, piece.start + piece.size);
      if (stop > at) yield* await call(caller, storage.read, { blob: piece.blob, start: at - piece.start, end: stop - piece.start });
      at = Math.max(at, stop);
    }
  }
}

interface Patience {
  readonly over: AbortSignal;
  readonly waitMs: number;
}

type Found = { readonly pieces: readonly UploadPiece[] } | { readonly blob: string };

/** Pieces from a byte on, or the whole source where it has come. */
async function whatIsThere(caller: Caller, { upload, video }: Upload, at: number, { over, waitMs }: Patience): Promise<Found> {
  const deadline = performance.now() + waitMs;
  for (;;) {
    over.throwIfAborted();
    const { state, pieces } = await call(caller, uploads.pieces, { id: upload, at });
    if (pieces.length > 0) return { pieces };
    const source = state === "stored" ? await call(caller, videos.arrived, { id: video }) : null;
    if (source) return source;
    if (performance.now() >= deadline) throw lateness(state === "open", upload, at);
    await sleep(ASK_MS, undefined, { signal: over });
  }
}

/** Jobs begin when the index says that what they need is there, so an upload that is still open lacks only what lies behind that. */
function lateness(isOpen: boolean, upload: string, byte: number): Error {
  const message = `The byte ${byte} of the upload ${upload} has not come.`;
  return isOpen ? new NotYetThere(byte, message) : failure("SERVICE_UNAVAILABLE", message);
}
