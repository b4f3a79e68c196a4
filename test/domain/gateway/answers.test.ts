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
});
afterEach(() => {
  jest.restoreAllMocks();
  jest.useRealTimers();
});

/** How often the catalogue is asked for a list that is asked for again after these times, in ms. */
function askedFor(answers: Answers, isSteady: boolean): (afterMs: number) => Promise<number> {
  let asked = 0;
  return async (afterMs) => {
    nowMs += afterMs;
    jest.advanceTimersByTime(afterMs);
    await answers.list(anonymous, "all", async () => {
      asked++;
      return { answer: content, isSteady };
    });
    return asked;
  };
}

describe("an answer", () => {
  it("of what nobody works on is given again for half a minute, where no event is lost", async () => {
    const after = askedFor(new Answers({ losesEvents: false }), true);
    expect([await after(1), await after(2500), await after(25_000), await after(5000)]).toEqual([1, 1, 1, 2]);
  });

  it.each([
    ["of what changes by itself", { losesEvents: false }, false],
    ["of what another process may change", { losesEvents: true }, true],
  ])("%s is given again for two seconds", async (_what, told, isSteady) => {
    const after = askedFor(new Answers(told), isSteady);
    expect([await after(1), await after(1500), await after(1000)]).toEqual([1, 1, 2]);
  });

  it("is made anew once something changed, however steady it was", async () => {
    const answers = new Answers({ losesEvents: false });
    const after = askedFor(answers, true);
    await after(1);
    answers.forget();
    expect(await after(1)).toBe(2);
  });
});
