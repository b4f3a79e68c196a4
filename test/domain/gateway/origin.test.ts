/** Who may drive a server that trusts everyone who reaches it: everyone but the pages of others. */
import { refuseForeign } from "../../../services/gateway/domain/origin.ts";
import { errorType } from "../../../services/kernel/errors.ts";

type Headers = Parameters<typeof refuseForeign>[0]["headers"];

function isRefused(method: string, headers: Headers, listensOn = "127.0.0.1", { origins = [] as string[], signIn = false } = {}): boolean {
  try {
    refuseForeign({ method, headers }, { listensOn, origins, signIn });
    return false;
  } catch (error) {
    if (errorType(error) === "FORBIDDEN_ORIGIN") return true;
    throw error;
  }
}

describe("a server on loopback", () => {
  it.each(["localhost", "localhost:3000", "LocalHost:3000", "127.0.0.1", "127.1.2.3:80", "[::1]", "[::1]:3000"])(
    "answers to a name of this machine: %s",
    (host) => {
      for (const listensOn of ["127.0.0.1", "localhost", "::1"]) expect(isRefused("GET", { host }, listensOn)).toBe(false);
    },
  );

  it.each([
    undefined,
    "",
    "x",
    "evil.example:3000",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "evil.example@localhost",
    "10.0.0.1",
  ])("answers to no other name, as a page that rebinds DNS has: %s", (host) => {
    for (const listensOn of ["127.0.0.1", "localhost", "::1"]) expect(isRefused("GET", { host }, listensOn)).toBe(true);
  });

  it("leaves names alone that a server for others may have", () => {
    expect(isRefused("GET", { host: "tube.example" }, "0.0.0.0")).toBe(false);
  });
});

describe.each(["127.0.0.1", "0.0.0.0"])("what changes something on %s", (listensOn) => {
  const host = "localhost:3000";

  it.each<[string, Headers]>([
    ["a client that is no browser", { host }],
    ["the server's own page", { host, origin: "http://localhost:3000", "sec-fetch-site": "same-origin" }],
    ["the same behind TLS", { host: "localhost", origin: "https://localhost" }],
    ["the address bar", { host, "sec-fetch-site": "none" }],
  ])("may be asked by %s", (_, headers) => {
    for (const method of ["POST", "DELETE"]) expect(isRefused(method, headers, listensOn)).toBe(false);
  });

  it.each<[string, Headers]>([
    ["another site", { host, "sec-fetch-site": "cross-site" }],
    ["another port of this machine", { host, "sec-fetch-site": "same-site" }],
    ["another origin", { host, origin: "https://evil.example" }],
    ["another port, by its origin", { host, origin: "http://localhost:8080" }],
    ["a page that hides its origin", { host, origin: "null" }],
    ["an origin that is none", { host, origin: "" }],
  ])("may not be asked by %s, which may read what everyone may", (_, headers) => {
    for (const method of ["POST", "DELETE", "PUT"]) expect(isRefused(method, headers, listensOn)).toBe(true);
    for (const method of ["GET", "HEAD", "OPTIONS"]) expect(isRefused(method, headers, listensOn)).toBe(false);
  });
});

describe("a page that is let in by name", () => {
  const host = "tube.example";
  const origins = ["https://app.example"];

  it("may do what the server's own may, and no page whose name is only alike", () => {
    expect(isRefused("POST", { host, origin: "https://app.example", "sec-fetch-site": "cross-site" }, "0.0.0.0", { origins })).toBe(false);
    for (const origin of [
      "http://app.example",
      "https://app.example:8443",
      "https://app.example.evil",
      "https://evil.app.example",
      "https://app.exampl",
      "h",
    ])
      expect(isRefused("POST", { host, origin }, "0.0.0.0", { origins })).toBe(true);
  });
});

it("takes any name where somebody has to sign in, since a page under another name shows no cookie of ours", () => {
  expect(isRefused("GET", { host: "tube.example" }, "127.0.0.1", { signIn: true })).toBe(false);
  expect(isRefused("POST", { host: "tube.example", origin: "https://evil.example" }, "127.0.0.1", { signIn: true })).toBe(true);
});

it("knows its own page by HTTP/2's word for the host, too", () => {
  const headers = { ":authority": "localhost:3000", origin: "https://localhost:3000" };
  expect(isRefused("POST", headers)).toBe(false);
  expect(isRefused("POST", { ...headers, origin: "https://localhost:3001" })).toBe(true);
});
