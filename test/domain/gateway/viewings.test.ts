import type { Key } from "../../../services/gateway/domain/signature.ts";
import { Viewings, type Given } from "../../../services/gateway/viewings.ts";
import { onlyPerson } from "../../../services/kernel/principal.ts";
import type { Caller } from "../../../services/kernel/rpc.ts";
import type { ViewingEvent } from "../../../services/videos/contract.ts";

const keys = [{ id: "today", secret: Buffer.alloc(32).toString("base64url") }] as unknown as Key[];
const segment = (session: string, number: number, starved = false): Given => ({
  id: "a video",
  as: onlyPerson,
  viewer: "somebody",
  data: { session, bitrate: undefined, starved },
  number,
  from: 4 * (number - 1),
  to: 4 * number,
});

it("tells each second and each wait once, also of what comes in while it tells", async () => {
  const told: ViewingEvent[] = [];
  const meanwhile = [segment("first", 2, true)];
  const caller: Caller = {
    call: async (_action, params) => {
      const { session, events } = params as { session: string; events: ViewingEvent[] };
      if (session === "first") told.push(...events);
      for (const given of meanwhile.splice(0)) viewings.given(given);
      return null as never;
    },
  };
  const viewings = new Viewings(caller, async () => keys);
  // What came first is told last, after those that are told together.
  for (const session of ["first", "second", "third", "fourth", "fifth"]) viewings.given(segment(session, 1));
  await viewings.teller.stop();
  viewings.given(segment("first", 2));
  await viewings.teller.stop();
  expect(told).toMatchObject([{ type: "beat", watched: [[0, 8]] }, { type: "rebuffer" }]);
});
