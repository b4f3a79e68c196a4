/** The tus protocol, statement by statement, against a gateway with real disks and a real database. */
import { createHash, randomUUID } from "node:crypto";
import { execute, rows } from "../../mixins/database/sql.ts";
import { CHUNK_BYTES_MAX } from "../../services/kernel/limits.ts";
import { bytesOf } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { ask, openRaw, type HttpAnswer } from "../support/http.ts";
import { metadata, OCTETS, sha256, startTusGateway, UPLOADS, type TusGateway } from "../support/tus.ts";

const BYTES_MAX = 40 * 1024 * 1024;
let tus: TusGateway;
beforeAll(async () => {
  tus = await startTusGateway({ UPLOAD_BYTES_MAX: String(BYTES_MAX), UPLOAD_IDLE_SECONDS: "4", UPLOADS_OPEN_MAX: "1000" });
}, 240_000);
afterAll(() => tus.stop());

const code = (answer: HttpAnswer): [number, unknown] => [answer.status, answer.json().code];
const nowhere = (): string => `${UPLOADS}/${randomUUID()}`;
const videoOf = async (address: string): Promise<Record<string, unknown>> => {
  const id = String((await tus.ask("HEAD", address)).headers["x-video-id"]);
  return (await ask(tus.url, `/api/v1/videos/${id}`)).json().data as Record<string, unknown>;
};

async function slowPatch(address: string, length: number, first: Buffer) {
  const raw = await openRaw(tus.port);
  raw.socket.write(
    `PATCH ${address} HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\nContent-Type: ${OCTETS}\r\nUpload-Offset: 0\r\nContent-Length: ${length}\r\n\r\n`,
  );
  await new Promise((resolve) => raw.socket.write(first, resolve));
  const id = address.split("/").at(-1) ?? "";
  await eventually(async () => (await rows(tus.cluster.db, "select 1 from uploads where id = $1 and fence > 0", [id])).length > 0);
  return raw;
}

const checksum = (algorithm: string, bytes: Buffer): Record<string, string> => ({
  "Upload-Checksum": `${algorithm} ${createHash(algorithm).update(bytes).digest("base64")}`,
});

async function partial(bytes: Buffer): Promise<string> {
  const address = await tus.create({ "Upload-Length": String(bytes.length), "Upload-Concat": "partial" });
  expect((await tus.patch(address, 0, bytes)).status).toBe(204);
  return address;
}

describe("every request", () => {
  it("is answered with the version of the protocol, also when it is refused", async () => {
    const address = await tus.create({ "Upload-Length": "5" });
    for (const [method, at] of [
      ["HEAD", address],
      ["PATCH", address],
      ["POST", UPLOADS],
      ["HEAD", nowhere()],
      ["DELETE", nowhere()],
    ] as const) {
      expect((await tus.ask(method, at)).headers["tus-resumable"]).toBe("1.0.0");
    }
  });

  it.each([["0.2.2"], ["1.0.1"], [""]])(
    "that speaks version %p is refused with 412 and the versions that are spoken, and changes nothing",
    async (version) => {
      const address = await tus.create({ "Upload-Length": "5" });
      const answer = await tus.patch(address, 0, bytesOf(5), { "Tus-Resumable": version });
      expect(code(answer)).toEqual([412, "UPLOAD_PROTOCOL_UNSUPPORTED"]);
      expect(answer.headers["tus-version"]).toBe("1.0.0");
      expect(await tus.offset(address)).toBe(0);
    },
  );

  it("may be a POST that says which method it stands for", async () => {
    const address = await tus.create({ "Upload-Length": "5" });
    const bytes = bytesOf(5);
    const override = async (method: string, headers: Record<string, string> = {}, body?: Buffer) =>
      await tus.ask("POST", address, { "X-HTTP-Method-Override": method, ...headers }, body);
    expect((await override("PATCH", { "Content-Type": OCTETS, "Upload-Offset": "0" }, bytes)).status).toBe(204);
    expect((await override("HEAD")).headers["upload-offset"]).toBe("5");
    expect((await override("DELETE")).status).toBe(204);
    expect(code(await override("BREW"))).toEqual([400, "INVALID_REQUEST"]);
  });
});

describe("OPTIONS", () => {
  it("tells versions, extensions, the largest upload and checksums, and needs no version itself", async () => {
    for (const path of [UPLOADS, nowhere()]) {
      const answer = await ask(tus.url, path, { method: "OPTIONS" });
      expect(answer.status).toBe(204);
      expect(answer.headers).toMatchObject({
        "tus-version": "1.0.0",
        "tus-max-size": String(BYTES_MAX),
        "tus-extension": "creation,creation-with-upload,creation-defer-length,expiration,checksum,termination,concatenation",
        "tus-checksum-algorithm": "sha1,sha256,sha512,md5",
      });
      expect(answer.headers["access-control-allow-origin"]).toBeUndefined();
    }
  });
});

describe("HEAD", () => {
  it("tells offset, length, metadata, expiry and the video, and is kept by no cache", async () => {
    const said = metadata({ filename: "a film.mp4", title: "Ein Füllfilm" });
    const address = await tus.create({ "Upload-Length": "10", "Upload-Metadata": said });
    await tus.patch(address, 0, bytesOf(4));
    const { status, headers } = await tus.ask("HEAD", address);
    expect(status).toBe(200);
    expect(headers).toMatchObject({ "upload-offset": "4", "upload-length": "10", "upload-metadata": said, "cache-control": "no-store" });
    expect(Date.parse(headers["upload-expires"] as string)).toBeGreaterThan(Date.now() + 23 * 3_600_000);
    expect(headers["x-video-id"]).toMatch(/^[0-9a-f-]{36}$/);
  });

  it("answers 404 without an offset for what is not there", async () => {
    const { status, headers } = await tus.ask("HEAD", nowhere());
    expect([status, headers["upload-offset"]]).toEqual([404, undefined]);
  });
});

describe("PATCH", () => {
  it("appends at the offset, answers the new one, and makes a video of all that came", async () => {
    const bytes = bytesOf(2 * CHUNK_BYTES_MAX + 12_345);
    const address = await tus.create({ "Upload-Length": String(bytes.length), "Upload-Metadata": metadata({ filename: "film.mp4" }) });
    const first = await tus.patch(address, 0, bytes.subarray(0, 1_000_000));
    expect([first.status, first.headers["upload-offset"], first.body.length]).toEqual([204, "1000000", 0]);
    const last = await tus.patch(address, 1_000_000, bytes.subarray(1_000_000));
    expect([last.status, last.headers["upload-offset"]]).toEqual([204, String(bytes.length)]);
    expect(await tus.stored(address)).toBe(sha256(bytes));
    expect(await videoOf(address)).toMatchObject({ status: "queued", title: "film", size: bytes.length });
  }, 240_000);

  it("refuses another offset than the upload's with 409, and keeps nothing of it", async () => {
    const address = await tus.create({ "Upload-Length": "10" });
    await tus.patch(address, 0, bytesOf(4));
    for (const offset of [0, 3, 5, 10, 11])
      expect(code(await tus.patch(address, offset, bytesOf(1)))).toEqual([409, "UPLOAD_OFFSET_CONFLICT"]);
    expect(await tus.offset(address)).toBe(4);
  });

  it.each([["-1"], ["1.0"], ["0x0"], [" "], ["1e1"]])("refuses the offset %p with 400", async (offset) => {
    const address = await tus.create({ "Upload-Length": "10" });
    expect(code(await tus.patch(address, 0, bytesOf(1), { "Upload-Offset": offset }))).toEqual([400, "INVALID_REQUEST"]);
  });

  it("takes only the protocol's type of content", async () => {
    const address = await tus.create({ "Upload-Length": "10" });
    for (const type of ["application/octet-stream", "video/mp4", "text/plain"])
      expect(code(await tus.patch(address, 0, bytesOf(1), { "Content-Type": type }))).toEqual([415, "UNSUPPORTED_MEDIA_TYPE"]);
    expect(code(await tus.ask("PATCH", address, { "Upload-Offset": "0" }, bytesOf(1)))).toEqual([415, "UNSUPPORTED_MEDIA_TYPE"]);
    expect(code(await tus.ask("PATCH", address, { "Content-Type": OCTETS }, bytesOf(1)))).toEqual([400, "INVALID_REQUEST"]);
  });

  it("answers 404 for what is not there", async () => {
    expect(code(await tus.patch(nowhere(), 0, bytesOf(1)))).toEqual([404, "UPLOAD_NOT_FOUND"]);
  });

  it("takes no byte beyond the length, whether they are announced or not", async () => {
    const address = await tus.create({ "Upload-Length": "10" });
    expect(code(await tus.patch(address, 0, bytesOf(11)))).toEqual([413, "UPLOAD_TOO_LARGE"]);
    const chunked = await tus.patch(address, 0, bytesOf(11), { "Transfer-Encoding": "chunked" });
    expect(code(chunked)).toEqual([413, "UPLOAD_TOO_LARGE"]);
    expect(await tus.offset(address)).toBeLessThanOrEqual(10);
  });

  it("keeps what came before the connection broke, up to the last byte", async () => {
    const bytes = bytesOf(CHUNK_BYTES_MAX + 3_000_000);
    const address = await tus.create({ "Upload-Length": String(bytes.length) });
    const sent = bytes.length - 1_000_000;
    const raw = await openRaw(tus.port);
    raw.socket.write(
      `PATCH ${address} HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\nContent-Type: ${OCTETS}\r\nUpload-Offset: 0\r\nContent-Length: ${bytes.length}\r\n\r\n`,
    );
    await new Promise((resolve) => raw.socket.write(bytes.subarray(0, sent), resolve));
    await eventually(async () => (await tus.offset(address)) === CHUNK_BYTES_MAX, { what: "the first part" });
    raw.socket.destroy();
    const offset = await eventually(async () => {
      const now = await tus.offset(address);
      return now > CHUNK_BYTES_MAX ? now : 0;
    });
    expect(offset).toBeLessThanOrEqual(sent);
    expect((await tus.patch(address, offset, bytes.subarray(offset))).status).toBe(204);
    expect(await tus.stored(address)).toBe(sha256(bytes));
  }, 240_000);
});

describe("two requests for one upload", () => {
  it("do not both send: the second is refused while the first goes on", async () => {
    const bytes = bytesOf(2000);
    const address = await tus.create({ "Upload-Length": "2000" });
    const first = await slowPatch(address, 2000, bytes.subarray(0, 500));
    expect(code(await tus.patch(address, 0, bytes))).toEqual([423, "UPLOAD_LOCKED"]);
    first.socket.write(bytes.subarray(500));
    await eventually(() => first.received().startsWith("HTTP/1.1 204"));
    expect(await tus.stored(address)).toBe(sha256(bytes));
    first.socket.destroy();
  });

  it("hand over when the first one's client has fallen silent: what it sent is kept, and the second goes on behind it", async () => {
    const bytes = bytesOf(2000);
    const address = await tus.create({ "Upload-Length": "2000" });
    const first = await slowPatch(address, 2000, bytes.subarray(0, 500));
    const id = address.split("/").at(-1) ?? "";
    await eventually(async () => (await rows(tus.cluster.db, "select 1 from uploads where id = $1 and idle", [id])).length > 0);
    // On a busy machine the handing over takes longer than a request waits for it: clients come again after 423.
    await eventually(async () => code(await tus.patch(address, 0, bytes))[1] === "UPLOAD_OFFSET_CONFLICT");
    expect(await tus.offset(address)).toBe(500);
    expect((await tus.patch(address, 500, bytes.subarray(500))).status).toBe(204);
    expect(await tus.stored(address)).toBe(sha256(bytes));
    await first.closed;
  }, 240_000);
});

describe("creation", () => {
  it("answers where the upload is and which video waits for it", async () => {
    const answer = await tus.ask("POST", UPLOADS, {
      "Upload-Length": "10",
      "Upload-Metadata": metadata({
        filename: "../../x.mov",
        filetype: "video/quicktime",
        title: " A title ",
        description: "two\nlines",
        tags: "a,b",
        visibility: "unlisted",
      }),
    });
    expect(answer.status).toBe(201);
    expect(answer.headers["content-length"]).toBe("0");
    expect(answer.headers.location).toMatch(/^\/api\/v1\/uploads\/[0-9a-f-]{36}$/);
    const id = String(answer.headers["x-video-id"]);
    const video = (await ask(tus.url, `/api/v1/videos/${id}`)).json().data;
    expect(video).toMatchObject({
      status: "uploading",
      title: "A title",
      description: "two\nlines",
      tags: ["a", "b"],
      visibility: "unlisted",
      size: 10,
      playable: false,
    });
  });

  it("takes the first bytes along", async () => {
    const bytes = bytesOf(1000);
    const answer = await tus.ask("POST", UPLOADS, { "Upload-Length": "1000", "Content-Type": OCTETS }, bytes.subarray(0, 400));
    expect([answer.status, answer.headers["upload-offset"]]).toEqual([201, "400"]);
    const address = answer.headers.location ?? "";
    await tus.patch(address, 400, bytes.subarray(400));
    expect(await tus.stored(address)).toBe(sha256(bytes));
    const whole = await tus.ask("POST", UPLOADS, { "Upload-Length": "1000", "Content-Type": OCTETS }, bytes);
    expect(await tus.stored(whole.headers.location ?? "")).toBe(sha256(bytes));
  });

  it("may tell the length later, once", async () => {
    const bytes = bytesOf(1000);
    const address = await tus.create({ "Upload-Defer-Length": "1" });
    const before = await tus.ask("HEAD", address);
    expect([before.headers["upload-defer-length"], before.headers["upload-length"]]).toEqual(["1", undefined]);
    await tus.patch(address, 0, bytes.subarray(0, 400));
    expect(code(await tus.patch(address, 400, bytes.subarray(400), { "Upload-Length": "399" }))).toEqual([400, "INVALID_REQUEST"]);
    expect((await tus.patch(address, 400, bytes.subarray(400), { "Upload-Length": "1000" })).status).toBe(204);
    const after = await tus.ask("HEAD", address);
    expect([after.headers["upload-defer-length"], after.headers["upload-length"]]).toEqual([undefined, "1000"]);
    expect(code(await tus.patch(address, 1000, Buffer.alloc(0), { "Upload-Length": "1000" }))).toEqual([400, "INVALID_REQUEST"]);
    expect(await tus.stored(address)).toBe(sha256(bytes));
  });

  it.each([
    ["no length", {}, 400],
    ["a length that is no number", { "Upload-Length": "ten" }, 400],
    ["a negative length", { "Upload-Length": "-1" }, 400],
    ["a length and its absence", { "Upload-Length": "1", "Upload-Defer-Length": "1" }, 400],
    ["a strange absence", { "Upload-Defer-Length": "2" }, 400],
    ["nothing to upload", { "Upload-Length": "0" }, 400],
    ["more than the server takes", { "Upload-Length": String(BYTES_MAX + 1) }, 413],
    ["metadata that is not Base64", { "Upload-Length": "1", "Upload-Metadata": "filename !!!" }, 400],
    ["a key twice", { "Upload-Length": "1", "Upload-Metadata": "title YQ==,title Yg==" }, 400],
    ["a key that is not known", { "Upload-Length": "1", "Upload-Metadata": metadata({ owner: "me" }) }, 400],
    ["a title that is too long", { "Upload-Length": "1", "Upload-Metadata": metadata({ title: "x".repeat(201) }) }, 400],
    ["a file that is no video", { "Upload-Length": "1", "Upload-Metadata": metadata({ filetype: "text/html" }) }, 400],
    ["metadata without an end", { "Upload-Length": "1", "Upload-Metadata": metadata({ description: "x".repeat(9300) }) }, 400],
  ])("refuses %s, and makes no video", async (_what, headers, status) => {
    const before = await rows(tus.cluster.db, "select 1 from videos");
    expect((await tus.ask("POST", UPLOADS, headers as Record<string, string>)).status).toBe(status);
    expect(await rows(tus.cluster.db, "select 1 from videos")).toHaveLength(before.length);
  });

  it("makes several at once, each with a result of its own", async () => {
    const body = { uploads: [{ length: 10, filename: "one.mp4" }, { filename: "two.mp4", title: "Two" }, { length: BYTES_MAX + 1 }] };
    const answer = await ask(tus.url, `${UPLOADS}/batch`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    const data = answer.json().data as { status: number; location: string; video: { title: string }; error: { code: string } }[];
    expect(answer.status).toBe(207);
    expect(data.map(({ status, video, error }) => [status, video?.title, error?.code])).toEqual([
      [201, "one", undefined],
      [201, "Two", undefined],
      [413, undefined, "UPLOAD_TOO_LARGE"],
    ]);
    expect((await tus.patch(data[0]?.location ?? "", 0, bytesOf(10))).status).toBe(204);
  });
});

describe("a checksum", () => {
  it.each([["sha1"], ["sha256"], ["sha512"], ["md5"]])("in %s lets the bytes in that it is of, and no others", async (algorithm) => {
    const bytes = bytesOf(1000);
    const address = await tus.create({ "Upload-Length": "1000" });
    expect(code(await tus.patch(address, 0, bytes.subarray(0, 300), checksum(algorithm, bytes)))).toEqual([
      460,
      "UPLOAD_CHECKSUM_MISMATCH",
    ]);
    expect(await tus.offset(address)).toBe(0);
    expect((await tus.patch(address, 0, bytes, checksum(algorithm, bytes))).headers["upload-offset"]).toBe("1000");
    expect(await tus.stored(address)).toBe(sha256(bytes));
  });

  it("that is none, or of a kind that is not offered, is refused with 400", async () => {
    const address = await tus.create({ "Upload-Length": "10" });
    for (const wrong of ["crc99 AAAA", "sha1", "sha1 not base64!", "sha1  AAAA", "constructor AAAA"])
      expect(code(await tus.patch(address, 0, bytesOf(10), { "Upload-Checksum": wrong }))).toEqual([400, "INVALID_REQUEST"]);
    expect(await tus.offset(address)).toBe(0);
  });
});

describe("expiration", () => {
  it("answers 410 for an upload whose time is over, and moves that time on with each part", async () => {
    const address = await tus.create({ "Upload-Length": "10" });
    const id = address.split("/").at(-1) ?? "";
    await execute(tus.cluster.db, "update uploads set expires_at = now() + interval '1 hour' where id = $1", [id]);
    const { headers } = await tus.patch(address, 0, bytesOf(5));
    expect(Date.parse(headers["upload-expires"] as string)).toBeGreaterThan(Date.now() + 23 * 3_600_000);
    await execute(tus.cluster.db, "update uploads set expires_at = now() - interval '1 s' where id = $1", [id]);
    expect((await tus.ask("HEAD", address)).status).toBe(410);
    expect(code(await tus.patch(address, 5, bytesOf(5)))).toEqual([410, "UPLOAD_EXPIRED"]);
  });
});

describe("termination", () => {
  it("ends an upload with its video; afterwards it is not there", async () => {
    const address = await tus.create({ "Upload-Length": "10" });
    const video = String((await tus.ask("HEAD", address)).headers["x-video-id"]);
    await tus.patch(address, 0, bytesOf(5));
    expect((await tus.ask("DELETE", address)).status).toBe(204);
    expect((await tus.ask("HEAD", address)).status).toBe(404);
    expect(code(await tus.patch(address, 5, bytesOf(5)))).toEqual([404, "UPLOAD_NOT_FOUND"]);
    expect((await ask(tus.url, `/api/v1/videos/${video}`)).status).toBe(404);
    expect(code(await tus.ask("DELETE", address))).toEqual([404, "UPLOAD_NOT_FOUND"]);
  });
});

describe("concatenation", () => {
  it("joins partial uploads in the order of the request", async () => {
    const parts = [bytesOf(CHUNK_BYTES_MAX + 5), bytesOf(1000), bytesOf(7)];
    const [one = "", two = "", three = ""] = await Promise.all(parts.map(partial));
    const concat = `final;${one} ${tus.url}${two} ${three}`;
    const answer = await tus.ask("POST", UPLOADS, { "Upload-Concat": concat, "Upload-Metadata": metadata({ filename: "joined.mp4" }) });
    expect(answer.status).toBe(201);
    const address = answer.headers.location ?? "";
    const bytes = Buffer.concat(parts);
    const head = await tus.ask("HEAD", address);
    expect(head.headers).toMatchObject({
      "upload-concat": concat,
      "upload-length": String(bytes.length),
      "upload-offset": String(bytes.length),
    });
    expect(await tus.stored(address)).toBe(sha256(bytes));
    expect(await videoOf(address)).toMatchObject({ title: "joined", size: bytes.length });
  }, 240_000);

  it("makes no video of a partial upload, and says what it is", async () => {
    const address = await partial(bytesOf(10));
    const { headers } = await tus.ask("HEAD", address);
    expect([headers["upload-concat"], headers["x-video-id"]]).toEqual(["partial", undefined]);
  });

  it("lets nobody append to a final upload", async () => {
    const address = await tus.create({ "Upload-Concat": `final;${await partial(bytesOf(10))}` });
    expect(code(await tus.patch(address, 10, bytesOf(1)))).toEqual([403, "UPLOAD_IS_FINAL"]);
  });

  it("refuses what cannot be joined, and makes no video", async () => {
    const open = await tus.create({ "Upload-Length": "10", "Upload-Concat": "partial" });
    const whole = await tus.create({ "Upload-Length": "10" });
    const before = await rows(tus.cluster.db, "select 1 from videos");
    for (const [concat, status] of [
      [`final;${open}`, 409],
      [`final;${whole}`, 404],
      [`final;${nowhere()}`, 404],
      ["final;https://elsewhere.example/x", 404],
      ["final;", 400],
      ["partially", 400],
    ] as const) {
      expect((await tus.ask("POST", UPLOADS, { "Upload-Concat": concat })).status).toBe(status);
    }
    expect((await tus.ask("POST", UPLOADS, { "Upload-Concat": `final;${open}`, "Upload-Length": "10" })).status).toBe(400);
    expect(await rows(tus.cluster.db, "select 1 from videos")).toHaveLength(before.length);
  });
});
