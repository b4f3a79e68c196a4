/** Says by its first bytes what a source is. The name and the type that came with the upload are claims, and are not asked. */
import { failure, type ErrorType } from "../../kernel/errors.ts";
import type { Demuxer } from "./whitelist.ts";

/** More than enough for five packets of a transport stream, and one read from the disks. */
export const HEAD_BYTES = 64 * 1024;

const TS_PACKET_BYTES = 188;
/** Chance makes five sync bytes in a row once in 10^12 files. */
const TS_PACKETS = 5;

/** Boxes that an MP4 or QuickTime file may begin with. */
const MOV_BOXES = new Set(["ftyp", "moov", "mdat", "wide", "free", "skip", "pnot"]);

type Verdict = Demuxer | { readonly type: ErrorType; readonly message: string };

const convert = "Convert it to MP4, MOV, MKV or WebM and upload that.";
const notMedia = (what: string): Verdict => ({
  type: "SOURCE_NOT_MEDIA",
  message: `This is ${what}, not a video. Upload the video itself.`,
});
const unsupported = (what: string): Verdict => ({
  type: "SOURCE_UNSUPPORTED",
  message: `This is ${what}, which is not processed here. ${convert}`,
});
const soundOnly = (what: string): Verdict => ({
  type: "SOURCE_WITHOUT_PICTURE",
  message: `This is ${what}: sound without a picture. Upload a video with a picture track.`,
});

/** Magic numbers in Latin-1, at an offset; the first that matches decides. */
const MAGIC: readonly (readonly [offset: number, magic: string, verdict: Verdict])[] = [
  [0, "\x1aE\xdf\xa3", "matroska"],
  [0, "FLV\x01", "flv"],
  [0, "OggS", "ogg"],
  [8, "AVI ", "avi"],
  [8, "WAVE", soundOnly("a WAV file")],
  [8, "WEBP", notMedia("a WebP picture")],
  [0, "ID3", soundOnly("an MP3 file")],
  [0, "fLaC", soundOnly("a FLAC file")],
  [0, "\xff\xd8\xff", notMedia("a JPEG picture")],
  [0, "\x89PNG", notMedia("a PNG picture")],
  [0, "GIF8", notMedia("a GIF picture")],
  [0, "%PDF", notMedia("a PDF document")],
  [0, "PK\x03\x04", notMedia("a ZIP archive")],
  [0, "\x30\x26\xb2\x75", unsupported("a Windows Media file")],
  [0, "\x00\x00\x01\xba", unsupported("an MPEG program stream")],
  [0, "#EXTM3U", notMedia("a playlist, which only names other files")],
  [0, "ffconcat", notMedia("a playlist, which only names other files")],
  [0, "<", notMedia("a text file with markup, such as a web page or a DASH manifest")],
];

/** The demuxer for a source that begins with these bytes. Throws SOURCE_NOT_MEDIA, SOURCE_UNSUPPORTED or SOURCE_WITHOUT_PICTURE. */
export function sniff(head: Uint8Array): Demuxer {
  const verdict = verdictOn(head);
  if (typeof verdict === "string") return verdict;
  throw failure(verdict.type, verdict.message);
}

function verdictOn(head: Uint8Array): Verdict {
  const text = Buffer.from(head.buffer, head.byteOffset, head.byteLength).toString("latin1");
  if (MOV_BOXES.has(text.slice(4, 8))) return "mov";
  if (isTransportStream(head)) return "mpegts";
  const known = MAGIC.find(([offset, magic]) => text.startsWith(magic, offset));
  if (known) return known[2];
  if (!text.slice(0, 512).includes("\0")) return notMedia("a text file");
  return { type: "SOURCE_NOT_MEDIA", message: `This is not a video of a known kind. ${convert}` };
}

/** Packets of 188 bytes that begin with 0x47, also behind the four bytes of time that Blu-ray puts in front of each. */
function isTransportStream(head: Uint8Array): boolean {
  const layouts = [
    { first: 0, step: TS_PACKET_BYTES },
    { first: 4, step: TS_PACKET_BYTES + 4 },
  ];
  return layouts.some(({ first, step }) =>
    Array.from({ length: TS_PACKETS }, (_, n) => head[first + n * step]).every((byte) => byte === 0x47),
  );
}
