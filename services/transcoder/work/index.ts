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
export async function readIndex(candidate: Candidate, size: number, read: Read): Promise<Timelines | undefined> {
  if (candidate.demuxer !== "mov") return undefined;
  for await (const box of boxesOf(size, read, 0)) {
    if (box.name === "moof") return undefined;
    if (box.name !== "moov") continue;
    const moov = await bodyOf(box, read);
    return moov && timelinesOf(candidate, moov, size);
  }
  return undefined;
}

/**
 * The body of an index that stands before all that it tells of, with nothing behind that: such a file can be read from its start to its end. Bytes that come
 * later than the index are not asked for.
 */
export async function indexInFront(size: number, read: Read): Promise<Uint8Array | undefined> {
  for await (const box of boxesOf(size, read, 0)) {
    if (box.name === "moof" || box.name === "mdat") return undefined;
    if (box.name === "moov") return (await onlyMediaFollows(size, read, box.end)) ? await bodyOf(box, read) : undefined;
  }
  return undefined;
}

export function timelinesOf({ picture, sound }: Candidate, moov: Uint8Array, size: number): Timelines | undefined {
  const streams = [picture, ...(sound ? [sound] : [])].map(({ index, time_base = "" }) => ({
    index,
    timescale: Number(time_base.split("/")[1]),
  }));
  return timelinesIn(moov, size, streams);
}

interface Box {
  readonly name: string;
  readonly at: number;
  readonly end: number;
}

async function bodyOf({ at, end }: Box, read: Read): Promise<Uint8Array | undefined> {
  return end - at > INDEX_BYTES_MAX ? undefined : await joined(await read(at + BOX_HEADER, end));
}

/** What encoders leave free, and then the media to the last byte. */
async function onlyMediaFollows(size: number, read: Read, from: number): Promise<boolean> {
  for await (const { name, end } of boxesOf(size, read, from)) {
    if (name === "mdat") return end === size;
    if (!["free", "skip", "wide"].includes(name)) return false;
  }
  return false;
}

async function* boxesOf(size: number, read: Read, from: number): AsyncGenerator<Box> {
  for (let at = from, boxes = 0; at < size && boxes < BOXES_MAX; boxes++) {
    const box = fileBoxOf(await joined(await read(at, Math.min(at + BOX_HEAD_BYTES, size))));
    if (!box) return;
    const end = box.size === undefined ? size : Math.min(at + box.size, size);
    yield { name: box.name, at, end };
    at = end;
  }
}

export async function joined(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}
