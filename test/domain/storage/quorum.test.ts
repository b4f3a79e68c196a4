import * as fc from "fast-check";
import { ATTEMPTS_MAX, isPossible, isSafe, needOf, nextSends, type Copy } from "../../../services/storage/domain/quorum.ts";

const disk = (name: string) => ({ id: name, zone: name[0]! });
const copy = (name: string, more: Partial<Copy> = {}): Copy => ({
  disk: disk(name),
  owner: true,
  suspect: false,
  state: "untried",
  attempts: 0,
  ...more,
});
const standIn = (name: string, more: Partial<Copy> = {}) => copy(name, { owner: false, ...more });
const sent = (copies: readonly Copy[], need = { copies: 2, zones: 2 }) => nextSends(copies, need).map((next) => next.disk.id);

describe("the quorum of a ring", () => {
  it.each([
    [["a1"], { copies: 1, zones: 1 }],
    [["a1", "a2"], { copies: 2, zones: 1 }],
    [["a1", "b1"], { copies: 2, zones: 2 }],
    [["a1", "a2", "b1", "c1"], { copies: 2, zones: 2 }],
  ])("of %j is %j", (names, need) => {
    expect(needOf(names.map(disk))).toEqual(need);
  });

  it("is not met by two disks of one zone where there are two zones", () => {
    const held = [copy("a1", { state: "held" }), copy("a2", { state: "held" })];
    expect(isSafe(held, { copies: 2, zones: 1 })).toBe(true);
    expect(isSafe(held, { copies: 2, zones: 2 })).toBe(false);
    expect(isPossible(held, { copies: 2, zones: 2 })).toBe(false);
  });
});

describe("whom a chunk is sent to", () => {
  it("is every owner at first, and nobody else", () => {
    expect(sent([copy("a1"), copy("b1"), copy("c1"), standIn("d1")])).toEqual(["a1", "b1", "c1"]);
  });

  it("is nobody while those on their way are enough", () => {
    const failed = copy("c1", { state: "failed", attempts: 1 });
    expect(sent([copy("a1", { state: "sending" }), copy("b1", { state: "held" }), failed, standIn("d1")])).toEqual([]);
  });

  it("is the first stand-in when two owners have failed", () => {
    const failed = { state: "failed", attempts: 1 } as const;
    expect(sent([copy("a1", { state: "held" }), copy("b1", failed), copy("c1", failed), standIn("d1"), standIn("e1")])).toEqual(["d1"]);
  });

  it("is a stand-in in another zone, when only that brings the quorum nearer", () => {
    const failed = copy("b1", { state: "failed", attempts: 1 });
    expect(sent([copy("a1", { state: "held" }), copy("a2", { state: "held" }), failed, standIn("a3"), standIn("b2")])).toEqual(["b2"]);
  });

  it("is a suspect owner only when the others are not enough", () => {
    const suspect = copy("c1", { suspect: true });
    expect(sent([copy("a1"), copy("b1"), suspect, standIn("d1")])).toEqual(["a1", "b1"]);
    expect(sent([copy("a1"), copy("b1", { state: "refused" }), suspect, standIn("d1", { suspect: true })])).toEqual(["a1", "c1"]);
  });

  it("is one who failed, again, when nobody else is left, but not for ever", () => {
    const failed = (attempts: number) => copy("b1", { state: "failed", attempts });
    expect(sent([copy("a1", { state: "held" }), failed(1)])).toEqual(["b1"]);
    expect(sent([copy("a1", { state: "held" }), failed(ATTEMPTS_MAX)])).toEqual([]);
    expect(sent([copy("a1", { state: "held" }), copy("b1", { state: "refused", attempts: 1 })])).toEqual([]);
  });
});

describe("the write of a chunk", () => {
  const anyCopies = fc
    .array(fc.record({ zone: fc.constantFrom("a", "b", "c"), suspect: fc.boolean(), owner: fc.boolean() }), { minLength: 1, maxLength: 6 })
    .map((all) => all.map(({ zone, ...more }, n) => copy(`${zone}${n}`, more)));
  /** How each send ends, in turn. */
  const anyFate = fc.array(fc.constantFrom<Copy["state"]>("held", "failed", "refused"), { minLength: 40, maxLength: 40 });

  it("ends safe or without hope, whatever the disks do, and never without hope while somebody is left who could help", () => {
    fc.assert(
      fc.property(anyCopies, anyFate, (copies, fate) => {
        const need = needOf(copies.map((one) => one.disk));
        let steps = 0;
        for (; !isSafe(copies, need); steps++) {
          for (const next of nextSends(copies, need)) Object.assign(next, { state: "sending", attempts: next.attempts + 1 });
          if (!isPossible(copies, need)) break;
          const sending = copies.find((one) => one.state === "sending");
          if (!sending) throw new Error("It is possible, not safe, and nobody is sending.");
          sending.state = fate[steps]!;
        }
        expect(steps).toBeLessThanOrEqual(copies.length * ATTEMPTS_MAX);
        const mayStillHelp = copies.map((one) =>
          one.state === "refused" || one.attempts === ATTEMPTS_MAX ? one : { ...one, state: "held" as const },
        );
        expect(isSafe(copies, need)).toBe(isSafe(mayStillHelp, need));
      }),
      { numRuns: 1000 },
    );
  });
});
