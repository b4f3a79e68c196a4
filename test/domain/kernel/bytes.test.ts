import { ownBytes } from "../../../services/kernel/bytes.ts";

it("gives bytes that lie in a larger piece memory of their own, and leaves those that have it", () => {
  const shared = Buffer.from("some short words");
  const own = ownBytes(shared);
  expect([shared.buffer.byteLength > own.length, own.buffer.byteLength, Buffer.compare(own, shared)]).toEqual([true, shared.length, 0]);
  expect(ownBytes(own)).toBe(own);
});
