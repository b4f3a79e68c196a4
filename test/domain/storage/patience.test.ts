import { Patience } from "../../../services/storage/domain/patience.ts";

const after = (...answers: readonly number[]): number => {
  const patience = new Patience();
  for (const ms of answers) patience.note(ms);
  return patience.ms;
};
const times = (count: number, ms: number): number[] => Array.from({ length: count }, () => ms);

describe("the patience with a disk", () => {
  it("is a quarter of a second before anything is known", () => {
    expect(new Patience().ms).toBe(250);
  });

  it("is what all but the slowest twentieth of the answers took", () => {
    expect(after(...times(92, 60), ...times(4, 400))).toBe(60);
    expect(after(...times(80, 60), ...times(16, 400))).toBe(400);
  });

  it("forgets how it was long ago", () => {
    expect(after(...times(200, 900), ...times(144, 50))).toBe(50);
  });

  it("is never so short that a pause of this process looks like a slow disk, nor longer than a second", () => {
    expect(after(...times(32, 1))).toBe(25);
    expect(after(...times(32, 30_000))).toBe(1000);
  });
});
