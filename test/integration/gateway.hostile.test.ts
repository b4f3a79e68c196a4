/** Bodies that are more than they seem, lengths that are lies, and requests that hide another one: against real uploads, whose rows tell what came of it. */
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { WebSocket } from "ws";
import { one, rows } from "../../mixins/database/sql.ts";
import { eventually } from "../support/eventually.ts";
import { ask, openRaw, type HttpAnswer } from "../support/http.ts";
import { metadata, OCTETS, startTusGateway, UPLOADS, type TusGateway } from "../support/tus.ts";

const VIDEO = "/api/v1/videos/upload";
const MiB = 1024 * 1024;

let tus: TusGateway;
beforeAll(async () => {
  tus = await startTusGateway();
}, 120_000);
afterAll(() => tus.stop());

async function videosMade(): Promise<number> {
  return (await one<{ count: number }>(tus.cluster.db, "select count(*)::integer as count from videos"))?.count ?? -1;
}

async function videoOf(bytes: string): Promise<string> {
  const headers = { "Content-Type": "video/mp4" };
  return ((await ask(tus.url, VIDEO, { method: "POST", headers, body: bytes })).json().data as { id: string }).id;
}

const codeOf = (answer: HttpAnswer): unknown[] => [answer.status, answer.json().code];

describe("a body that is compressed", () => {
  const zeros = Buffer.alloc(64 * MiB);
  const bombs: [string, Buffer][] = [
    ["gzip", gzipSync(zeros, { level: 9 })],
    ["deflate", deflateSync(zeros)],
    ["br", brotliCompressSync(zeros, { params: { 1: 1 } })],
    ["zstd", zstdCompressSync(zeros)],
    ["gzip, gzip", gzipSync(gzipSync(zeros))],
    ["identity", Buffer.from("{}")],
    ["", gzipSync(zeros)],
  ];

  it.each(bombs)("in %j is taken nowhere: not inflated, and not stored as it is", async (encoding, body) => {
    const video = await videoOf(`for captions ${encoding}`);
    const before = await videosMade();
    const headers = { "Content-Encoding": encoding };
    const send = async (method: string, target: string, type: string): Promise<HttpAnswer> =>
      await ask(tus.url, target, { method, headers: { ...headers, "Content-Type": type }, body });
    const refused = [
      await send("POST", VIDEO, "video/mp4"),
      await send("POST", VIDEO, "multipart/form-data; boundary=x"),
      await send("PUT", `/api/v1/videos/${video}/captions/en.vtt`, "text/vtt"),
      await send("POST", "/api/v1/videos/batch", "application/json"),
    ];
    expect(refused.map(codeOf)).toEqual(refused.map(() => [415, "UNSUPPORTED_MEDIA_TYPE"]));
    expect(await videosMade()).toBe(before);
  });

  it.each(bombs)("in %j is no part of an upload that can be resumed", async (encoding, body) => {
    const address = await tus.create({ "Upload-Length": String(body.length) });
    expect(codeOf(await tus.patch(address, 0, body, { "Content-Encoding": encoding }))).toEqual([415, "UNSUPPORTED_MEDIA_TYPE"]);
    expect(await tus.offset(address)).toBe(0);
    const before = await videosMade();
    const first = { "Upload-Length": String(body.length), "Content-Type": OCTETS, "Content-Encoding": encoding };
    expect(codeOf(await tus.ask("POST", UPLOADS, first, body))).toEqual([415, "UNSUPPORTED_MEDIA_TYPE"]);
    expect(await videosMade()).toBe(before);
  });
});

/** A live connection, and what lies under it. `ended`: the code with which it ends. */
async function open(): Promise<{ socket: WebSocket; wire: Socket; ended: Promise<number> }> {
  const socket = new WebSocket(`${tus.url.replace("http", "ws")}/api/v1/live`, { perMessageDeflate: true });
  socket.on("error", () => {});
  const opened = once(socket, "open");
  const [{ socket: wire }] = (await once(socket, "upgrade")) as [IncomingMessage];
  await opened;
  return { socket, wire, ended: once(socket, "close").then(([code]) => code as number) };
}

describe("a live connection", () => {
  it("is never compressed, though the client offers it, and ends with a frame that claims to be", async () => {
    const { socket, wire, ended } = await open();
    expect(socket.extensions).toBe("");
    // FIN, RSV1 and text; masked with zeros, 3 bytes (RFC 6455, 5.2; RFC 7692, 6).
    wire.write(Buffer.from([0xc1, 0x83, 0, 0, 0, 0, 1, 2, 3]));
    expect(await ended).toBe(1002);
  });

  it("counts the pieces of a message together", async () => {
    const { socket, ended } = await open();
    socket.send("x".repeat(9000), { fin: false });
    socket.send("x".repeat(9000), { fin: true });
    expect(await ended).toBe(1009);
  });

  it("believes no length that a frame announces", async () => {
    const { wire, ended } = await open();
    // Eight bytes of length: 2^63 - 1, of which none follows.
    wire.write(Buffer.from([0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]));
    expect([1009, 1006]).toContain(await ended);
  });
});

const START = `POST ${VIDEO} HTTP/1.1\r\nHost: localhost\r\nContent-Type: video/mp4\r\n`;
const HIDDEN = "DELETE /api/v1/videos/0189abcd-0000-7000-8000-0000000000ff HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/** The statuses of everything that a connection answers to these bytes, until the server closes it; `cut`: the client sends no more. */
async function statusesOf(bytes: string, { cut = false } = {}): Promise<number[]> {
  const raw = await openRaw(tus.port);
  raw.socket.write(bytes, "latin1");
  if (cut) raw.socket.end();
  await raw.closed;
  return [...raw.received().matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
}

describe("a request of which two readers could make two different ones", () => {
  it.each([
    ["a length and chunks", `${START}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${HIDDEN}`],
    ["chunks and a length", `${START}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${HIDDEN}`],
    ["two lengths", `${START}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello${HIDDEN}`],
    ["one length twice", `${START}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello${HIDDEN}`],
    ["a list of lengths", `${START}Content-Length: 5, 6\r\n\r\nhello${HIDDEN}`],
    ["a length with a sign", `${START}Content-Length: +5\r\n\r\nhello${HIDDEN}`],
    ["a length below nothing", `${START}Content-Length: -5\r\n\r\nhello${HIDDEN}`],
    ["a length in base 16", `${START}Content-Length: 0x5\r\n\r\nhello${HIDDEN}`],
    ["a length that no number holds", `${START}Content-Length: 99999999999999999999999\r\n\r\nhello${HIDDEN}`],
    ["chunks that are not the last coding", `${START}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${HIDDEN}`],
    ["a coding that is none", `${START}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${HIDDEN}`],
    ["a name with a space behind it", `${START}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${HIDDEN}`],
    ["a chunk that is longer than it says", `${START}Transfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n${HIDDEN}`],
    [
      "a chunk of a length that no number holds",
      `${START}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello\r\n0\r\n\r\n${HIDDEN}`,
    ],
    ["a chunk of a length below nothing", `${START}Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n${HIDDEN}`],
    ["chunks with half a line end", `${START}Transfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n${HIDDEN}`],
    [
      "an extension of a chunk without end",
      `${START}Transfer-Encoding: chunked\r\n\r\n5;${"x".repeat(70_000)}\r\nhello\r\n0\r\n\r\n${HIDDEN}`,
    ],
    ["a NUL in a header", `${START}X-Title: a\0b\r\nContent-Length: 5\r\n\r\nhello${HIDDEN}`],
    ["a lone CR in a header", `${START}X-Title: a\rContent-Length: 5\r\n\r\nhello${HIDDEN}`],
    ["a line feed in its address", `GET /health/live\nX: y HTTP/1.1\r\nHost: localhost\r\n\r\n${HIDDEN}`],
  ])("is none: %s", async (_, bytes) => {
    const before = await videosMade();
    // The hidden one would have been answered as well.
    expect(await statusesOf(bytes)).toEqual([400]);
    expect(await videosMade()).toBe(before);
  });
});

describe("what the server refuses before anybody looks at it", () => {
  it.each([
    ["a request that names no host", "GET /health/live HTTP/1.1\r\n\r\n", 400],
    [
      "one that expects what there is not",
      "GET /health/live HTTP/1.1\r\nHost: localhost\r\nExpect: 200-ok\r\nConnection: close\r\n\r\n",
      417,
    ],
  ])("is answered, with the headers of every answer: %s", async (_, bytes, status) => {
    const raw = await openRaw(tus.port);
    raw.socket.write(bytes, "latin1");
    await raw.closed;
    expect(raw.received()).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(raw.received().match(/^content-security-policy: /gim)).toHaveLength(1);
    expect((await ask(tus.url, "/health/live")).status).toBe(200);
  });
});

describe("a request line that says another version than the connection speaks", () => {
  it.each([
    ["an address that there is", `GET /health/live HTTP/2.0\r\nHost: localhost\r\nConnection: close\r\n\r\n`],
    ["one that there is not", `GET /nothing HTTP/2.0\r\nHost: localhost\r\nConnection: close\r\n\r\n`],
    ["an upload", `${START.replace("1.1", "2.0")}Connection: close\r\nContent-Length: 5\r\n\r\nhello`],
  ])("is answered as the connection speaks: %s", async (_, bytes) => {
    const [status] = await statusesOf(bytes);
    expect([200, 202, 404]).toContain(status);
  });

  it.each(["0.9", "1.2", "2.1", "3.0", "9.9"])("is refused where it is no version at all: %s", async (version) => {
    expect(await statusesOf(`GET /health/live HTTP/${version}\r\nHost: localhost\r\nConnection: close\r\n\r\n`)).not.toContain(500);
    expect((await ask(tus.url, "/health/live")).status).toBe(200);
  });
});

const trailed = (trailers: string) => `${START}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n7\r\ntrailer\r\n0\r\n${trailers}\r\n`;

describe("a length that is a lie", () => {
  it("makes no video of a body that ends too early, counted or in chunks", async () => {
    const before = await videosMade();
    expect(await statusesOf(`${START}Content-Length: 50\r\n\r\nhello`, { cut: true })).toEqual([400]);
    expect(await statusesOf(`${START}Transfer-Encoding: chunked\r\n\r\n32\r\nhello`, { cut: true })).toEqual([400]);
    expect(await statusesOf(`${START}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`, { cut: true })).toEqual([400]);
    expect(await videosMade()).toBe(before);
  });

  it("takes of a body that goes on what was announced at most, and the rest for a request that is none", async () => {
    const before = await videosMade();
    const statuses = await statusesOf(`${START}Content-Length: 5\r\n\r\nhello, and more`);
    expect(statuses.at(-1)).toBe(400);
    const sizes = await rows<{ size: string }>(tus.cluster.db, "select source_size as size from videos order by created_at desc, id desc");
    expect(sizes.slice(0, sizes.length - before).every(({ size }) => size === "5")).toBe(true);
    expect(sizes.length - before).toBeLessThan(2);
  });

  it("is not mended by what stands behind the last chunk: a trailer is no header", async () => {
    expect(await statusesOf(trailed("X-Filename: evil.mp4\r\nContent-Encoding: gzip\r\n"))).toEqual([202]);
    const newest = await one<{ filename: string }>(tus.cluster.db, "select filename from videos order by created_at desc, id desc limit 1");
    expect(newest?.filename).not.toContain("evil");
    expect(await statusesOf(trailed("Content-Length: 9\r\n"))).toEqual([400]);
  });

  it.each(["-1", "0x10", "1e3", "1.5", "5, 6", "+5", "٥", "9223372036854775808", "99999999999999999999999", "NaN", "5 GiB"])(
    "is no length of an upload that can be resumed: %j",
    async (length) => {
      const answer = await tus.ask("POST", UPLOADS, {
        "Upload-Length": Buffer.from(length).toString("latin1"),
        "Upload-Metadata": metadata({ filename: "x" }),
      });
      expect([400, 413]).toContain(answer.status);
    },
  );

  it("moves no offset behind what has come: neither the offset nor the length of a piece is believed", async () => {
    const address = await tus.create({ "Upload-Length": "10" });
    expect((await tus.patch(address, 5, Buffer.from("hello"))).status).toBe(409);
    const { pathname } = new URL(address, tus.url);
    const piece = `PATCH ${pathname} HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nContent-Type: ${OCTETS}\r\n`;
    await statusesOf(`${piece}Content-Length: 10\r\n\r\nhel`, { cut: true });
    expect(await tus.offset(address)).toBeLessThanOrEqual(3);
    // The piece that was cut off may still be on its way into the upload: until it is, clients are asked to come again.
    const answered = await eventually(async () => {
      const { status } = await tus.patch(address, await tus.offset(address), Buffer.alloc(11));
      return [423, 409].includes(status) ? undefined : status;
    });
    expect(answered).toBe(413);
  });
});
