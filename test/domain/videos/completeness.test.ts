import { flawOf } from "../../../services/videos/domain/completeness.ts";

const whole = { name: "720p", planned: 10, stored: 10, last: 10 };

describe("a set of renditions", () => {
  it("is whole when each has its segments, one more or less than planned", () => {
    expect(flawOf([whole, { ...whole, stored: 11, last: 11 }, { ...whole, stored: 9, last: 9 }])).toBeUndefined();
  });

  it.each([
    [{ stored: 0, last: 0 }, "The rendition 360p has no segments."],
    [{ stored: 9, last: 10 }, "The rendition 360p has a gap: 9 segments, and the last is number 10."],
    [{ stored: 8, last: 8 }, "The rendition 360p has 8 segments instead of 10."],
    [{ stored: 12, last: 12 }, "The rendition 360p has 12 segments instead of 10."],
  ])("is not whole with %j", (about, sentence) => {
    expect(flawOf([whole, { ...whole, name: "360p", ...about }])).toBe(sentence);
  });
});
