import { createHash, randomBytes } from "node:crypto";
import { crc32 } from "node:zlib";
import * as fc from "fast-check";
import { downloadOf } from "../../../mixins/disks/chunks.ts";
import { BLOCK_BYTES, blocksIn, BlockSums } from "../../../proto/blocks.ts";
import type { GetChunkResponse } from "../../../proto/gen/tritontube/disk/v1/disk.ts";

const chunk = randomBytes(3 * BLOCK_BYTES + 100);
const hash = createHash("sha256").update(chunk).digest("hex");

/** The sums of a range, by the book. */
function sumsOf(start: number, end: number): number[] {
  const first = Math.floor(start / BLOCK_BYTES);
  return Array.from({ length: blocksIn({ start, end }) }, (_, index) => {
    const block = (first + index) * BLOCK_BYTES;
    return crc32(chunk.subarray(Math.max(start, block), Math.min(end, block + BLOCK_BYTES)));
  });
}

const ranges = fc
  .tuple(fc.nat(chunk.length - 1), fc.nat(chunk.length - 1))
  .map(([one, other]) => ({ start: Math.min(one, other), end: Math.max(one, other) + 1 }));

describe("the sums of blocks", () => {
  it("are the same however the bytes come", () => {
    fc.assert(
      fc.property(ranges, fc.array(fc.integer({ min: 1, max: 200_000 })), ({ start, end }, lengths) => {
        const sums = new BlockSums(start);
        let at = start;
        for (const length of lengths) {
          sums.update(chunk.subarray(at, Math.min(at + length, end)));
          at = Math.min(at + length, end);
        }
        sums.update(chunk.subarray(at, end));
        expect(sums.end()).toEqual(sumsOf(start, end));
      }),
    );
  });
});

describe("a part of a chunk that comes from a disk", () => {
  const [start, end] = [100, 2 * BLOCK_BYTES];
  const good = { size: chunk.length, sums: sumsOf(start, end) };

  async function received(header: { size: number; sums: number[] }, bytes: Buffer): Promise<Buffer> {
    const messages = async function* (): AsyncGenerator<GetChunkResponse> {
      yield { part: { $case: "header", value: header } };
      for (let at = 0; at < bytes.length; at += 50_000) yield { part: { $case: "data", value: bytes.subarray(at, at + 50_000) } };
    };
    const pieces: Buffer[] = [];
    for await (const piece of downloadOf(messages(), { hash, offset: start, length: end - start })) pieces.push(piece);
    return Buffer.concat(pieces);
  }

  it("is taken when it has the sums that were told", async () => {
    const part = chunk.subarray(start, end);
    expect((await received(good, part)).equals(part)).toBe(true);
  });

  it.each([
    ["other bytes", good, Buffer.from(chunk.subarray(start, end)).fill(0, 1000, 1001)],
    ["fewer bytes", good, chunk.subarray(start, end - 1)],
    ["more bytes", good, chunk.subarray(start, end + 1)],
    ["fewer sums", { ...good, sums: good.sums.slice(1) }, chunk.subarray(start, end)],
    ["more sums", { ...good, sums: [...good.sums, 1] }, chunk.subarray(start, end)],
  ])("is not taken with %s", async (_what, header, bytes) => {
    await expect(received(header, bytes)).rejects.toEqual(expect.objectContaining({ type: "CHUNK_CORRUPT" }));
  });
});
