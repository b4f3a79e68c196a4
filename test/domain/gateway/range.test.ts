import { isKnown, rangeStillFits } from "../../../services/gateway/domain/conditional.ts";
import { requestedRange } from "../../../services/gateway/domain/range.ts";

describe("a Range header", () => {
  it.each([
    ["bytes=0-499", { start: 0, end: 500 }],
    ["bytes=500-999", { start: 500, end: 1000 }],
    ["bytes=500-", { start: 500, end: 1000 }],
    ["bytes=-1", { start: 999, end: 1000 }],
    ["bytes=-5000", { start: 0, end: 1000 }],
    ["bytes=999-5000", { start: 999, end: 1000 }],
    ["Bytes=0-0", { start: 0, end: 1 }],
    [" bytes=1-2 ", { start: 1, end: 3 }],
  ])("%s is a part of 1000 bytes", (header, range) => {
    expect(requestedRange(header, 1000)).toEqual(range);
  });

  it.each(["bytes=1000-", "bytes=1000-1001", "bytes=-0", "bytes=999999999999999-"])("%s lies outside of 1000 bytes", (header) => {
    expect(requestedRange(header, 1000)).toBe("unsatisfiable");
  });

  it.each([
    undefined,
    "",
    "bytes",
    "bytes=",
    "bytes=-",
    "bytes=5-3",
    "bytes=a-b",
    "bytes=0x1-2",
    "bytes=1-2,4-5",
    "bytes= 1-2",
    "items=0-1",
    "bytes=1.5-2",
    `bytes=${"9".repeat(400)}-`,
  ])("%s asks for everything", (header) => {
    expect(requestedRange(header, 1000)).toBeUndefined();
  });

  it("never reaches outside of any size, for any two numbers", () => {
    for (const size of [0, 1, 2, 7]) {
      for (let first = 0; first < 9; first++) {
        for (const last of ["", ...Array.from({ length: 9 }, (_, n) => String(n))]) {
          const range = requestedRange(`bytes=${first}-${last}`, size);
          if (typeof range !== "object") continue;
          expect(range.start).toBe(first);
          expect(range.end).toBeGreaterThan(range.start);
          expect(range.end).toBeLessThanOrEqual(size);
        }
      }
    }
  });
});

describe("a conditional request", () => {
  it.each(['"a"', 'W/"a"', '"b", "a"', ' "b" , W/"a"', "*"])('If-None-Match: %s knows "a"', (header) => {
    expect(isKnown(header, '"a"')).toBe(true);
  });

  it.each([undefined, "", "a", '"ab"', '"b"', 'w/"a"'])('If-None-Match: %s does not know "a"', (header) => {
    expect(isKnown(header, '"a"')).toBe(false);
  });

  it("takes a range only of the very content that the client has part of", () => {
    expect(rangeStillFits(undefined, '"a"')).toBe(true);
    expect(rangeStillFits('"a"', '"a"')).toBe(true);
    expect(rangeStillFits('W/"a"', '"a"')).toBe(false);
    expect(rangeStillFits('"b"', '"a"')).toBe(false);
    expect(rangeStillFits("Sun, 22 Nov 2026 12:00:00 GMT", '"a"')).toBe(false);
  });
});
