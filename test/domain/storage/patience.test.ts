import { Patience } from "../../../services/storage/domain/patience.ts";

const after = (...answers: readonly number[]): number => {
  const patience = new Patience();
  for (const ms of answers) patience.note(ms, 1);
  return patience.msFor(1);
};
const times = (count: number, ms: number): number[] => Array.from({ length: count }, () => ms);

describe("the patience with a disk", () => {
  it("is a quarter of a second before anything is known", () => {
    expect(new Patience().msFor(1)).toBe(250);
  });

  it("is what all but the slowest twentieth of the answers took", () => {
    expect(after(...times(92, 60), ...times(4, 400))).toBe(60);
    expect(after(...times(80, 60), ...times(16, 400))).toBe(400);
  });

  it("forgets how it was long ago", () => {
    expect(after(...times(200, 900), ...times(144, 50))).toBe(50);
  });

  it("grows with what is read at once, and is never longer than two seconds", () => {
    const patience = new Patience();
    for (const ms of times(32, 100)) patience.note(ms, 1);
    expect([1, 5, 16].map((pieces) => patience.msFor(pieces))).toEqual([100, 200, 475]);
    for (const ms of times(128, 30_000)) patience.note(ms, 16);
    expect([1, 16].map((pieces) => patience.msFor(pieces))).toEqual([1000, 2000]);
  });

  it("is never so short that a pause of this process looks like a slow disk, nor longer than a second", () => {
    expect(after(...times(32, 1))).toBe(25);
    expect(after(...times(32, 30_000))).toBe(1000);
  });
});
