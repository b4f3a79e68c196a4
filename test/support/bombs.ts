/** Files that somebody made by hand, byte by byte, to do harm: no muxer writes them. */
import { randomFrom } from "../../services/ring/domain/random.ts";

/** A box of MP4 and QuickTime (ISO/IEC 14496-12). */
function box(name: string, ...content: readonly Uint8Array[]): Buffer<ArrayBuffer> {
  const body = Buffer.concat(content);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(8 + body.length);
  head.write(name, 4, "latin1");
  return Buffer.concat([head, body]);
}

const text = (words: string): Buffer => Buffer.from(words, "latin1");
const numbers = (...values: readonly number[]): Buffer => {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, index) => bytes.writeUInt32BE(value, 4 * index));
  return bytes;
};

/** A reference movie of QuickTime: nothing but the address of another film. */
export function pointingAt(address: string): Buffer {
  const reference = box("rdrf", numbers(0), text("url "), numbers(address.length), text(address));
  return Buffer.concat([box("ftyp", text("qt  "), numbers(0), text("qt  ")), box("moov", box("rmra", box("rmda", reference)))]);
}

/** Boxes in boxes in boxes: who reads them by calling himself needs a stack as deep. */
export function nested(depth: number): Buffer {
  const heads = Buffer.alloc(8 * depth);
  for (let level = 0; level < depth; level++) {
    heads.writeUInt32BE(8 * (depth - level), 8 * level);
    heads.write(level === 0 ? "moov" : "trak", 8 * level + 4, "latin1");
  }
  return Buffer.concat([box("ftyp", text("isom"), numbers(0), text("isom")), heads]);
}

/** A film whose frames are to be read from another file: the data reference of its track says that they are not in this one. */
export function elsewhere(film: Uint8Array, path: string): Buffer {
  const bytes = Buffer.from(film);
  const at = bytes.indexOf("dref", 0, "latin1");
  if (at < 0) throw new Error("The film has no data reference.");
  // Behind the name: version and flags, the number of entries, the first entry's size and name, and its flag "in this file" (8.7.2).
  bytes.writeUInt32BE(0, at + 4 + 8 + 8);
  return Buffer.concat([bytes, box("free", text(path))]);
}

/** Replaces the 32 bits at `offset` behind each name of a box. */
export function claiming(film: Uint8Array, name: string, offset: number, value: number): Buffer {
  const bytes = Buffer.from(film);
  for (let at = bytes.indexOf(name, 0, "latin1"); at >= 0; at = bytes.indexOf(name, at + 4, "latin1")) {
    bytes.writeUInt32BE(value, at + 4 + offset);
  }
  return bytes;
}

/** JPEG pictures that say they have 65,500 × 65,500 pixels, in an AVI that says so, too. */
export function vast(avi: Uint8Array): Buffer {
  const bytes = Buffer.from(avi);
  // Start of frame: marker, length, precision, height, width (ITU-T T.81, B.2.2).
  for (let at = bytes.indexOf("ffc0", 0, "hex"); at >= 0; at = bytes.indexOf("ffc0", at + 2, "hex")) {
    bytes.writeUInt16BE(65_500, at + 5);
    bytes.writeUInt16BE(65_500, at + 7);
  }
  return bytes;
}

/** Packets of a transport stream, each of which begins another table. */
export function tables(packets: number): Buffer {
  const random = randomFrom("tables");
  const bytes = Buffer.from(Uint8Array.from({ length: 188 * packets }, () => Math.floor(random() * 256)));
  for (let packet = 0; packet < packets; packet++) bytes.set([0x47, 0x40, packet % 32, 0x10, 0, packet % 3], 188 * packet);
  return bytes;
}

/** The same in which every so many bytes one is another; where the index or the head stands, most often. */
export function fuzzed(film: Uint8Array, seed: string, share: number): Buffer {
  const random = randomFrom(seed);
  const bytes = Buffer.from(film);
  for (let flips = Math.ceil(bytes.length * share); flips > 0; flips--) {
    // Not in the first bytes, which say what kind of file it is.
    bytes[8 + Math.floor(random() ** 2 * (bytes.length - 8))] = Math.floor(random() * 256);
  }
  return bytes;
}
