import { begun, FRESH, isDue, outerOf, PASS_EVERY_MS, progressOf } from "../../../services/disk/domain/scrub.ts";

describe("a pass of the scrub", () => {
  it("is due at once on a disk that was never looked at, then a week after the one before began", () => {
    expect(isDue(FRESH, PASS_EVERY_MS)).toBe(true);
    const done = { ...begun(FRESH, 1000), running: false };
    expect(isDue(done, 1000 + PASS_EVERY_MS - 1)).toBe(false);
    expect(isDue(done, 1000 + PASS_EVERY_MS)).toBe(true);
    expect(isDue(begun(FRESH, 1000), 1001)).toBe(true);
  });

  it("begins with the first folder, and goes on with the one of the last chunk", () => {
    expect(outerOf(begun(FRESH, 1))).toBe(0);
    expect(outerOf({ ...begun(FRESH, 1), after: `a7${"0".repeat(62)}` })).toBe(0xa7);
  });

  it("tells how far it is", () => {
    expect(progressOf(FRESH)).toBe(0);
    expect(progressOf({ ...begun(FRESH, 1), after: `80${"0".repeat(62)}` })).toBe(0.5);
    expect(progressOf({ ...begun(FRESH, 1), running: false })).toBe(1);
  });
});
