import { countedAs, plainAddress } from "../../../services/kernel/address.ts";

describe("an address", () => {
  it.each([
    ["192.0.2.7", ["192.0.2.7", " 192.0.2.7 ", "::ffff:192.0.2.7", "::FFFF:192.0.2.7", "::ffff:c000:207", "0:0:0:0:0:ffff:c000:0207"]],
    ["2001:db8::1", ["2001:db8::1", "2001:DB8::1", "2001:0db8:0:0::0:1", "2001:db8:0:0:0:0:0:1", "2001:db8::1%eth0"]],
    ["::1", ["::1", "0:0:0:0:0:0:0:1", "::0.0.0.1"]],
  ])("is %s however it is written", (plain, spellings) => {
    expect(new Set(spellings.map(plainAddress))).toEqual(new Set([plain]));
  });

  it.each(["", "unknown", "_hidden", "::1]:80@evil", "1:2", "::ffff:300.1.1.1", "a:b:c"])("stays as it is when it is none: %j", (text) => {
    expect(plainAddress(text)).toBe(text);
  });

  it("is counted with all of its /64 in IPv6, and alone in IPv4", () => {
    const one = ["2001:db8:1:2::1", "2001:DB8:1:2:ffff::", "2001:0db8:0001:0002:0:0:0:9"];
    expect(new Set(one.map(countedAs))).toEqual(new Set(["2001:db8:1:2::/64"]));
    expect(countedAs("2001:db8::1:0:0:1")).toBe("2001:db8:0:0::/64");
    expect(countedAs("2001:db8:1:3::1")).toBe("2001:db8:1:3::/64");
    expect(["::ffff:192.0.2.7", "192.0.2.8"].map(countedAs)).toEqual(["192.0.2.7", "192.0.2.8"]);
  });
});
