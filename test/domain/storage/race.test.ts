import { race } from "../../../services/storage/disks/race.ts";

interface Asked {
  readonly who: string;
  readonly signal: AbortSignal;
  readonly answer: (value: string) => void;
  readonly fail: (reason: Error) => void;
}

/** A race whose candidates answer when the test says so. */
function start(from: readonly string[], { atOnce = 3 } = {}) {
  const asked: Asked[] = [];
  const ending = new AbortController();
  const outcome = race({
    from,
    patienceMs: 100,
    atOnce,
    signal: ending.signal,
    ask: async (who, signal) => await new Promise<string>((answer, fail) => asked.push({ who, signal, answer, fail })),
  });
  return { asked, outcome, ending, names: () => asked.map(({ who }) => who) };
}

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

describe("a race", () => {
  it("asks only the first one when that answers in time", async () => {
    const { asked, outcome, names } = start(["a", "b"]);
    await jest.advanceTimersByTimeAsync(99);
    asked[0]!.answer("from a");
    expect(await outcome).toEqual({ answer: "from a", failed: new Map(), late: [] });
    await jest.advanceTimersByTimeAsync(1000);
    expect(names()).toEqual(["a"]);
  });

  it("asks the next one as well when an answer is late, and stops whoever is slower", async () => {
    const { asked, outcome, names } = start(["a", "b", "c"]);
    await jest.advanceTimersByTimeAsync(100);
    expect(names()).toEqual(["a", "b"]);
    asked[1]!.answer("from b");
    expect(await outcome).toMatchObject({ answer: "from b", late: ["a"] });
    expect(asked[0]!.signal.aborted).toBe(true);
    asked[0]!.fail(new Error("cancelled"));
    await jest.advanceTimersByTimeAsync(1000);
    expect(names()).toEqual(["a", "b"]);
  });

  it("calls nobody late when the first one wins after all", async () => {
    const { asked, outcome } = start(["a", "b"]);
    await jest.advanceTimersByTimeAsync(100);
    asked[0]!.answer("from a");
    expect((await outcome).late).toEqual([]);
  });

  it("asks the next one at once when one fails, and tells who failed and why", async () => {
    const { asked, outcome, names } = start(["a", "b"]);
    const reason = new Error("no such chunk");
    asked[0]!.fail(reason);
    await jest.advanceTimersByTimeAsync(0);
    expect(names()).toEqual(["a", "b"]);
    asked[1]!.answer("from b");
    expect(await outcome).toEqual({ answer: "from b", failed: new Map([["a", reason]]), late: [] });
  });

  it("asks no more than so many at a time, and everybody in the end", async () => {
    const { asked, outcome, names } = start(["a", "b", "c"], { atOnce: 2 });
    await jest.advanceTimersByTimeAsync(10_000);
    expect(names()).toEqual(["a", "b"]);
    for (const n of [0, 1, 2]) {
      asked[n]!.fail(new Error(`${n}`));
      await jest.advanceTimersByTimeAsync(0);
    }
    const { answer, failed } = await outcome;
    expect(answer).toBeUndefined();
    expect([...failed.keys()]).toEqual(["a", "b", "c"]);
  });

  it("ends with the reason of its signal, and stops everybody", async () => {
    const { asked, outcome, ending } = start(["a", "b"]);
    await jest.advanceTimersByTimeAsync(100);
    ending.abort(new Error("nobody reads any more"));
    await expect(outcome).rejects.toThrow("nobody reads any more");
    expect(asked.map(({ signal }) => signal.aborted)).toEqual([true, true]);
  });

  it("has no answer where there is nobody to ask", async () => {
    expect((await start([]).outcome).answer).toBeUndefined();
  });
});
