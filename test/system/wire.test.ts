/** Whatever comes over the wire: requests of all kinds, put together and then damaged at random. fast-check prints the seed of what failed. */
import { connect } from "node:net";
import { array, assert, asyncProperty, constantFrom, nat, oneof, record, tuple, type Arbitrary } from "fast-check";
import { ask } from "../support/http.ts";
import { removeFolder, startTritonTube, type TritonTube } from "../support/tritontube.ts";

const RUNS = 1000;
/** Where nothing has moved for so long there is half a request, or all is said: the client goes. */
const PATIENCE_MS = 50;
const API = "/api/v1";
const VIDEO = `${API}/videos/0189abcd-0000-7000-8000-0000000000b2`;

const METHODS = "GET GET GET HEAD POST PUT PATCH DELETE OPTIONS CONNECT TRACE PROPFIND QUERY".split(" ");
const TARGETS = `/ /health/live /health/ready /metrics /upload * // /% http://localhost${API}/videos /nothing
${API}/videos ${API}/videos?q=film&limit=5 ${API}/videos/upload ${API}/videos/batch ${API}/uploads ${API}/session ${API}/live ${API}/openapi.json ${API}/docs
${VIDEO} ${VIDEO}/status ${VIDEO}/events ${VIDEO}/manifest.mpd ${VIDEO}/streams/1/720p/1.m4s ${VIDEO}/thumbnail.jpg?t=3 ${VIDEO}/source ${VIDEO}/%2e%2e`.split(
  /\s/,
);
const HEADERS = `Range: bytes=0-9
Range: bytes=0-1,4-5
If-None-Match: *
If-Match: "1-000000000000.x"
If-Range: "x"
Accept: text/html
Accept-Encoding: gzip, br;q=0.1
Expect: 100-continue
Expect: 200-ok
Transfer-Encoding: chunked
TE: trailers
Content-Length: 5
Content-Length: 0
Content-Type: video/mp4
Content-Type: application/json
Content-Type: multipart/form-data; boundary=x
Tus-Resumable: 1.0.0
Upload-Length: 10
Upload-Offset: 0
Upload-Metadata: filename eA==
Upload-Concat: final;/a /b
Upload-Checksum: sha1 Kq5
Connection: close
Connection: Upgrade
Connection: HTTP2-Settings, Upgrade
Upgrade: websocket
Upgrade: h2c
HTTP2-Settings: AAMAAABkAAQAAP__
Sec-WebSocket-Version: 13
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
Cookie: session=%
Authorization: Bearer x
Authorization: Basic Og==
Origin: null
Sec-Fetch-Site: cross-site
X-Request-Id: abcdefgh12
X-Forwarded-For: 1.2.3.4
X-Filename: %E2%82
Last-Event-ID: 1`.split("\n");
const FORM = '--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nhi\r\n--x--\r\n';
/** What stands behind the other headers. */
const ENDS = [
  ..."\r\n|\r\n|\r\n|\r\nhello|Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n|Content-Length: 5\r\n\r\nhello".split("|"),
  "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
  `Content-Type: multipart/form-data; boundary=x\r\nContent-Length: ${FORM.length}\r\n\r\n${FORM}`,
  "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x81\x05hello",
];

const well = record({
  method: constantFrom(...METHODS),
  target: constantFrom(...TARGETS),
  version: constantFrom("1.1", "1.1", "1.1", "1.1", "1.0", "2.0"),
  host: constantFrom("Host: localhost\r\n", "Host: localhost\r\n", "Host: localhost\r\n", ""),
  headers: array(constantFrom(...HEADERS), { maxLength: 3 }),
  end: constantFrom(...ENDS),
}).map(
  ({ method, target, version, host, headers, end }) =>
    `${method} ${target} HTTP/${version}\r\n${host}${headers.map((header) => `${header}\r\n`).join("")}${end}`,
);

/** With one character changed, some left out, or some there twice. */
const damaged = tuple(well, nat(400), nat(255), constantFrom("change", "leave out", "repeat")).map(([text, place, size, how]) => {
  const at = place % text.length;
  if (how === "change") return text.slice(0, at) + String.fromCharCode(size) + text.slice(at + 1);
  return text.slice(0, at) + text.slice(how === "repeat" ? Math.max(0, at - (size % 20)) : at + (size % 8));
});
const wire: Arbitrary<string> = array(oneof(well, well, well, damaged), { minLength: 1, maxLength: 2 }).map((requests) =>
  requests.join(""),
);

let tritontube: TritonTube;
beforeAll(async () => {
  tritontube = await startTritonTube({ env: { RATE_LIMITS: "false" } });
}, 120_000);
afterAll(async () => {
  await tritontube.kill();
  await removeFolder(tritontube.dataDir);
});

/** The statuses of what is answered to these bytes. */
async function answersTo(bytes: string): Promise<string[]> {
  const socket = connect({ port: Number(new URL(tritontube.url).port), host: "127.0.0.1", timeout: PATIENCE_MS });
  let received = "";
  socket.on("data", (data) => (received += data.toString("latin1"))).on("error", () => {});
  socket.on("timeout", () => socket.destroy());
  socket.write(bytes, "latin1");
  await new Promise((resolve) => socket.once("close", resolve));
  return [...received.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status = ""]) => status);
}

it("whatever comes over the wire is answered or cut off: never by a mistake, and the next one is served", async () => {
  const seen: Record<string, number> = {};
  await assert(
    asyncProperty(wire, async (bytes) => {
      const statuses = await answersTo(bytes);
      for (const status of statuses) seen[status] = (seen[status] ?? 0) + 1;
      expect(statuses).not.toContain("500");
      expect((await ask(tritontube.url, "/health/live")).status).toBe(200);
    }),
    { numRuns: RUNS, endOnFailure: true },
  );
  console.log(`${RUNS} connections, answered with ${JSON.stringify(seen)}`);
  // Not all of them were nonsense to the parser.
  expect(Object.keys(seen)).toEqual(expect.arrayContaining(["200", "400", "404", "405"]));
  expect(tritontube.output()).not.toContain("a mistake of ours");
}, 240_000);
