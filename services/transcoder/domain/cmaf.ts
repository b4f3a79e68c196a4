/**
 * Cuts what ffmpeg's MP4 muxer writes into CMAF (ISO/IEC 23000-19) while it streams: one initialisation (`ftyp moov`), then for each `moof mdat`
 * a segment. Each span is encoded as if it were the whole video, so its segments are moved to their place here: ffmpeg's own offset ends up in
 * the edit list (dash and hls muxers) or needs other flags in other versions.
 */
import { failure } from "../../kernel/errors.ts";
import { BOX_HEADER, bodyOf, boxesIn, codecOf, nameAt, viewOf } from "./boxes.ts";
import type { Rate } from "./rate.ts";

export interface Init {
  readonly kind: "init";
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Ticks a second. */
  readonly timescale: number;
  readonly codecs: string;
}

export interface Segment {
  readonly kind: "segment";
  /** From 1, over the whole rendition. */
  readonly number: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** In ticks. */
  readonly start: number;
  readonly duration: number;
  readonly samples: number;
}

/** Where a span begins: `frame` frames of `rate` into the video, with segment number `segment`. */
export interface Position {
  readonly segment: number;
  readonly frame: number;
  readonly rate: Rate;
}

const KiB = 1024;
const MiB = 1024 * KiB;
/** Most bytes of each box. Ours have 1 KB, 8 KB (8 bytes a frame) and 2.5 MB; ffmpeg's memory is at the mercy of the source, ours is not. */
const BOX_BYTES_MAX: Readonly<Record<string, number>> = { ftyp: KiB, moov: 64 * KiB, moof: MiB, mdat: 32 * MiB };
/** What may follow each box. */
const ORDER: Readonly<Record<string, string>> = { "": "ftyp", ftyp: "moov", moov: "moof", moof: "mdat", mdat: "moof" };

/** A media segment that begins with a keyframe and may be played alone: major brand msdh, compatible with msdh and msix. */
const STYP = Uint8Array.of(0, 0, 0, 24, ...ascii("styp"), ...ascii("msdh"), 0, 0, 0, 0, ...ascii("msdh"), ...ascii("msix"));

/** One rendition of one span. Feed it with `push`, in cuts of any size; call `end` after the last. Both throw TRANSCODE_FAILED. */
export class CmafSplitter {
  readonly #position: Position;
  readonly #header = new Uint8Array(BOX_HEADER);
  #headerBytes = 0;
  /** The box that is being filled; empty between boxes. */
  #box = new Uint8Array(0);
  #boxBytes = 0;
  #previous = "";
  #ftyp = new Uint8Array(0);
  #moof = new Uint8Array(0);
  #init: Init | undefined;
  #sampleDuration = 0;
  #segments = 0;
  #offset = 0n;
  #next = 0n;

  constructor(position: Position) {
    this.#position = position;
  }

  push(bytes: Uint8Array): (Init | Segment)[] {
    const parts: (Init | Segment)[] = [];
    for (let at = 0; at < bytes.length;) {
      at += this.#box.length === 0 ? this.#fillHeader(bytes.subarray(at)) : this.#fillBox(bytes.subarray(at));
      if (this.#box.length === 0 || this.#boxBytes < this.#box.length) continue;
      const part = this.#complete(this.#box);
      if (part) parts.push(part);
      this.#box = new Uint8Array(0);
    }
    return parts;
  }

  end(): void {
    const whole = this.#headerBytes === 0 && this.#box.length === 0 && this.#previous !== "ftyp" && this.#previous !== "moof";
    if (!whole) throw broken(`the output ended inside of a box after ${this.#segments} segments`);
  }

  #fillHeader(bytes: Uint8Array): number {
    const taken = bytes.subarray(0, BOX_HEADER - this.#headerBytes);
    this.#header.set(taken, this.#headerBytes);
    this.#headerBytes += taken.length;
    if (this.#headerBytes === BOX_HEADER) this.#open();
    return taken.length;
  }

  #open(): void {
    const size = viewOf(this.#header).getUint32(0);
    const name = nameAt(this.#header, 4);
    if (ORDER[this.#previous] !== name) throw broken(`a box named ${JSON.stringify(name)} stands after "${this.#previous}"`);
    if (size <= BOX_HEADER || size > (BOX_BYTES_MAX[name] ?? 0)) throw broken(`a box ${name} of ${size} bytes`);
    this.#box = new Uint8Array(size);
    this.#box.set(this.#header);
    this.#boxBytes = BOX_HEADER;
    this.#headerBytes = 0;
    this.#previous = name;
  }

  #fillBox(bytes: Uint8Array): number {
    const taken = bytes.subarray(0, this.#box.length - this.#boxBytes);
    this.#box.set(taken, this.#boxBytes);
    this.#boxBytes += taken.length;
    return taken.length;
  }

  #complete(box: Uint8Array<ArrayBuffer>): Init | Segment | undefined {
    if (this.#previous === "moov") return this.#makeInit(box);
    if (this.#previous === "mdat") return this.#makeSegment(box);
    if (this.#previous === "ftyp") this.#ftyp = box;
    else this.#moof = box;
    return undefined;
  }

  #makeInit(moov: Uint8Array): Init {
    const body = moov.subarray(BOX_HEADER);
    const mdhd = bodyOf(body, "trak", "mdia", "mdhd");
    const trex = bodyOf(body, "mvex", "trex");
    const codecs = codecOf(body);
    if (!mdhd || mdhd.length < 24 || !trex || !codecs) throw broken("an initialisation without a time scale or a known codec");
    // Version 0 has times of 4 bytes, version 1 of 8.
    const timescale = viewOf(mdhd).getUint32(mdhd[0] === 1 ? 20 : 12);
    const { frame, rate } = this.#position;
    const ticks = BigInt(frame) * BigInt(timescale) * BigInt(rate[1]);
    if (timescale === 0 || ticks % BigInt(rate[0]) !== 0n)
      throw broken(`a time scale of ${timescale}, in which frame ${frame} has no place`);
    this.#offset = ticks / BigInt(rate[0]);
    this.#next = this.#offset;
    this.#sampleDuration = viewOf(trex).getUint32(12);
    this.#init = { kind: "init", bytes: joined(this.#ftyp, moov), timescale, codecs };
    return this.#init;
  }

  #makeSegment(mdat: Uint8Array): Segment {
    const { duration, samples } = this.#moveFragment(this.#moof.subarray(BOX_HEADER));
    const start = Number(this.#next);
    this.#next += BigInt(duration);
    this.#segments += 1;
    const number = this.#position.segment + this.#segments - 1;
    return { kind: "segment", number, bytes: joined(STYP, this.#moof, mdat), start, duration, samples };
  }

  /** Gives the fragment its number and its time, in place. Answers how long it is. */
  #moveFragment(moof: Uint8Array): { duration: number; samples: number } {
    const mfhd = bodyOf(moof, "mfhd");
    const traf = bodyOf(moof, "traf");
    const tfdt = traf && bodyOf(traf, "tfdt");
    if (!mfhd || !traf || !tfdt || mfhd.length < 8 || tfdt.length < 12 || tfdt[0] !== 1) throw broken("a fragment without its time");
    viewOf(mfhd).setUint32(4, this.#position.segment + this.#segments);
    const start = viewOf(tfdt).getBigUint64(4) + this.#offset;
    if (start !== this.#next) throw broken(`a fragment that starts at ${start} where the one before ended at ${this.#next}`);
    viewOf(tfdt).setBigUint64(4, start);
    return lengthOf(traf, this.#sampleDuration);
  }
}

/** Sum of the sample durations: each in its `trun`, or the default of the fragment (`tfhd`), or that of the track (`trex`). */
function lengthOf(traf: Uint8Array, trackDefault: number): { duration: number; samples: number } {
  const fallback = fragmentDefault(bodyOf(traf, "tfhd")) ?? trackDefault;
  const runs = [...boxesIn(traf)].filter(([name]) => name === "trun").map(([, body]) => runLength(body, fallback));
  const samples = runs.reduce((sum, run) => sum + run.samples, 0);
  const duration = runs.reduce((sum, run) => sum + run.duration, 0);
  if (samples === 0 || duration === 0) throw broken("a fragment without samples");
  return { duration, samples };
}

/** `tfhd`: flags, track, then of data offset (8 bytes), description (4) and duration (4) those that the flags name. */
function fragmentDefault(tfhd: Uint8Array | undefined): number | undefined {
  if (!tfhd) return undefined;
  const view = viewOf(tfhd);
  const flags = view.getUint32(0);
  const offset = 8 + (flags & 0x1 ? 8 : 0) + (flags & 0x2 ? 4 : 0);
  return flags & 0x8 && offset + 4 <= tfhd.length ? view.getUint32(offset) : undefined;
}

/** `trun`: flags, count, then data offset and first flags (4 bytes each) if named, then for each sample what the flags name. */
function runLength(trun: Uint8Array, fallback: number): { duration: number; samples: number } {
  const view = viewOf(trun);
  const flags = view.getUint32(0);
  const samples = view.getUint32(4);
  const first = 8 + (flags & 0x1 ? 4 : 0) + (flags & 0x4 ? 4 : 0);
  const step = [0x100, 0x200, 0x400, 0x800].filter((flag) => flags & flag).length * 4;
  if (first + samples * step > trun.length) throw broken("a run of samples that is longer than its box");
  if (!(flags & 0x100)) return { samples, duration: samples * fallback };
  return { samples, duration: Array.from({ length: samples }, (_, n) => view.getUint32(first + n * step)).reduce((a, b) => a + b, 0) };
}

function joined(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

function ascii(text: string): number[] {
  return Array.from(text, (letter) => letter.charCodeAt(0));
}

const broken = (what: string) => failure("TRANSCODE_FAILED", `The converter wrote what is not a CMAF stream: ${what}.`);
