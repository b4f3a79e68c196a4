import type { Key } from "../../../services/gateway/domain/signature.ts";
import { Plays } from "../../../services/gateway/plays.ts";
import type { Caller } from "../../../services/kernel/rpc.ts";
import { PLAYS_BATCH_MAX } from "../../../services/videos/contract.ts";

const MINUTE = 60_000;
const key = (name: string): Key => ({ id: name, secret: Buffer.from(name.padEnd(32)).toString("base64url") }) as unknown as Key;

let nowMs = 0;
beforeEach(() => jest.spyOn(performance, "now").mockImplementation(() => nowMs));
afterEach(() => jest.restoreAllMocks());

/** Somebody who watches a minute of a video each time; answers whom the catalogue was told of. */
function viewerWith(keys: Key[]): (afterMs: number) => Promise<string | undefined> {
  const told: string[] = [];
  const caller: Caller = {
    call: async (_action, params) => {
      told.push(...(params as { plays: { viewer: string }[] }).plays.map(({ viewer }) => viewer));
      return null as never;
    },
  };
  const plays = new Plays(caller, async () => keys);
  let number = 0;
  return async (afterMs) => {
    nowMs += afterMs;
    plays.watched({ id: "a video", viewer: "somebody", number: ++number, seconds: MINUTE / 1000, totalS: 3600 });
    await plays.teller.stop();
    return told.pop();
  };
}

it("tells at its end of everybody who was not told of yet, and of each once", async () => {
  const told: string[] = [];
  const caller: Caller = {
    call: async (_action, params) => {
      told.push(...(params as { plays: { viewer: string }[] }).plays.map(({ viewer }) => viewer));
      return null as never;
    },
  };
  const plays = new Plays(caller, async () => [key("today")]);
  const viewers = 2 * PLAYS_BATCH_MAX + 1;
  for (let viewer = 0; viewer < viewers; viewer++)
    plays.watched({ id: "a video", viewer: String(viewer), number: 1, seconds: 60, totalS: 60 });
  await plays.teller.stop();
  expect([told.length, new Set(told).size]).toEqual([viewers, viewers]);
});

describe("somebody who watches while the key of the day changes", () => {
  it("is told of as the same viewer, as long as it goes on", async () => {
    const keys = [key("yesterday")];
    const watch = viewerWith(keys);
    const first = await watch(0);
    keys.unshift(key("today"));
    expect(first).toMatch(/^[0-9a-f]{32}$/);
    expect(await watch(11 * MINUTE)).toBe(first);
  });

  it("is another one when it comes back later", async () => {
    const keys = [key("yesterday")];
    const watch = viewerWith(keys);
    const first = await watch(0);
    keys.unshift(key("today"));
    expect(await watch(31 * MINUTE)).not.toBe(first);
  });
});
