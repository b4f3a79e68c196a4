import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { CHUNK_BYTES_MAX } from "../../../services/kernel/limits.ts";
import { streamOf } from "../../../services/storage/disks/blob-read.ts";
import type { ChunkReader } from "../../../services/storage/disks/chunk-read.ts";
import type { Cut } from "../../../services/storage/domain/cut.ts";
import { eventually } from "../../support/eventually.ts";

const cuts: Cut[] = Array.from({ length: 4 }, (_, n) => ({ hash: `${n}`, size: CHUNK_BYTES_MAX, from: 0, to: CHUNK_BYTES_MAX }));

const content = randomBytes(4 * CHUNK_BYTES_MAX);

/** A reader that counts what it was asked for. */
function countingReader() {
  const asked = { bytes: 0 };
  const read = async ({ hash, from, to }: Cut): Promise<Buffer> => {
    asked.bytes += to - from;
    return content.subarray(Number(hash) * CHUNK_BYTES_MAX + from, Number(hash) * CHUNK_BYTES_MAX + to);
  };
  return { asked, chunks: { read } as unknown as ChunkReader };
}

describe("a stream of chunks", () => {
  it("hands on all bytes in their order", async () => {
    expect(content.equals(Buffer.concat(await streamOf(countingReader().chunks, cuts).toArray()))).toBe(true);
  });

  it("asks for no more than 2 MB when its reader takes a little and stops", async () => {
    const { asked, chunks } = countingReader();
    const stalled = new Writable({ write: () => undefined });
    const stream = streamOf(chunks, cuts);
    const piping = pipeline(stream, stalled);
    piping.catch(() => undefined);
    let before = -1;
    await eventually(() => {
      const settled = asked.bytes > 0 && asked.bytes === before;
      before = asked.bytes;
      return settled;
    });
    expect(asked.bytes).toBeLessThanOrEqual(2_000_000);
    stalled.destroy();
    await expect(piping).rejects.toMatchObject({ code: "ERR_STREAM_PREMATURE_CLOSE" });
  });

  it("asks for nothing more when its reader is gone", async () => {
    const { asked, chunks } = countingReader();
    const stream = streamOf(chunks, cuts);
    stream.once("data", () => stream.destroy());
    await once(stream, "close");
    const { bytes } = asked;
    await new Promise((resolve) => setImmediate(resolve));
    expect(asked.bytes).toBe(bytes);
  });
});
