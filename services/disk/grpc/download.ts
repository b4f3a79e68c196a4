/** Bytes of a chunk, from the medium to the caller. */
import { createHash } from "node:crypto";
import type { GetChunkResponse } from "../../../proto/gen/tritontube/disk/v1/disk.ts";
import { failure } from "../../kernel/errors.ts";
import { MESSAGE_BYTES } from "../../kernel/limits.ts";
import { isWhole, type Range } from "../domain/chunk.ts";
import type { StoredChunk } from "../files/stored.ts";
import type { Frame, Frames } from "./frames.ts";

type Send = (message: GetChunkResponse) => Promise<void>;

/**
 * Sends a range of a chunk. While one message is on its way the next is read: two frames are all that a reader costs, however slow it is.
 * A whole chunk is hashed as it flows: CHUNK_CORRUPT at its end when it is not what its name says.
 */
export async function sendBytes(chunk: StoredChunk, range: Range, send: Send, frames: Frames): Promise<void> {
  const hash = isWhole(range, chunk.size) ? createHash("sha256") : undefined;
  const held: Frame[] = [];
  const sent: Promise<void>[] = [];
  for (let at = range.start, turn = 0; at < range.end; at += MESSAGE_BYTES, turn ^= 1) {
    await sent[turn];
    const frame = (held[turn] ??= frames.take());
    const message = frame.data(Math.min(MESSAGE_BYTES, range.end - at));
    await chunk.read(message.part.value, at);
    hash?.update(message.part.value);
    const sending = send(message);
    // It may fail while the next message is being read; it is awaited after that.
    sending.catch(() => undefined);
    sent[turn] = sending;
  }
  await Promise.all(sent);
  // Not after a failure: then a write may still be reading from them.
  for (const frame of held) frames.give(frame);
  if (hash && hash.digest("hex") !== chunk.hash) throw failure("CHUNK_CORRUPT", `The file of chunk ${chunk.hash} holds other bytes.`);
}
