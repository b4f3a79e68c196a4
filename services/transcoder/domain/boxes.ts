/** Boxes of ISO base media files (ISO/IEC 14496-12): a length of 4 bytes, a name of 4, a body. */

/** Bytes of a box's header, and of what stands in front of the boxes inside of a box that has such. */
export const BOX_HEADER = 8;
const PREAMBLE: Readonly<Record<string, number>> = { stsd: 8, avc1: 78, mp4a: 28 };

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function nameAt(bytes: Uint8Array, offset: number): string {
  return String.fromCharCode(...bytes.subarray(offset, offset + 4));
}

/** The body of the first box at this path, beginning with the boxes in `bytes`; undefined where there is none. */
export function bodyOf(bytes: Uint8Array, ...path: string[]): Uint8Array | undefined {
  const [name, ...rest] = path;
  if (name === undefined) return bytes;
  for (const [found, body] of boxesIn(bytes)) {
    if (found === name) return bodyOf(rest.length > 0 ? body.subarray(PREAMBLE[name] ?? 0) : body, ...rest);
  }
  return undefined;
}

/** Names and bodies. Ends at the first length that does not fit. */
export function* boxesIn(bytes: Uint8Array): Generator<[name: string, body: Uint8Array]> {
  const view = viewOf(bytes);
  let offset = 0;
  while (offset + BOX_HEADER <= bytes.length) {
    const size = view.getUint32(offset);
    if (size < BOX_HEADER || offset + size > bytes.length) return;
    yield [nameAt(bytes, offset + 4), bytes.subarray(offset + BOX_HEADER, offset + size)];
    offset += size;
  }
}

/** RFC 6381 name of the codec in a `moov` body: "avc1.64001f", "mp4a.40.2"; undefined for any other. */
export function codecOf(moov: Uint8Array): string | undefined {
  const description = (...path: string[]) => bodyOf(moov, "trak", "mdia", "minf", "stbl", "stsd", ...path);
  const avcC = description("avc1", "avcC");
  if (avcC && avcC.length >= 4) return `avc1.${Array.from(avcC.subarray(1, 4), hex).join("")}`;
  const esds = description("mp4a", "esds");
  return esds ? audioCodec(esds.subarray(4)) : undefined;
}

const hex = (byte: number): string => byte.toString(16).padStart(2, "0");

/** Descriptors inside of each other (ISO/IEC 14496-1): 3 the stream, 4 its decoder, 5 what only this codec knows. */
function audioCodec(bytes: Uint8Array): string | undefined {
  const stream = descriptor(bytes, 3);
  const decoder = stream && descriptor(stream.subarray(3), 4);
  const specific = decoder && descriptor(decoder.subarray(13), 5);
  if (!decoder?.[0] || !specific?.[0]) return undefined;
  return `mp4a.${hex(decoder[0])}.${specific[0] >> 3}`;
}

/** The body of the descriptor at the start, if it has this tag. Its length has 7 bits in each byte, and more follow while the eighth is set. */
function descriptor(bytes: Uint8Array, tag: number): Uint8Array | undefined {
  if (bytes[0] !== tag) return undefined;
  let length = 0;
  let offset = 1;
  for (; offset <= 4; offset++) {
    const byte = bytes[offset] ?? 0;
    length = length * 128 + (byte & 0x7f);
    if (byte < 0x80) break;
  }
  return bytes.subarray(offset + 1, offset + 1 + length);
}
