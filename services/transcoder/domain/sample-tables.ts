/**
 * When the packets of an MP4 or QuickTime file come, told from its index (ISO/IEC 14496-12: `moov` with a sample table for each track) instead
 * of from the packets: a film of an hour has 2 GB of them and 4 MB of index. What is read here is what ffprobe would say of every packet; of
 * what this does not know (fragments, several edits, an index that promises more than the file holds) it says nothing, and the packets are read.
 */
import { BOX_HEADER, bodyOf, boxesIn, nameAt, viewOf } from "./boxes.ts";
import { Timeline, type Timelines } from "./timeline.ts";

/** Sixteen bytes at each box of the file: length and name, and where the length is 1, eight bytes more of it. */
export const BOX_HEAD_BYTES = 16;

/** Of one track: nine hours of 60 frames a second, which take half a second. A few bytes can promise four thousand millions. */
const SAMPLES_MAX = 2_000_000;

export interface FileBox {
  readonly name: string;
  /** Bytes, with its header; undefined for "to the end of the file". */
  readonly size: number | undefined;
}

/** The box that begins with these bytes; undefined where none can. */
export function fileBoxOf(head: Uint8Array): FileBox | undefined {
  if (head.length < BOX_HEADER) return undefined;
  const view = viewOf(head);
  const name = nameAt(head, 4);
  const size = view.getUint32(0);
  if (size === 0) return { name, size: undefined };
  if (size !== 1) return size < BOX_HEADER ? undefined : { name, size };
  const large = head.length < BOX_HEAD_BYTES ? 0 : Number(view.getBigUint64(BOX_HEADER));
  return large < BOX_HEAD_BYTES || !Number.isSafeInteger(large) ? undefined : { name, size: large };
}

/** The part of an index that is shown: from `start` on, `end` not included, in ticks of the media; `delay` ticks after the start of the whole. */
interface Edit {
  readonly start: number;
  readonly end: number;
  readonly delay: number;
}

interface Track {
  /** Ticks a second. */
  readonly timescale: number;
  readonly isSound: boolean;
  readonly table: Uint8Array;
  readonly edit: Edit;
}

interface WantedStream {
  /** ffmpeg counts its streams in the order of the tracks. */
  readonly index: number;
  /** What ffprobe told as its time base, in ticks a second: where the track has another one, it is not this stream. */
  readonly timescale: number;
}

/** From the body of the box `moov` of a file of `size` bytes. Undefined when the packets have to be read. */
export function timelinesIn(moov: Uint8Array, size: number, streams: readonly WantedStream[]): Timelines | undefined {
  if (bodyOf(moov, "mvex") || bodyOf(moov, "cmov")) return undefined;
  const traks = [...boxesIn(moov)].filter(([name]) => name === "trak").map(([, body]) => body);
  const timelines = new Map<number, Timeline>();
  for (const { index, timescale } of streams) {
    const track = traks[index] && trackOf(traks[index], fileScale(moov));
    if (!track || track.timescale !== timescale || !isWhole(track.table, size)) return undefined;
    const timeline = timelineOf(track);
    if (!timeline) return undefined;
    timelines.set(index, timeline);
  }
  return timelines;
}

function fileScale(moov: Uint8Array): number {
  return scaleIn(bodyOf(moov, "mvhd"));
}

/** `mvhd` and `mdhd` begin alike: version and flags, two dates, the time scale. Dates have 4 bytes in version 0, 8 in version 1. */
function scaleIn(body: Uint8Array | undefined): number {
  const offset = body?.[0] === 1 ? 20 : 12;
  return body && body.length >= offset + 4 ? viewOf(body).getUint32(offset) : 0;
}

function trackOf(trak: Uint8Array, whole: number): Track | undefined {
  const mdia = bodyOf(trak, "mdia");
  const handler = mdia && bodyOf(mdia, "hdlr");
  const table = mdia && bodyOf(mdia, "minf", "stbl");
  const timescale = scaleIn(mdia && bodyOf(mdia, "mdhd"));
  const edit = editOf(bodyOf(trak, "edts", "elst"), timescale / whole);
  if (!handler || handler.length < 12 || !table || timescale === 0 || whole === 0 || !edit) return undefined;
  return { timescale, isSound: nameAt(handler, 8) === "soun", table, edit };
}

/** At most one empty edit, which delays, and one real one. `ticks` of the media are one of the whole. */
function editOf(elst: Uint8Array | undefined, ticks: number): Edit | undefined {
  const edits = elst ? [...editsIn(elst)] : [];
  const delay = edits[0]?.start === -1 ? edits.shift() : undefined;
  const [shown, ...more] = edits;
  if (more.length > 0 || (shown && (shown.start < 0 || shown.duration === 0))) return undefined;
  const start = shown?.start ?? 0;
  return { start, end: shown ? start + Math.round(shown.duration * ticks) : Infinity, delay: Math.round((delay?.duration ?? 0) * ticks) };
}

function* editsIn(elst: Uint8Array): Generator<{ start: number; duration: number }> {
  const view = viewOf(elst);
  const long = elst[0] === 1;
  const bytes = long ? 20 : 12;
  const count = elst.length >= 8 ? view.getUint32(4) : 0;
  for (let at = 8, n = 0; n < count && at + bytes <= elst.length; n++, at += bytes) {
    yield long
      ? { duration: Number(view.getBigUint64(at)), start: Number(view.getBigInt64(at + 8)) }
      : { duration: view.getUint32(at), start: view.getInt32(at + 4) };
  }
}

/** Whether every sample of the track lies within the file: a copy that was cut off keeps its whole index. */
function isWhole(table: Uint8Array, size: number): boolean {
  let samples = 0;
  for (const end of sampleEnds(table)) {
    if (end > size) return false;
    samples += 1;
  }
  return samples > 0 && samples === sampleLengths(table)?.count;
}

/** Where each sample ends in the file, in order; fewer than there are samples where the chunks do not hold all of them. */
function* sampleEnds(table: Uint8Array): Generator<number> {
  const offsets = chunkOffsets(table);
  const lengths = sampleLengths(table);
  const runs = new Entries(bodyOf(table, "stsc"), 3);
  if (!lengths || runs.count === 0) return;
  for (let chunk = 0, run = 0, sample = 0; chunk < offsets.count; chunk++) {
    while (run + 1 < runs.count && runs.at(run + 1, 0) <= chunk + 1) run++;
    let end = offsets.of(chunk);
    for (const next = sample + runs.at(run, 1); sample < next && sample < lengths.count; sample++) {
      end += lengths.of(sample);
      yield end;
    }
  }
}

/** How many bytes of the file hold all of a stream that is decoded before a time, s from the start of the whole. */
export type Reach = (seconds: number) => number;

/** Of the stream of an index that `timelinesIn` has understood, which lasts for so many seconds. */
export function reachIn(moov: Uint8Array, index: number, seconds: number): Reach {
  const trak = [...boxesIn(moov)].filter(([name]) => name === "trak")[index]?.[1];
  const track = trak && trackOf(trak, fileScale(moov));
  const reach = Array.from({ length: Math.ceil(seconds) + 1 }, () => 0);
  const last = reach.length - 1;
  const second = (time: number): number => Math.min(Math.max(0, Math.ceil(time)), last);
  if (track) {
    const { table, edit, timescale } = track;
    const steps = new Runs(bodyOf(table, "stts"));
    let decoded = 0;
    for (const end of sampleEnds(table)) {
      const at = second((decoded - edit.start + edit.delay) / timescale);
      reach[at] = Math.max(reach[at] ?? 0, end);
      decoded += steps.next();
    }
  }
  let furthest = 0;
  const until = reach.map((end) => (furthest = Math.max(furthest, end)));
  return (time) => until[second(time)] ?? furthest;
}

interface Numbers {
  readonly count: number;
  of(index: number): number;
}

function chunkOffsets(table: Uint8Array): Numbers {
  const long = new Entries(bodyOf(table, "co64"), 2);
  if (long.count > 0) return { count: long.count, of: (chunk) => long.at(chunk, 0) * 2 ** 32 + long.at(chunk, 1) };
  const short = new Entries(bodyOf(table, "stco"), 1);
  return { count: short.count, of: (chunk) => short.at(chunk, 0) };
}

/** `stsz`: version and flags, one length for all or 0, the count, and then each length. */
function sampleLengths(table: Uint8Array): Numbers | undefined {
  const stsz = bodyOf(table, "stsz");
  if (!stsz || stsz.length < 12) return undefined;
  const view = viewOf(stsz);
  const same = view.getUint32(4);
  const count = view.getUint32(8);
  if (count > SAMPLES_MAX) return undefined;
  if (same === 0 && stsz.length < 12 + 4 * count) return undefined;
  return { count, of: (sample) => (same === 0 ? view.getUint32(12 + 4 * sample) : same) };
}

/** What ffprobe would say of each packet of the track; undefined where the tables contradict each other. */
function timelineOf({ table, edit, isSound }: Track): Timeline | undefined {
  const steps = new Runs(bodyOf(table, "stts"));
  const ctts = bodyOf(table, "ctts");
  const shifts = new Runs(ctts);
  const isKey = keyframesOf(bodyOf(table, "stss"));
  const count = sampleLengths(table)?.count ?? 0;
  if (count === 0 || steps.length !== count || (ctts && shifts.length !== count)) return undefined;
  const timeline = new Timeline();
  for (let sample = 1, decoded = 0; sample <= count; sample++) {
    const duration = steps.next();
    // Signed in version 1; files of version 0 hold negative ones, too, and ffmpeg reads them as such.
    const media = decoded + (shifts.next() | 0);
    const hidden = media >= edit.end || (isSound ? media + duration <= edit.start : media < edit.start);
    const key = isKey(sample);
    if (!hidden) timeline.add({ time: media - edit.start + edit.delay, decoded, duration, isKey: key });
    decoded += duration;
  }
  return timeline.packets > 0 ? timeline : undefined;
}

/** Asked for each sample in order. Without a list every sample is one. */
function keyframesOf(stss: Uint8Array | undefined): (sample: number) => boolean {
  const keys = new Entries(stss, 1);
  let next = 0;
  return (sample) => {
    if (!stss) return true;
    if (next >= keys.count || keys.at(next, 0) !== sample) return false;
    next += 1;
    return true;
  };
}

/** The values of a table that counts equal neighbours: [count, value] each. After its end, 0. */
class Runs {
  readonly length: number;
  readonly #entries: Entries;
  #entry = -1;
  #left = 0;

  constructor(body: Uint8Array | undefined) {
    this.#entries = new Entries(body, 2);
    let length = 0;
    for (let entry = 0; entry < this.#entries.count; entry++) length += this.#entries.at(entry, 0);
    this.length = length;
  }

  next(): number {
    while (this.#left === 0) {
      if (++this.#entry >= this.#entries.count) return 0;
      this.#left = this.#entries.at(this.#entry, 0);
    }
    this.#left -= 1;
    return this.#entries.at(this.#entry, 1);
  }
}

/** Version and flags, a count, then so many entries of `words` unsigned numbers of 4 bytes. A table may have millions: nothing is copied. */
class Entries {
  readonly count: number;
  readonly #view: DataView;
  readonly #words: number;

  constructor(body: Uint8Array | undefined, words: number) {
    this.#view = viewOf(body ?? new Uint8Array(0));
    this.#words = words;
    this.count = this.#view.byteLength < 8 ? 0 : Math.min(this.#view.getUint32(4), Math.floor((this.#view.byteLength - 8) / (4 * words)));
  }

  at(entry: number, word: number): number {
    return this.#view.getUint32(8 + 4 * (entry * this.#words + word));
  }
}
