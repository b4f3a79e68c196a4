import { errorType } from "../../../services/kernel/errors.ts";
import { sniff } from "../../../services/transcoder/domain/sniff.ts";

const head = (text: string, length = 4096) => Buffer.from(text.padEnd(length, "\0"), "latin1");
/** Sync bytes where packets of a transport stream begin. */
const packets = (first: number, step: number, count: number) => {
  const bytes = Buffer.alloc(2000);
  for (let n = 0; n < count; n++) bytes[first + n * step] = 0x47;
  return bytes;
};

describe("sniff", () => {
  it.each([
    ["an MP4 file", head("\0\0\0\x20ftypisom"), "mov"],
    ["an old QuickTime file", head("\0\0\0\x08wide\0\0\0\0mdat"), "mov"],
    ["a QuickTime file that begins with its index", head("\0\0\x10\0moov"), "mov"],
    ["a Matroska or WebM file", head("\x1aE\xdf\xa3"), "matroska"],
    ["a transport stream", packets(0, 188, 5), "mpegts"],
    ["a transport stream of a Blu-ray", packets(4, 192, 5), "mpegts"],
    ["an AVI file", head("RIFF\0\0\0\0AVI LIST"), "avi"],
    ["a Flash file", head("FLV\x01"), "flv"],
    ["an Ogg file", head("OggS"), "ogg"],
  ])("knows %s", (_what, bytes, demuxer) => {
    expect(sniff(bytes)).toBe(demuxer);
  });

  it.each([
    ["text", Buffer.from("Once upon a time there was no video."), "SOURCE_NOT_MEDIA", "text file"],
    ["an HLS playlist", head("#EXTM3U\n#EXTINF:5,\n/etc/passwd"), "SOURCE_NOT_MEDIA", "playlist"],
    ["a list for ffmpeg", head("ffconcat version 1.0\nfile 'other.mp4'"), "SOURCE_NOT_MEDIA", "playlist"],
    ["a DASH manifest", head('<?xml version="1.0"?><MPD>'), "SOURCE_NOT_MEDIA", "manifest"],
    ["a web page", head("<!doctype html>"), "SOURCE_NOT_MEDIA", "web page"],
    ["a picture", head("\x89PNG\r\n\x1a\n"), "SOURCE_NOT_MEDIA", "PNG"],
    ["an archive", head("PK\x03\x04"), "SOURCE_NOT_MEDIA", "ZIP"],
    ["noise", head("\x01\x02\x03\x04"), "SOURCE_NOT_MEDIA", "MP4, MOV"],
    ["four packets of a transport stream", packets(0, 188, 4), "SOURCE_NOT_MEDIA", "MP4, MOV"],
    ["a single byte", Buffer.from([0x47]), "SOURCE_NOT_MEDIA", "Upload"],
    ["Windows Media", head("\x30\x26\xb2\x75"), "SOURCE_UNSUPPORTED", "Windows Media"],
    ["a program stream", head("\0\0\x01\xba"), "SOURCE_UNSUPPORTED", "program stream"],
    ["a WAV file", head("RIFF\0\0\0\0WAVEfmt "), "SOURCE_WITHOUT_PICTURE", "WAV"],
    ["an MP3 file", head("ID3\x04"), "SOURCE_WITHOUT_PICTURE", "MP3"],
  ])("refuses %s, and says what it is", (_what, bytes, type, word) => {
    const error = thrownBy(() => sniff(bytes));
    expect(errorType(error)).toBe(type);
    expect(error.message).toContain(word);
  });
});

function thrownBy(act: () => unknown): Error {
  try {
    act();
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error("It was accepted.");
}
