import * as fc from "fast-check";
import { extended, PARTS, viewingReport, type Viewing, type ViewingEvent } from "../../../services/videos/domain/viewing.ts";

const nothing: Viewing = { heardMs: 0, watchedS: 0, parts: "0".repeat(PARTS), startupS: null, rebuffers: 0, rebufferedS: 0, errors: 0 };
const film = { durationS: 200, elapsedS: 10 };
const at = (second: number): string => new Date(Date.UTC(2026, 10, 22, 16, 0, second)).toISOString();
const beat = (second: number, ...watched: [number, number][]): ViewingEvent => ({ type: "beat", at: at(second), watched });
const partsSeen = ({ parts }: Viewing): number[] => parts.split("").flatMap((part, index) => (part === "1" ? [index] : []));

describe("a viewing", () => {
  it("adds up what was watched, and which hundredths of the video were seen", () => {
    const one = extended(nothing, [beat(1, [0, 4]), beat(2, [100, 103])], film);
    expect(one.watchedS).toBe(7);
    expect(partsSeen(one)).toEqual([0, 1, 50]);
    const two = extended(one, [beat(3, [2, 6])], film);
    expect(two.watchedS).toBe(11);
    expect(partsSeen(two)).toEqual([0, 1, 2, 50]);
  });

  it("is the same after a report that comes a second time", () => {
    const events: ViewingEvent[] = [
      { type: "start", at: at(1), seconds: 0.8 },
      beat(2, [0, 10]),
      { type: "rebuffer", at: at(3), seconds: 2 },
      { type: "error", at: at(4) },
    ];
    const once = extended(nothing, events, film);
    expect(once).toMatchObject({ startupS: 0.8, watchedS: 10, rebuffers: 1, rebufferedS: 2, errors: 1 });
    expect(extended(once, events, film)).toEqual(once);
  });

  it("believes no more than can have been watched, and nothing behind the end", () => {
    expect(extended(nothing, [beat(1, [0, 200], [0, 200], [0, 200])], film).watchedS).toBe(100);
    const behind = extended(nothing, [beat(1, [190, 9000], [500, 600])], film);
    expect([behind.watchedS, partsSeen(behind)]).toEqual([10, [95, 96, 97, 98, 99]]);
  });

  it("never shrinks, and never has more than all, whatever is told", () => {
    const span = fc.tuple(fc.nat(400), fc.nat(400)).map(([a, b]): [number, number] => [Math.min(a, b), Math.max(a, b)]);
    const event = fc.tuple(fc.nat(1000), fc.array(span, { maxLength: 20 })).map(([second, spans]) => beat(second, ...spans));
    fc.assert(
      fc.property(fc.array(fc.array(event, { minLength: 1, maxLength: 5 })), (reports) => {
        let now = nothing;
        for (const report of reports) {
          const next = extended(now, report, film);
          expect(next.watchedS).toBeGreaterThanOrEqual(now.watchedS);
          expect(partsSeen(next)).toEqual(expect.arrayContaining(partsSeen(now)));
          expect(next.parts).toHaveLength(PARTS);
          now = next;
        }
      }),
    );
  });

  it.each([
    ["a span that ends before it begins", { type: "beat", at: at(1), watched: [[4, 2]] }],
    ["a time that is none", { type: "beat", at: "yesterday" }],
    ["a type that nobody knows", { type: "applause", at: at(1) }],
    ["what nobody asked for", { type: "beat", at: at(1), viewer: "ann" }],
  ])("is not told by %s", (_, event) => {
    expect(viewingReport.safeParse({ session: "00000000-0000-4000-8000-000000000000", events: [event] }).success).toBe(false);
  });
});
