/** Bytes of a chunk, from the medium to the caller. What is sent is verified first; what is sent whole, with its last byte. */
import { createHash } from "node:crypto";
import { BLOCK_BYTES, BlockSums } from "../../../proto/blocks.ts";
import type { GetChunkResponse } from "../../../proto/gen/tritontube/disk/v1/disk.ts";
import { failure } from "../../kernel/errors.ts";
import { MESSAGE_BYTES } from "../../kernel/limits.ts";
import type { Range } from "../domain/chunk.ts";
import type { StoredChunk } from "../files/stored.ts";
import type { Frame, FramedData, Frames } from "./frames.ts";

type Send = (message: GetChunkResponse) => Promise<void>;
/** Told of the bytes in their order, before they are sent. Throws CHUNK_CORRUPT. */
type Verify = (bytes: Buffer) => void;

/** A whole chunk, hashed as it flows: CHUNK_CORRUPT at its end when it is not what its name says. */
export async function sendWhole(chunk: StoredChunk, send: Send, frames: Frames): Promise<void> {
  const hash = createHash("sha256");
  await sendFrames(chunk, { start: 0, end: chunk.size }, { send, frames, verify: (bytes) => void hash.update(bytes) });
  if (hash.digest("hex") !== chunk.hash) throw failure("CHUNK_CORRUPT", `The file of chunk ${chunk.hash} holds other bytes.`);
}

/** A part of a chunk. Nothing is sent that does not have the sums of its blocks. CHUNK_CORRUPT. */
export async function sendPart(chunk: StoredChunk, part: Range & { readonly sums: readonly number[] }, to: { send: Send; frames: Frames }) {
  const found = new BlockSums(part.start);
  let compared = 0;
  let sent = part.start;
  const verify = (bytes: Buffer): void => {
    found.update(bytes);
    sent += bytes.length;
    // Frames end where blocks do, and the last one where the part does.
    const sums = sent === part.end ? found.end() : found.complete;
    for (; compared < sums.length; compared += 1) {
      if (sums[compared] !== part.sums[compared]) throw failure("CHUNK_CORRUPT", `A block of chunk ${chunk.hash} is not what it was.`);
    }
  };
  await sendFrames(chunk, part, { ...to, verify });
}

/** What fits into one frame, read into it and verified: by its sums, or as a whole by its name. CHUNK_CORRUPT. */
export async function readPiece(chunk: StoredChunk, part: Range & { readonly sums?: readonly number[] }, frame: Frame): Promise<Buffer> {
  const data = frame.bytes(part.end - part.start);
  await chunk.read(data, part.start);
  const isGood = part.sums ? equal(sumsOf(data, part.start), part.sums) : createHash("sha256").update(data).digest("hex") === chunk.hash;
  if (!isGood) throw failure("CHUNK_CORRUPT", `The file of chunk ${chunk.hash} holds other bytes.`);
  return data;
}

function sumsOf(data: Buffer, start: number): readonly number[] {
  const found = new BlockSums(start);
  found.update(data);
  return found.end();
}

function equal(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((sum, index) => sum === b[index]);
}

/** While one message is verified and on its way the next is read: two frames are all that a reader costs, however slow it is. */
async function sendFrames(chunk: StoredChunk, range: Range, { send, frames, verify }: { send: Send; frames: Frames; verify: Verify }) {
  const held: Frame[] = [];
  const sent: Promise<void>[] = [];
  const read = async (at: number, turn: number): Promise<FramedData> => {
    await sent[turn];
    const end = Math.min(at - (at % BLOCK_BYTES) + MESSAGE_BYTES, range.end);
    const message = (held[turn] ??= frames.take()).data(end - at);
    await chunk.read(message.part.value, at);
    return message;
  };
  let coming = unheard(read(range.start, 0));
  try {
    for (let at = range.start, turn = 0; at < range.end; turn ^= 1) {
      const message = await coming;
      at += message.part.value.length;
      if (at < range.end) coming = unheard(read(at, turn ^ 1));
      verify(message.part.value);
      sent[turn] = unheard(send(message));
    }
    await Promise.all(sent);
  } finally {
    // The caller closes the file: a read under way would be of whatever gets its number.
    await coming.catch(() => undefined);
  }
  // Not after a failure: then a write may still be reading from them.
  for (const frame of held) frames.give(frame);
}

/** It may fail before it is awaited. */
function unheard<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}
