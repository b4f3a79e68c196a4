/** The simulation of a large installation (bench/scale), held against what is known without it. */
import { Agenda } from "../../../bench/scale/agenda.ts";
import { Chance } from "../../../bench/scale/chance.ts";
import { meanWait, waits } from "../../../bench/scale/erlang.ts";
import { Farm, type FarmOptions, type Work } from "../../../bench/scale/farm.ts";
import { repairs } from "../../../bench/scale/repair.ts";
import { ISSUE, simulate, type Scale } from "../../../bench/scale/world.ts";

const EVERYBODY = Number.POSITIVE_INFINITY;
const oneSlot = (machines: number): FarmOptions<"work"> => ({
  machines,
  cores: 1,
  parallel: 1,
  groups: [{ kinds: ["work"], slots: 1 }],
  leaseS: 4,
  told: EVERYBODY,
});
const mean = (all: readonly number[]): number => all.reduce((sum, one) => sum + one, 0) / all.length;

/** Work that comes and ends at any moment alike: how long after the one before, and how long it takes. */
function traffic(load: number, count: number): readonly (readonly [gap: number, service: number])[] {
  const chance = new Chance(`a load of ${load}`);
  return Array.from({ length: count }, () => [chance.exponential(1 / load), chance.exponential(1)] as const);
}

/** How long each waits, as the simulator has it. */
function simulated(servers: number, work: ReturnType<typeof traffic>): readonly number[] {
  const agenda = new Agenda();
  const farm = new Farm(agenda, new Chance("workers"), oneSlot(servers));
  const arrive = (index: number): void => {
    const [gap, cpuS] = work[index]!;
    agenda.after(gap, () => {
      farm.add([{ kind: "work", priority: 0, cpuS, urgent: false, onDone: () => {} }]);
      if (index + 1 < work.length) arrive(index + 1);
    });
  };
  arrive(0);
  agenda.run();
  expect(farm.counts).toMatchObject({ begun: work.length, ended: work.length, lost: 0 });
  return farm.waits.get("work")!;
}

/** The same without events: each goes to the server that is free first. */
function reckoned(servers: number, work: ReturnType<typeof traffic>): readonly number[] {
  const free = Array.from({ length: servers }, () => 0);
  let now = 0;
  return work.map(([gap, service]) => {
    now += gap;
    const first = free.indexOf(Math.min(...free));
    const begins = Math.max(now, free[first]!);
    free[first] = begins + service;
    return begins - now;
  });
}

describe("a queue", () => {
  it.each([
    [1, 0.5, 0.5],
    [2, 1, 1 / 3],
    [10, 8, 0.409],
  ])("of %i servers with a load of %f has the share that waits which tables have", (servers, load, share) => {
    expect(waits(servers, load)).toBeCloseTo(share, 3);
  });

  it.each([
    [1, 0.5],
    [4, 2.8],
    [20, 17],
    [200, 190],
  ])("of %i servers with a load of %f lets each wait as long as a sum without events says", (servers, load) => {
    const work = traffic(load, 5000);
    const [waited, expected] = [simulated(servers, work), reckoned(servers, work)];
    expect(mean(expected)).toBeGreaterThan(0.01);
    expect(Math.max(...waited.map((wait, index) => Math.abs(wait - expected[index]!)))).toBeLessThan(1e-6);
  });

  it.each([
    [1, 0.5],
    [4, 2.8],
  ])("of %i servers with a load of %f waits on average as long as Erlang says", (servers, load) => {
    const waited = reckoned(servers, traffic(load, 1_000_000));
    expect(mean(waited) / meanWait(servers, load, 1)).toBeGreaterThan(0.96);
    expect(mean(waited) / meanWait(servers, load, 1)).toBeLessThan(1.04);
    expect(waited.filter((wait) => wait > 0).length / waited.length).toBeCloseTo(waits(servers, load), 2);
  });
});

/** Who ended when, s. */
function course(
  options: Partial<FarmOptions<"work">>,
  work: readonly (Partial<Work<"work">> & { name: string; at?: number })[],
): Record<string, number> {
  const agenda = new Agenda();
  const farm = new Farm(agenda, new Chance("one"), { ...oneSlot(1), ...options });
  const ended: Record<string, number> = {};
  const made = ({ name, at: _at, ...about }: (typeof work)[number]): Work<"work"> => {
    const onDone = (): void => void (ended[name] = Math.round(agenda.now * 1000) / 1000);
    return { kind: "work", priority: 0, cpuS: 1, urgent: false, onDone, ...about };
  };
  for (const [at, some] of Map.groupBy(work, (one) => one.at ?? 0)) agenda.after(at, () => farm.add(some.map(made)));
  agenda.run();
  return ended;
}
const slots = (count: number) => ({ groups: [{ kinds: ["work" as const], slots: count }] });

describe("a machine", () => {
  it("takes the highest priority first, and of equal ones the oldest", () => {
    const work = [{ name: "c" }, { name: "d" }, { name: "a", priority: 9 }, { name: "b", priority: 5 }];
    expect(course({}, work)).toEqual({ a: 1, b: 2, c: 3, d: 4 });
  });

  it("keeps slots of their own for what has a priority", () => {
    const groups = [
      { kinds: ["work" as const], slots: 1 },
      { kinds: ["work" as const], slots: 1, priorityMin: 5 },
    ];
    const work = [
      { name: "long", cpuS: 9 },
      { name: "waits", at: 1 },
      { name: "high", at: 1, priority: 9 },
    ];
    expect(course({ cores: 2, groups }, work)).toEqual({ high: 2, long: 9, waits: 10 });
  });

  it("shares its processors, of which no work has more than it can use", () => {
    expect(course(slots(2), [{ name: "a" }, { name: "b", cpuS: 2 }])).toEqual({ a: 2, b: 3 });
    expect(course({ ...slots(2), cores: 8, parallel: 2 }, [{ name: "a" }, { name: "b", cpuS: 2 }])).toEqual({ a: 0.5, b: 1 });
  });

  it("lets stand still what can wait while something urgent runs", () => {
    expect(course({ ...slots(2), cores: 8 }, [{ name: "urgent", urgent: true, cpuS: 3 }, { name: "other" }])).toEqual({
      urgent: 3,
      other: 4,
    });
  });
});

describe("an installation", () => {
  const small: Scale = { ...ISSUE, uploadsAnHour: 600, transcoders: 12, hours: 0.5, warmUpHours: 0.1 };

  it("ends every upload exactly once, also where transcoders fail every few minutes", () => {
    const outcome = simulate({ ...small, transcoderFailureS: 1800 });
    expect(outcome.failures).toBeGreaterThan(5);
    expect(outcome.lost).toBeGreaterThan(5);
    expect(outcome.uploads).toBeGreaterThan(200);
    expect([outcome.ended, outcome.endedTwice]).toEqual([outcome.uploads, 0]);
    expect(outcome.firstFrames).toHaveLength(outcome.uploads);
    expect(outcome.ready).toHaveLength(outcome.uploads);
  });

  it("is the same for the same seed, and another one for another", () => {
    const once = simulate(small);
    expect(simulate(small)).toEqual(once);
    expect(simulate({ ...small, seed: "2" }).firstFrames).not.toEqual(once.firstFrames);
  });

  it("keeps the start of videos quick where the rest cannot be done in time", () => {
    const outcome = simulate({ ...small, uploadsAnHour: 2400 });
    expect(outcome.backlog).toBeGreaterThan(500);
    const waiting = outcome.waits.get("video.span")!.toSorted((a, b) => b - a)[100]!;
    const start = outcome.firstFrames.toSorted((a, b) => b - a)[Math.floor(outcome.uploads / 100)]!;
    expect(waiting).toBeGreaterThan(60);
    expect(start).toBeLessThan(20);
  });

  it("asks the queue the less, the fewer hear of new work", () => {
    const claims = [EVERYBODY, 2].map((told) => simulate({ ...small, told }).claims);
    expect(claims[1]! / claims[0]!).toBeLessThan(0.9);
  });
});

describe("disks that fail", () => {
  const storage = { seed: "1", disks: 100, movers: 4, changes: 1, years: 30, failuresAYear: 0 };

  it("are replaced copy by copy, by many others", () => {
    const found = repairs(storage);
    expect(found).toMatchObject({ losses: 0, failures: 0 });
    expect(found.moved).toBeGreaterThanOrEqual(1);
    expect(found.moved).toBeLessThan(1.02);
    expect(found.targets).toBeGreaterThan(50);
    // Four processes at 64 MiB/s bring 10 TB, a quarter of an hour after it was lost.
    expect(found.seconds / (900 + 10e12 / (4 * 64 * 2 ** 20))).toBeCloseTo(1, 1);
  });

  it("lose as much as is expected where they fail so often that it can be counted", () => {
    const often = { ...storage, disks: 200, failuresAYear: 20, years: 4 };
    const { losses, yearsToLoss, years } = repairs(often);
    expect(losses).toBeGreaterThan(100);
    expect((losses * yearsToLoss) / years).toBeGreaterThan(0.8);
    expect((losses * yearsToLoss) / years).toBeLessThan(1.2);
  });
});
