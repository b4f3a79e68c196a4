import { once } from "node:events";
import { createServer, get, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { ListedResponse } from "../../../services/gateway/http/response.ts";
import { securityHeaders } from "../../../services/gateway/http/security.ts";

/** Names and values as they came, each name in small letters. */
async function answeredBy(handle: (res: ServerResponse) => void): Promise<[string, string][]> {
  const server = createServer({ ServerResponse: ListedResponse as typeof ServerResponse }, (_, res) => handle(res));
  await once(server.listen(0, "127.0.0.1"), "listening");
  try {
    const [response] = (await once(get({ port: (server.address() as AddressInfo).port }), "response")) as [IncomingMessage];
    response.resume();
    const { rawHeaders } = response;
    return rawHeaders.flatMap((name, at) => (at % 2 === 0 ? [[name.toLowerCase(), rawHeaders[at + 1] ?? ""]] : [])) as [string, string][];
  } finally {
    server.close();
  }
}

describe("an answer whose headers are listed", () => {
  it("has those of every answer, each once, also where nothing else was said", async () => {
    const headers = await answeredBy((res) => res.end());
    for (const [name, value] of securityHeaders)
      expect(headers.filter(([known]) => known === name.toLowerCase())).toEqual([[name.toLowerCase(), value]]);
    const names = headers.map(([name]) => name);
    expect(names).toEqual([...new Set(names)]);
  });

  it("replaces what was set before, whatever the size of its letters, and tells it as it was set", async () => {
    const headers = await answeredBy((res) => {
      res
        .setHeader("cross-origin-resource-policy", "cross-origin")
        .setHeader("ETag", '"a"')
        .setHeader("etag", '"b"')
        .setHeader("Content-Length", 0);
      res.setHeader("X-Seen", `${String(res.getHeader("ETAG"))} ${String(res.getHeader("X-Never"))}`).end();
    });
    const told = (name: string): string[] => headers.filter(([known]) => known === name).map(([, value]) => value);
    expect([told("cross-origin-resource-policy"), told("etag"), told("x-seen")]).toEqual([["cross-origin"], ['"b"'], ['"b" undefined']]);
  });

  it("adds to what was set before as one list (RFC 9110, 5.3)", async () => {
    const headers = await answeredBy((res) => res.appendHeader("Vary", "Origin").appendHeader("vary", "Accept-Encoding").end());
    expect(headers.filter(([name]) => name === "vary")).toEqual([["vary", "Origin, Accept-Encoding"]]);
  });

  it("forgets what is taken away, and tells what there is", async () => {
    let known: unknown;
    const headers = await answeredBy((res) => {
      res.setHeader("X-Gone", "a").setHeader("X-Kept", 1).removeHeader("x-gone");
      known = [res.hasHeader("x-gone"), res.hasHeader("x-kept"), res.getHeaderNames().includes("x-kept"), res.getHeaders()["x-kept"]];
      res.end();
    });
    expect(known).toEqual([false, true, true, "1"]);
    expect([headers.some(([name]) => name === "x-gone"), headers.find(([name]) => name === "x-kept")]).toEqual([false, ["x-kept", "1"]]);
  });

  it.each<[string, (res: ServerResponse) => void]>([
    ["an object", (res) => res.writeHead(200, { "X-Title": "one" })],
    ["a list", (res) => res.writeHead(200, ["X-Title", "one"])],
    ["an object behind a reason", (res) => res.writeHead(200, "Fine", { "X-Title": "one" })],
  ])("takes headers that come with the status, as %s", async (_, write) => {
    const headers = await answeredBy((res) => {
      res.setHeader("x-title", "none");
      write(res);
      res.end();
    });
    expect(headers.filter(([name]) => name === "x-title")).toEqual([["x-title", "one"]]);
  });

  it.each<[string, (res: ServerResponse) => void]>([
    ["a value that would be two headers", (res) => res.setHeader("X-Title", "one\r\nSet-Cookie: two")],
    ["a name that is none", (res) => res.setHeader("X Title", "one")],
    ["several values", (res) => res.setHeader("Set-Cookie", ["a=1", "b=2"])],
    ["no value", (res) => res.setHeader("X-Title", undefined as unknown as string)],
  ])("refuses %s while another answer can still be given", async (_, wrong) => {
    let refused = false;
    const headers = await answeredBy((res) => {
      try {
        wrong(res);
      } catch {
        refused = true;
      }
      res.setHeader("X-Title", "other").end();
    });
    expect(refused).toBe(true);
    expect(headers.filter(([name]) => ["x-title", "x title", "set-cookie"].includes(name))).toEqual([["x-title", "other"]]);
  });

  it("refuses a header that is set when all have gone out", async () => {
    let late: unknown;
    await answeredBy((res) => {
      res.flushHeaders();
      try {
        res.setHeader("X-Late", "a");
      } catch (error) {
        late = error;
      }
      res.end();
    });
    expect(late).toEqual(expect.objectContaining({ message: expect.stringContaining("X-Late") as string }));
  });
});
