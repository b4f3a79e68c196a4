import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { CHUNK_BYTES_MAX, MESSAGE_BYTES } from "../../../services/kernel/limits.ts";
import { streamOf } from "../../../services/storage/disks/blob-read.ts";
import type { ChunkReader } from "../../../services/storage/disks/chunk-read.ts";
import { type Cut, PIECE_BYTES } from "../../../services/storage/domain/cut.ts";
import { Spare } from "../../../services/storage/memory/spare.ts";
import { eventually } from "../../support/eventually.ts";

const cuts: Cut[] = Array.from({ length: 4 }, (_, n) => ({ hash: `${n}`, size: CHUNK_BYTES_MAX, from: 0, to: CHUNK_BYTES_MAX }));

const content = randomBytes(4 * CHUNK_BYTES_MAX);

/** A reader that counts what it was asked for. */
function countingReader() {
  const asked = { bytes: 0, pieces: [] as number[] };
  const read = async ({ hash, from, to }: Cut): Promise<readonly Buffer[]> => {
    asked.bytes += to - from;
    asked.pieces.push(to - from);
    const bytes = content.subarray(Number(hash) * CHUNK_BYTES_MAX + from, Number(hash) * CHUNK_BYTES_MAX + to);
    // As from a disk: later than the reader would like.
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    return Array.from({ length: Math.ceil(bytes.length / MESSAGE_BYTES) }, (_, nth) =>
      bytes.subarray(nth * MESSAGE_BYTES, (nth + 1) * MESSAGE_BYTES),
    );
  };
  return { asked, chunks: { read } as unknown as ChunkReader };
}

const streamFrom = (chunks: ChunkReader, spare = new Spare(Infinity)) => streamOf({ chunks, spare }, cuts);

/** When the count stays the same. */
async function settled(count: () => number): Promise<void> {
  let before = -1;
  await eventually(() => {
    const same = count() > 0 && count() === before;
    before = count();
    return same;
  });
}

describe("a stream of chunks", () => {
  it("hands on all bytes in their order", async () => {
    expect(content.equals(Buffer.concat(await streamFrom(countingReader().chunks).toArray()))).toBe(true);
  });

  it("asks for no more than 2 MB when its reader takes a little and stops", async () => {
    const { asked, chunks } = countingReader();
    const stalled = new Writable({ write: () => undefined });
    const piping = pipeline(streamFrom(chunks), stalled);
    piping.catch(() => undefined);
    await settled(() => asked.bytes);
    expect(asked.bytes).toBeLessThanOrEqual(2_000_000);
    stalled.destroy();
    await expect(piping).rejects.toMatchObject({ code: "ERR_STREAM_PREMATURE_CLOSE" });
  });

  it("asks for more at once for a reader who waits, and for no more than there is memory for", async () => {
    const [much, none] = [countingReader(), countingReader()];
    await streamFrom(much.chunks).toArray();
    await streamFrom(none.chunks, new Spare(0)).toArray();
    expect(Math.max(...much.asked.pieces)).toBe(CHUNK_BYTES_MAX);
    expect(Math.max(...none.asked.pieces)).toBe(PIECE_BYTES);
  });

  it("gives the memory back when it ends", async () => {
    const spare = new Spare(2 * CHUNK_BYTES_MAX);
    await streamFrom(countingReader().chunks, spare).toArray();
    expect(spare.take(2 * CHUNK_BYTES_MAX)).toBe(true);
  });

  it("lets go of what it read ahead for a reader who rests, and goes on where he was", async () => {
    const { asked, chunks } = countingReader();
    const spare = new Spare(2 * CHUNK_BYTES_MAX);
    const stream = streamFrom(chunks, spare);
    const taken: Buffer[] = [];
    const some = stream[Symbol.asyncIterator]();
    while (asked.bytes < 2 * CHUNK_BYTES_MAX) taken.push((await some.next()).value as Buffer);
    expect(spare.take(2 * CHUNK_BYTES_MAX)).toBe(false);
    await eventually(() => spare.take(2 * CHUNK_BYTES_MAX), { what: "the memory given back" });
    spare.give(2 * CHUNK_BYTES_MAX);
    for (let next = await some.next(); !next.done; next = await some.next()) taken.push(next.value as Buffer);
    expect(content.equals(Buffer.concat(taken))).toBe(true);
  });

  it("asks for nothing more when its reader is gone", async () => {
    const { asked, chunks } = countingReader();
    const stream = streamFrom(chunks);
    stream.once("data", () => stream.destroy());
    await once(stream, "close");
    const { bytes } = asked;
    await new Promise((resolve) => setImmediate(resolve));
    expect(asked.bytes).toBe(bytes);
  });
});
