/** The first and last bytes of a source, which each process that begins reads. */
import { Readable } from "node:stream";
import { SourceEnds } from "../../../services/transcoder/ends.ts";
import { joined } from "../../../services/transcoder/work/index.ts";

const MiB = 1024 * 1024;
/** Two ends of 8 MiB, and as much and a bit between them. */
const SIZE = 24 * MiB + 5;
const all = Buffer.alloc(SIZE, "No two places of this look alike, since its length is odd. ");

afterEach(() => jest.useRealTimers());

/** What the disks were asked for, and the ends on top of them. */
function kept(fails = (_start: number): boolean => false) {
  const asked: (readonly [start: number, end: number])[] = [];
  const ends = new SourceEnds(async (_blob, start, end) => {
    asked.push([start, end]);
    if (fails(start)) throw new Error("no disk answers");
    return Readable.from([all.subarray(start, end)]);
  });
  return { asked, ends, read: async (start: number, end: number) => await joined(await ends.source("film", SIZE).read(start, end)) };
}

it.each([
  ["all of it", 0, SIZE],
  ["a byte of the first end", 3 * MiB + 1, 3 * MiB + 2],
  ["what begins in one end and ends in the other", 7 * MiB, 17 * MiB],
  ["what lies between", 9 * MiB, 15 * MiB],
  ["its last byte", SIZE - 1, SIZE],
])("has the same bytes as the disks: %s", async (_what, start, end) => {
  const { read } = kept();
  expect(Buffer.compare(await read(start, end), all.subarray(start, end))).toBe(0);
});

it("asks the disks once for the end of a source, however many processes begin with it", async () => {
  const { asked, read } = kept();
  await Promise.all(Array.from({ length: 6 }, async () => await read(0, 4 * MiB)));
  await read(SIZE - MiB, SIZE);
  await read(SIZE - MiB, SIZE);
  expect(new Set(asked.map(([start]) => start)).size).toBe(asked.length);
  expect(asked.reduce((sum, [start, end]) => sum + end - start, 0)).toBeLessThan(7 * MiB);
});

it("keeps nothing of what lies between the ends, which no two processes share", async () => {
  const { asked, read } = kept();
  await read(9 * MiB, 10 * MiB);
  await read(9 * MiB, 10 * MiB);
  expect(asked).toEqual([
    [9 * MiB, 10 * MiB],
    [9 * MiB, 10 * MiB],
  ]);
});

it("tells whoever needs it that a page cannot be had, and asks again for the next one", async () => {
  let broken = true;
  const { read } = kept((start) => broken && start === MiB);
  expect(await read(0, MiB)).toHaveLength(MiB);
  await expect(read(0, 3 * MiB)).rejects.toThrow("no disk answers");
  broken = false;
  expect(await read(0, 3 * MiB)).toHaveLength(3 * MiB);
});

it("forgets all of it when no process has begun for a while", async () => {
  jest.useFakeTimers({ doNotFake: ["nextTick", "setImmediate", "queueMicrotask"] });
  const { asked, read } = kept();
  await read(0, MiB);
  jest.advanceTimersByTime(9000);
  await read(0, MiB);
  const before = asked.length;
  jest.advanceTimersByTime(9000);
  await read(0, MiB);
  expect(asked).toHaveLength(before);
  jest.advanceTimersByTime(10_000);
  await read(0, MiB);
  expect(asked.length).toBeGreaterThan(before);
});
