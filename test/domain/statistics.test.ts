import { median, percentile } from "../../bench/statistics.ts";

describe("the median", () => {
  it("is the value in the middle", () => expect(median([9, 1, 3])).toBe(3));
  it("lies between the two in the middle: of two rounds it is not the better one", () => expect(median([1, 3])).toBe(2));
  it("is no number where there are no values", () => expect(median([])).toBeNaN());
});

describe("a percentile", () => {
  it("is one of the values", () => expect(percentile([4, 1, 3, 2], 0.75)).toBe(4));
  it("is no number where there are no values", () => expect(percentile([], 0.5)).toBeNaN());
});
