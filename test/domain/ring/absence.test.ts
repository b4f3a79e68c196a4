import { judge, type WatchedDisk } from "../../../services/ring/domain/absence.ts";

const LIMITS = { outMs: 900_000, backMs: 30_000 };

const disk = (n: number, about: Partial<WatchedDisk> = {}): WatchedDisk => ({
  id: `disk-${n}`,
  address: `127.0.0.1:${n + 1}`,
  zone: `zone-${n}`,
  state: "in",
  outByClock: false,
  up: true,
  forMs: 10 ** 9,
  ...about,
});
const away = (n: number, forMs = LIMITS.outMs, more: Partial<WatchedDisk> = {}) => disk(n, { up: false, forMs, ...more });
const change = (n: number, what: "out" | "add") => ({ disk: `disk-${n}`, change: what, weight: null });

describe("the clock", () => {
  it("puts out a disk that has been away for long enough, and not one moment sooner", () => {
    expect(judge([disk(0), disk(1), disk(2), away(3)], LIMITS)).toEqual({ changes: [change(3, "out")], refusals: [] });
    expect(judge([disk(0), disk(1), disk(2), away(3, LIMITS.outMs - 1)], LIMITS)).toEqual({ changes: [], refusals: [] });
  });

  it("puts out nobody when too few would be left, and says so", () => {
    const { changes, refusals } = judge([disk(0), disk(1), away(2)], LIMITS);
    expect(changes).toEqual([]);
    expect(refusals.join()).toContain("Only 2 disks would be left, and each chunk has 3 copies: add a disk.");
  });

  it("puts out nobody while more than a third is away at once, whether for long or not", () => {
    const six = [disk(0), disk(1), disk(2), disk(3)];
    expect(judge([...six, away(4), away(5)], LIMITS).changes).toHaveLength(2);
    const { changes, refusals } = judge([disk(0), disk(1), disk(2), away(3, 5000), away(4, 5000), away(5)], LIMITS);
    expect(changes).toEqual([]);
    expect(refusals.join()).toContain("3 of 6 disks are away at once");
  });

  it("puts out no whole zone", () => {
    const zones = [0, 1, 2, 3, 4, 5, 6].map((n) => disk(n, { zone: `zone-${n % 3}` }));
    const gone = zones.map((one, n) => (n % 3 === 1 ? { ...one, up: false } : one));
    expect(judge(gone, LIMITS).refusals.join()).toContain("The whole zone zone-1 is away");
    expect(judge([...gone.slice(0, 4), { ...gone[4]!, up: true }, ...gone.slice(5)], LIMITS).changes).toEqual([change(1, "out")]);
  });

  it("takes back who is there again, unless an operator put it out", () => {
    const back = { state: "out", outByClock: true } as const;
    expect(judge([disk(0), disk(1, { ...back, forMs: LIMITS.backMs })], LIMITS).changes).toEqual([change(1, "add")]);
    expect(judge([disk(0), disk(1, { ...back, forMs: LIMITS.backMs - 1 })], LIMITS).changes).toEqual([]);
    expect(judge([disk(0), disk(1, { ...back, outByClock: false })], LIMITS).changes).toEqual([]);
    expect(judge([disk(0), away(1, LIMITS.outMs, back)], LIMITS)).toEqual({ changes: [], refusals: [] });
  });

  it("leaves alone who has no share", () => {
    const others = (["spare", "draining", "out", "removed"] as const).map((state, n) => away(n + 9, LIMITS.outMs, { state }));
    const many = Array.from({ length: 9 }, (_, n) => disk(n));
    expect(judge([...many, ...others], LIMITS)).toEqual({ changes: [], refusals: [] });
  });
});
