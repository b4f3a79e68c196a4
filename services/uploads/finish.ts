/** From the parts of an upload to the source of its video. */
import { Readable } from "node:stream";
import type { WithDatabase } from "../../mixins/database/database.mixin.ts";
import { blobs } from "../blobs/contract.ts";
import { errorType } from "../kernel/errors.ts";
import { call, type Caller } from "../kernel/rpc.ts";
import { storage, type StoredBlob } from "../storage/contract.ts";
import { videos } from "../videos/contract.ts";
import type { Upload } from "./contract.ts";
import { joinPlan, type Piece, type Run } from "./domain/upload.ts";
import { find, markStored, partsOf } from "./store/uploads.ts";

/** Each step bears repetition: whatever ends this process, the job comes back. Answers the upload when its video has the bytes now. */
export async function finishUpload({ db, broker }: WithDatabase, id: string, signal: AbortSignal): Promise<Upload | undefined> {
  const upload = await find(db, id).catch(unless("UPLOAD_NOT_FOUND"));
  if (upload?.state !== "complete" || upload.video === null) return undefined;
  await makeSource(broker, upload.video, await partsOf(db, id), signal).catch(unless("VIDEO_NOT_FOUND"));
  return await markStored(db, id);
}

/** VIDEO_NOT_FOUND: who purged the video wants none of it, and what cannot be joined is not tried for ever for nobody. */
async function makeSource(caller: Caller, video: string, pieces: readonly Piece[], signal: AbortSignal): Promise<void> {
  await call(caller, videos.arrived, { id: video });
  const source = await joinPieces(caller, pieces, signal);
  await call(caller, videos.arrive, { id: video, source });
}

/** Nothing in place of one failure that changes nothing here. */
function unless(type: string): (error: unknown) => undefined {
  return (error) => {
    if (errorType(error) !== type) throw error;
  };
}

/**
 * The blob of all pieces. What begins and ends with a chunk is taken as it is; only what does not is read and written again. Repeated, it is the same blob.
 * Whoever calls keeps the pieces until something refers to the blob.
 */
async function joinPieces(caller: Caller, pieces: readonly Piece[], signal: AbortSignal): Promise<StoredBlob> {
  const names: string[] = [];
  for (const run of joinPlan(pieces)) {
    if (run.copied) names.push((await copy(caller, run, signal)).blob);
    else names.push(...run.pieces.map(({ blob }) => blob));
  }
  return await concat(caller, names);
}

/** What one call may join; a whole upload has up to 6,400 pieces, and pieces of pieces are whole chunks too. */
const JOINED_AT_ONCE = 1000;

async function concat(caller: Caller, parts: readonly string[]): Promise<StoredBlob> {
  if (parts.length <= JOINED_AT_ONCE) return await call(caller, blobs.concat, { parts: [...parts] });
  const whole: string[] = [];
  for (let at = 0; at < parts.length; at += JOINED_AT_ONCE) {
    whole.push((await concat(caller, parts.slice(at, at + JOINED_AT_ONCE))).blob);
  }
  return await concat(caller, whole);
}

async function copy(caller: Caller, { pieces }: Run<Piece>, signal: AbortSignal): Promise<StoredBlob> {
  const maxBytes = pieces.reduce((sum, { size }) => sum + size, 0);
  const stream = Readable.from(bytesOf(caller, pieces), { objectMode: false });
  const end = (): void => void stream.destroy(signal.reason as Error);
  signal.addEventListener("abort", end);
  try {
    signal.throwIfAborted();
    return await call(caller, storage.write, { maxBytes }, { stream });
  } finally {
    signal.removeEventListener("abort", end);
  }
}

async function* bytesOf(caller: Caller, pieces: readonly Piece[]): AsyncGenerator<Uint8Array> {
  for (const { blob } of pieces) yield* (await call(caller, storage.read, { blob })) as AsyncIterable<Uint8Array>;
}
