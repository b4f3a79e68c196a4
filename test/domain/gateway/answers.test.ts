import { anonymous } from "../../../services/kernel/principal.ts";
import { Answers } from "../../../services/gateway/answers.ts";
import { JSON_TYPE, type Content } from "../../../services/gateway/http/reply.ts";

const content: Content = { type: JSON_TYPE, size: 2, etag: '"x"', caching: "no-cache", held: true, bytes: () => Buffer.from("{}") };

let nowMs = 0;

beforeEach(() => {
  nowMs = 1000;
  // What keeps the answers holds on to the clock that it found at its start.
  jest.useFakeTimers({ doNotFake: ["performance"] });
  jest.spyOn(performance, "now").mockImplementation(() => nowMs);
  jest.spyOn(Math, "random").mockReturnValue(0.5);
});
afterEach(() => {
  jest.restoreAllMocks();
  jest.useRealTimers();
});

/** Which answer of the catalogue is given to who asks for the same list after these times, in ms: the first, the second. */
function answered(answers: Answers, isSteady: boolean): (afterMs: number) => Promise<number> {
  const made: Content[] = [];
  return async (afterMs) => {
    nowMs += afterMs;
    jest.advanceTimersByTime(afterMs);
    const given = await answers.list(anonymous, "all", async () => {
      const answer = { ...content };
      made.push(answer);
      return { answer, isSteady };
    });
    return made.indexOf(given) + 1;
  };
}

const broken = async (): Promise<never> => await Promise.reject(new Error("away"));

describe("an answer", () => {
  it("of what nobody works on is given again for half a minute, where no event is lost", async () => {
    const after = answered(new Answers({ losesEvents: false }), true);
    expect([await after(1), await after(2500), await after(12_000)]).toEqual([1, 1, 1]);
    expect(await after(30_001)).toBe(2);
  });

  it.each([
    ["of what changes by itself", { losesEvents: false }, false],
    ["of what another process may change", { losesEvents: true }, true],
  ])("%s is given again for two seconds", async (_what, told, isSteady) => {
    const after = answered(new Answers(told), isSteady);
    expect([await after(1), await after(900), await after(2001)]).toEqual([1, 1, 2]);
  });

  it("is made anew from its drawn moment on by the first who asks, and whoever asks waits for nothing", async () => {
    const after = answered(new Answers({ losesEvents: false }), true);
    expect([await after(1), await after(16_000), await after(1)]).toEqual([1, 1, 2]);
    expect([await after(14_000), await after(2000), await after(1)]).toEqual([2, 2, 3]);
  });

  it("is given until its time is over when it cannot be made anew, and no longer", async () => {
    const answers = new Answers({ losesEvents: false });
    await answered(answers, true)(1);
    nowMs += 16_000;
    jest.advanceTimersByTime(16_000);
    expect(await answers.list(anonymous, "all", broken)).toEqual(content);
    nowMs += 14_001;
    jest.advanceTimersByTime(14_001);
    await expect(answers.list(anonymous, "all", broken)).rejects.toThrow("away");
  });

  it("is on its way for each who may see other things: who shows a signed address shares it with nobody who shows none", async () => {
    const answers = new Answers({ losesEvents: false });
    const id = "0189abcd-0000-7000-8000-000000000001";
    const answer = { of: { id, owner: null, visibility: "private" as const }, content };
    const ask = async (as: typeof anonymous): Promise<unknown> =>
      await answers.video(as, id, async () => (as.watches === id ? { answer, isSteady: true } : await broken()));
    const asked = await Promise.allSettled([ask({ ...anonymous, watches: id }), ask(anonymous)]);
    expect(asked.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
    await expect(ask(anonymous)).rejects.toThrow("away");
  });

  it("is made anew by one of all who ask, and of all that are due by two at a time", async () => {
    const answers = new Answers({ losesEvents: false });
    let asked = 0;
    const ask = async (which: number): Promise<unknown> =>
      await answers.list(anonymous, String(which), async () => {
        asked++;
        return await (nowMs < 10_000 ? Promise.resolve({ answer: content, isSteady: true }) : new Promise<never>(() => {}));
      });
    const all = [1, 2, 3, 4, 5, 6];
    await Promise.all(all.map(ask));
    nowMs += 16_000;
    jest.advanceTimersByTime(16_000);
    await Promise.all([...all, ...all].map(ask));
    expect(asked).toBe(6 + 2);
  });

  it("of many that were asked for together is due at a time of its own", async () => {
    const answers = new Answers({ losesEvents: false });
    const asked: number[] = [];
    const ask = async (which: number): Promise<unknown> => {
      jest.mocked(Math.random).mockReturnValue(which / 10);
      return await answers.list(anonymous, String(which), async () => {
        asked.push(which);
        return { answer: content, isSteady: true };
      });
    };
    const all = [0, 3, 6];
    for (const which of all) await ask(which);
    asked.length = 0;
    for (const ms of [9000, 4000, 4000]) {
      nowMs += ms;
      jest.advanceTimersByTime(ms);
      const before = asked.length;
      for (const which of all) await ask(which);
      expect(asked).toHaveLength(before + 1);
    }
    expect(asked).toEqual(all);
  });

  it("is made anew once something changed, however steady it was", async () => {
    const answers = new Answers({ losesEvents: false });
    const after = answered(answers, true);
    await after(1);
    answers.forget();
    expect(await after(1)).toBe(2);
  });
});
