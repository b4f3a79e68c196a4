import { setImmediate as turn } from "node:timers/promises";
import { CHUNK_BYTES_MAX } from "../../../services/kernel/limits.ts";
import { Buffers } from "../../../services/storage/memory/buffers.ts";
import { Segments } from "../../../services/storage/memory/segments.ts";

const { signal } = new AbortController();

describe("buffers", () => {
  it("are no more than were allowed, and used again", async () => {
    const buffers = new Buffers(2);
    const [one, two] = [await buffers.take(signal), await buffers.take(signal)];
    let third: Buffer | undefined;
    const waiting = buffers.take(signal).then((buffer) => (third = buffer));
    await turn();
    expect([one.length, two.length, third, buffers.free]).toEqual([CHUNK_BYTES_MAX, CHUNK_BYTES_MAX, undefined, 0]);
    buffers.give(one);
    expect(await waiting).toBe(one);
  });
});

const counting = () => {
  const reads: string[] = [];
  const read = (name: string, length: number) => async () => {
    reads.push(name);
    await turn();
    return new Uint8Array(length);
  };
  return { reads, read };
};

describe("segments in memory", () => {
  it("are read once, however many ask for one at once", async () => {
    const { reads, read } = counting();
    const segments = new Segments(100);
    const all = await Promise.all(Array.from({ length: 50 }, () => segments.get("a", read("a", 10))));
    expect(new Set(all).size).toBe(1);
    expect(await segments.get("a", read("a", 10))).toBe(all[0]);
    expect(reads).toEqual(["a"]);
  });

  it("make room for each other, the longest unused first, and a large one for none", async () => {
    const { reads, read } = counting();
    const segments = new Segments(96);
    for (const name of "abcdefgh") await segments.get(name, read(name, 12));
    await segments.get("a", read("a", 12));
    await segments.get("i", read("i", 12));
    for (const name of "acdefghi") await segments.get(name, read(name, 12));
    expect(reads.join("")).toBe("abcdefghi");
    for (let n = 0; n < 2; n++) await segments.get("L", read("L", 13));
    await segments.get("a", read("a", 12));
    await segments.get("b", read("b", 12));
    expect(reads.join("")).toBe("abcdefghiLLb");
  });

  it("are read again after a failure, and always when nothing may be kept", async () => {
    const { reads, read } = counting();
    const segments = new Segments(0);
    await expect(segments.get("a", () => Promise.reject(new Error("no disk")))).rejects.toThrow("no disk");
    for (let n = 0; n < 2; n++) await segments.get("a", read("a", 5));
    expect(reads).toEqual(["a", "a"]);
  });
});
