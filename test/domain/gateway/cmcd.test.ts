import * as fc from "fast-check";
import { clientData } from "../../../services/gateway/domain/cmcd.ts";

const SESSION = "6e2fb550-c457-41e9-bb97-0800200c9a66";

describe("what a player says of itself", () => {
  it("is its session, what it asks for, and whether it has run dry", () => {
    expect(clientData([`bl=21300,br=3200,bs,cid="a,b=\\"c",d=4004,mtp=25400,ot=v,sf=d,sid="${SESSION}",st=v`])).toEqual({
      session: SESSION,
      bitrate: 3_200_000,
      starved: true,
    });
  });

  it("may be spread over headers", () => {
    expect(clientData([`sid="${SESSION}"`, "bl=400", "br=800", "rtp=1"])).toEqual({ session: SESSION, bitrate: 800_000, starved: false });
  });

  it("has a UUID for a session of any name, the same each time", () => {
    const [one, again, other] = ["player 1", "player 1", "player 2"].map((name) => clientData([`sid="${name}"`])?.session);
    expect(one).toMatch(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    expect([again === one, other === one]).toEqual([true, false]);
  });

  it.each([["nothing"], ["br=3200"], ["sid=unquoted"], ['sid=""'], [`sid="${"x".repeat(65)}"`], ['cid="x,sid=\\"y\\""']])(
    "is nothing without a session that has a name: %s",
    (text) => {
      expect(clientData([text])).toBeUndefined();
    },
  );

  it("may be anything", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 2000 })), (texts) => {
        const data = clientData(texts);
        expect(data === undefined || /^[0-9a-f-]{36}$/.test(data.session)).toBe(true);
      }),
    );
  });
});
