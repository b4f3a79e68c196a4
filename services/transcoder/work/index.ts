/** Finds the index of an MP4 among its boxes, and reads nothing else. */
import type { Readable } from "node:stream";
import { BOX_HEADER } from "../domain/boxes.ts";
import type { Candidate } from "../domain/probe.ts";
import { BOX_HEAD_BYTES, fileBoxOf, timelinesIn } from "../domain/sample-tables.ts";
import type { Timelines } from "../domain/timeline.ts";

/** An MP4 has a handful of boxes; what a camera or an attacker adds is not followed for ever. */
const BOXES_MAX = 64;
/** Twelve hours of 60 frames a second with sound. Held in memory while it is read, once in each slot for light work. */
const INDEX_BYTES_MAX = 64 * 1024 * 1024;

/** Bytes start (inclusive) to end (exclusive) of the source. */
type Read = (start: number, end: number) => Promise<Readable>;

/** When the packets of the chosen streams come; undefined where there is no index, or none that is understood and whole. */
export async function readIndex({ demuxer, picture, sound }: Candidate, size: number, read: Read): Promise<Timelines | undefined> {
  if (demuxer !== "mov") return undefined;
  const streams = [picture, ...(sound ? [sound] : [])].map(({ index, time_base = "" }) => ({
    index,
    timescale: Number(time_base.split("/")[1]),
  }));
  for (let at = 0, boxes = 0; at < size && boxes < BOXES_MAX; boxes++) {
    const box = fileBoxOf(await joined(await read(at, Math.min(at + BOX_HEAD_BYTES, size))));
    if (!box || box.name === "moof") return undefined;
    const end = box.size === undefined ? size : at + box.size;
    if (box.name === "moov")
      return end - at > INDEX_BYTES_MAX
        ? undefined
        : timelinesIn(await joined(await read(at + BOX_HEADER, Math.min(end, size))), size, streams);
    at = end;
  }
  return undefined;
}

export async function joined(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}
