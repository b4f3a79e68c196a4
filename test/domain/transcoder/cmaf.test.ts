import { array, assert, integer, property } from "fast-check";
import { errorType } from "../../../services/kernel/errors.ts";
import { CmafSplitter, type Init, type Position, type Segment } from "../../../services/transcoder/domain/cmaf.ts";

const u32 = (...values: number[]) => {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value, index * 4);
  return bytes;
};
const u64 = (value: bigint) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
};
const box = (name: string, ...parts: Uint8Array[]) => {
  const body = Buffer.concat(parts);
  return Buffer.concat([u32(body.length + 8), Buffer.from(name, "latin1"), body]);
};

const avc1 = box("avc1", Buffer.alloc(78), box("avcC", Buffer.from([1, 0x64, 0x00, 0x1f, 0xff])));
/** Descriptors 3, 4 and 5 with their lengths in four bytes, as ffmpeg writes them; AAC-LC. */
const esds = Buffer.from("000000000380808025000100048080801740150000000001f4000001f4000580808005119056e500068080800102", "hex");
const mp4a = box("mp4a", Buffer.alloc(28), box("esds", esds));

function initialisation(entry: Buffer, timescale: number): Buffer {
  const mdia = box("mdia", box("mdhd", u32(0, 0, 0, timescale, 0, 0)), box("minf", box("stbl", box("stsd", u32(0, 1), entry))));
  const trex = box("trex", u32(0, 1, 1, 0, 0, 0));
  return Buffer.concat([box("ftyp", Buffer.from("isom"), u32(512)), box("moov", box("trak", mdia), box("mvex", trex))]);
}

/** A fragment of `samples` samples of 512 ticks by default, or as given one by one. */
function fragment(number: number, time: bigint, samples: number | readonly number[], bytes = 100): Buffer {
  const listed = typeof samples !== "number";
  const tfhd = box("tfhd", u32(listed ? 0x020000 : 0x020008, 1, ...(listed ? [] : [512])));
  const run = listed
    ? u32(0x000301, samples.length, 0, ...samples.flatMap((duration) => [duration, 10]))
    : u32(0x000205, samples, 0, 0, ...Array.from({ length: samples }, () => 10));
  const traf = box("traf", tfhd, box("tfdt", u32(0x01000000), u64(time)), box("trun", run));
  return Buffer.concat([box("moof", box("mfhd", u32(0, number)), traf), box("mdat", Buffer.alloc(bytes, number))]);
}

/** Three segments: 120, 120 and 60 frames of 30 a second. */
const stream = Buffer.concat([initialisation(avc1, 15_360), fragment(1, 0n, 120), fragment(2, 61_440n, 120), fragment(3, 122_880n, 60, 7)]);

function split(pieces: readonly Uint8Array[], position: Position = { segment: 1, frame: 0, rate: [1, 1] }): (Init | Segment)[] {
  const splitter = new CmafSplitter(position);
  const parts = pieces.flatMap((piece) => splitter.push(piece));
  splitter.end();
  return parts;
}
const segmentsOf = (parts: readonly (Init | Segment)[]) => parts.filter((part) => part.kind === "segment");

describe("the CMAF splitter", () => {
  it("cuts a stream into its initialisation and its segments", () => {
    const [init, ...segments] = split([stream]);
    expect(init).toMatchObject({ kind: "init", timescale: 15_360, codecs: "avc1.64001f" });
    expect(segmentsOf(segments)).toMatchObject([
      { kind: "segment", number: 1, start: 0, duration: 61_440, samples: 120 },
      { kind: "segment", number: 2, start: 61_440, duration: 61_440, samples: 120 },
      { kind: "segment", number: 3, start: 122_880, duration: 30_720, samples: 60 },
    ]);
  });

  it("makes the same parts of the same bytes, whatever the cuts", () => {
    const whole = split([stream]);
    expect(split(Array.from(stream, (byte) => Uint8Array.of(byte)))).toEqual(whole);
    const cuts = array(integer({ min: 0, max: stream.length }), { maxLength: 40 });
    assert(
      property(cuts, (places) => {
        const sorted = [0, ...places.toSorted((a, b) => a - b), stream.length];
        expect(split(sorted.slice(1).map((end, index) => stream.subarray(sorted[index], end)))).toEqual(whole);
      }),
      { numRuns: 200 },
    );
  });

  it("begins each segment with its type, and loses no byte", () => {
    const [init, ...segments] = split([stream]);
    expect(segmentsOf(segments).map(({ bytes }) => Buffer.from(bytes).toString("latin1", 4, 12))).toEqual(
      Array.from({ length: 3 }, () => "stypmsdh"),
    );
    expect(Buffer.concat([init!.bytes, ...segmentsOf(segments).map(({ bytes }) => bytes.subarray(24))])).toEqual(stream);
  });

  it("moves the segments of a later span to their place", () => {
    const position: Position = { segment: 11, frame: 1200, rate: [30, 1] };
    const [first, second] = segmentsOf(split([stream], position));
    expect(first).toMatchObject({ number: 11, start: 1200 * 512 });
    expect(second).toMatchObject({ number: 12, start: 1320 * 512 });
    expect(Buffer.from(second!.bytes).includes(box("mfhd", u32(0, 12)))).toBe(true);
    expect(Buffer.from(second!.bytes).includes(box("tfdt", u32(0x01000000), u64(BigInt(1320 * 512))))).toBe(true);
  });

  it("keeps time exact where frames last no whole number of milliseconds", () => {
    const ntsc = Buffer.concat([initialisation(avc1, 30_000), fragment(1, 0n, [1001, 1001])]);
    expect(segmentsOf(split([ntsc], { segment: 2, frame: 120, rate: [30_000, 1001] }))[0]).toMatchObject({
      start: 120_120,
      duration: 2002,
    });
  });

  it("knows AAC", () => {
    const [init] = split([Buffer.concat([initialisation(mp4a, 48_000), fragment(1, 0n, [1024, 1024])])]);
    expect(init).toMatchObject({ timescale: 48_000, codecs: "mp4a.40.2" });
  });

  it.each([
    ["that begins with a fragment", fragment(1, 0n, 1)],
    ["with a gap in its time", Buffer.concat([initialisation(avc1, 15_360), fragment(1, 0n, 120), fragment(2, 61_441n, 120)])],
    ["with a box of another kind", Buffer.concat([initialisation(avc1, 15_360), box("free", u32(0))])],
    ["with an initialisation above the limit", Buffer.concat([box("ftyp", u32(0)), box("moov", Buffer.alloc(70_000))])],
    [
      "with a segment above the limit",
      Buffer.concat([initialisation(avc1, 15_360), fragment(1, 0n, 1).subarray(0, -108), u32(0x7fffffff), Buffer.from("mdat")]),
    ],
    ["with a box that is shorter than its header", Buffer.concat([u32(4), Buffer.from("ftyp")])],
    ["of an unknown codec", initialisation(box("hev1", Buffer.alloc(78)), 15_360)],
    ["with a fragment that holds nothing", Buffer.concat([initialisation(avc1, 15_360), fragment(1, 0n, 0)])],
    ["that lies about its samples", Buffer.concat([initialisation(avc1, 15_360), lying()])],
    ["that is cut off in a box", stream.subarray(0, -1)],
    ["that is cut off before its samples", Buffer.concat([initialisation(avc1, 15_360), fragment(1, 0n, 1).subarray(0, -108)])],
    ["that is cut off before its index", box("ftyp", u32(0))],
  ])("refuses a stream %s", (_what, bytes) => {
    let thrown: unknown;
    try {
      split([bytes]);
    } catch (error) {
      thrown = error;
    }
    expect(errorType(thrown)).toBe("TRANSCODE_FAILED");
  });

  it("refuses a frame rate for which its clock has no tick", () => {
    expect(() => split([stream], { segment: 2, frame: 1, rate: [30_000, 1001] })).toThrow("has no place");
  });

  it("takes a stream of which nothing came for nothing", () => {
    expect(split([])).toEqual([]);
  });
});

/** A fragment that announces more samples than its box holds. */
function lying(): Buffer {
  const bytes = fragment(1, 0n, 3);
  const at = bytes.indexOf("trun") + 8;
  bytes.writeUInt32BE(1_000_000, at);
  return bytes;
}
