/** Uploads in one request: what becomes of their bytes, and that nothing stays behind when they go wrong. */
import { createHash } from "node:crypto";
import { failure } from "../../services/kernel/errors.ts";
import { uuid } from "../../services/kernel/schemas.ts";
import { startGateway, type RunningGateway } from "../support/catalogue.ts";
import { eventually } from "../support/eventually.ts";
import { ask, multipart, openRaw, type HttpAnswer, type HttpQuestion } from "../support/http.ts";

const target = "/api/v1/videos/upload";
const BYTES_MAX = 1_000_000;
const bytes = (length: number): Buffer => Buffer.alloc(length, "video ");
const sha256 = (data: Buffer): string => createHash("sha256").update(data).digest("hex");

interface VideoBody {
  id: string;
  title: string;
  description: string;
  tags: string[];
  visibility: string;
  size: number;
  status: string;
}
interface ResultBody {
  filename: string;
  status: number;
  video: VideoBody | null;
  error: { code: string; title: string; detail: string } | null;
}

let gateway: RunningGateway;
beforeAll(async () => {
  gateway = await startGateway({ env: { UPLOAD_BYTES_MAX: String(BYTES_MAX), UPLOAD_IDLE_SECONDS: "2", UPLOADS_AT_ONCE: "4" } });
});
afterAll(() => gateway.stop());
afterEach(async () => {
  gateway.catalogue.failures.clear();
  gateway.catalogue.waits.clear();
  // Nothing is left open, whatever a test did.
  await eventually(() => gateway.catalogue.open.size === 0, { what: "the end of every stream" });
});

const post = (question: HttpQuestion, query = ""): Promise<HttpAnswer> => ask(gateway.url, target + query, { method: "POST", ...question });
const raw = (body: Buffer, headers = {}, query = ""): Promise<HttpAnswer> =>
  post({ body, headers: { "Content-Type": "video/mp4", ...headers } }, query);
const videoIn = (answer: HttpAnswer): VideoBody => answer.json().data as VideoBody;
const code = (answer: HttpAnswer): [number, unknown] => [answer.status, answer.json().code];
const head = (headers: Record<string, string>): string =>
  `POST ${target} HTTP/1.1\r\nHost: localhost\r\n${Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("")}\r\n`;
const tags = (from: number, to: number): string => Array.from({ length: to - from }, (_, n) => `tag ${from + n}`).join(",");
const madeVideos = (): number => gateway.catalogue.calls.get("videos.create") ?? 0;

describe("a body that is the file", () => {
  it("becomes a video with a new id, and says where", async () => {
    const answer = await raw(bytes(300_000), { "X-Filename": "My film.mp4" });
    expect(answer.status).toBe(202);
    const data = videoIn(answer);
    expect(uuid.safeParse(data.id).success).toBe(true);
    expect(answer.headers.location).toBe(`/api/v1/videos/${data.id}`);
    expect(data).toMatchObject({ title: "My film", description: "", tags: [], visibility: "public", size: 300_000, status: "queued" });
    expect(gateway.catalogue.sources.get(data.id)).toEqual({ filename: "My film.mp4", blob: sha256(bytes(300_000)) });
  });

  it("is described by the query", async () => {
    const query = new URLSearchParams({
      filename: "../../etc/x.mov",
      title: " A\u0000 title ",
      description: "two\r\nlines",
      tags: "a, b,a",
      visibility: "private",
    });
    query.append("tags", "c");
    const data = videoIn(await raw(bytes(10), {}, `?${query.toString()}`));
    expect(data).toMatchObject({ title: "A title", description: "two\nlines", tags: ["a", "b", "c"], visibility: "private" });
    expect(gateway.catalogue.sources.get(data.id)?.filename).toBe("x.mov");
  });

  it.each(["video/mp4", "video/x-matroska", "VIDEO/MP4; codecs=avc1", "application/octet-stream", ""])("is taken as %s", async (type) => {
    const answer = await post({ body: bytes(5), headers: type === "" ? {} : { "Content-Type": type } });
    expect(answer.status).toBe(202);
  });

  it("is taken in chunks of unknown number", async () => {
    const answer = await raw(bytes(5), { "Transfer-Encoding": "chunked" });
    expect(videoIn(answer).size).toBe(5);
  });

  it("is asked for when the client waits to be asked", async () => {
    const connection = await openRaw(gateway.port);
    connection.socket.write(head({ "Content-Type": "video/mp4", "Content-Length": "5", Expect: "100-continue" }));
    await eventually(() => connection.received() === "HTTP/1.1 100 Continue\r\n\r\n");
    connection.socket.write("video");
    await eventually(() => connection.received().includes("\r\n\r\n{"));
    expect(connection.received()).toContain("HTTP/1.1 202 ");
    connection.socket.destroy();
  });
});

describe("a form", () => {
  it("with one file becomes one video", async () => {
    const answer = await post(
      multipart([
        { name: "title", content: "Über uns" },
        { name: "tags", content: "a,b" },
        { name: "tags", content: "c" },
        { name: "visibility", content: "unlisted" },
        { name: "file", filename: "x.mp4", content: bytes(200_000) },
      ]),
    );
    expect(answer.status).toBe(202);
    const data = videoIn(answer);
    expect(data).toMatchObject({ title: "Über uns", tags: ["a", "b", "c"], visibility: "unlisted", size: 200_000 });
    expect(gateway.catalogue.sources.get(data.id)).toEqual({ filename: "x.mp4", blob: sha256(bytes(200_000)) });
    expect(answer.headers.location).toBe(`/api/v1/videos/${data.id}`);
  });

  it("may have its fields behind the file, and empty ones", async () => {
    const answer = await post(
      multipart([
        { name: "file", filename: "x.mp4", content: bytes(10) },
        { name: "title", content: "" },
        { name: "description", content: "late" },
      ]),
    );
    expect(videoIn(answer)).toMatchObject({ title: "x", description: "late" });
  });

  it("with several files has a result for each, also for one that failed", async () => {
    const answer = await post(
      multipart([
        { name: "file", filename: "a.mp4", content: bytes(100) },
        { name: "file", filename: "empty.mp4", content: "" },
        { name: "file", filename: "b.mp4", content: bytes(200) },
      ]),
    );
    expect(answer.status).toBe(202);
    const data = answer.json().data as ResultBody[];
    expect(data.map(({ filename, status, video, error }) => [filename, status, video?.size ?? null, error?.code ?? null])).toEqual([
      ["a.mp4", 202, 100, null],
      ["empty.mp4", 400, null, "UPLOAD_EMPTY"],
      ["b.mp4", 202, 200, null],
    ]);
  });

  it.each<[string, Parameters<typeof multipart>[0], string]>([
    ["an unknown field", [{ name: "owner", content: "me" }], "owner"],
    ["a value that is not allowed", [{ name: "visibility", content: "secret" }], "visibility"],
    ["a title that is too long", [{ name: "title", content: "x".repeat(201) }], "title"],
    ["a title that is given twice", ["a", "b"].map((content) => ({ name: "title", content })), "title"],
    ["two answers to who may see it", ["private", "public"].map((content) => ({ name: "visibility", content })), "visibility"],
    ["a field of a megabyte", [{ name: "description", content: "x".repeat(900_000) }], "description"],
    ["a file in another field", [{ name: "movie", filename: "x.mp4", content: bytes(10) }], "movie"],
    ["too many files", Array.from({ length: 21 }, () => ({ name: "file", filename: "x.mp4", content: "x" })), "file"],
    ["too many fields", Array.from({ length: 41 }, () => ({ name: "tags", content: "" })), "file"],
  ])("with %s is refused, naming it, and makes no video", async (_, parts, path) => {
    const before = madeVideos();
    const answer = await post(multipart([...parts, { name: "file", filename: "x.mp4", content: bytes(100) }]));
    expect(code(answer)).toEqual([400, "INVALID_REQUEST"]);
    expect(answer.json().errors?.map((error) => error.path)).toEqual([path]);
    expect(madeVideos()).toBe(before);
  });

  it("is refused before its file when its fields together have too many tags, and each counts once", async () => {
    const form = (more: string) => [
      { name: "tags", content: tags(0, 20) },
      { name: "tags", content: more },
      { name: "file", filename: "x.mp4", content: bytes(100) },
    ];
    expect(videoIn(await post(multipart(form(tags(10, 30))))).tags).toHaveLength(30);
    const before = gateway.catalogue.calls.get("storage.write");
    const answer = await post(multipart(form(tags(10, 31))));
    expect(code(answer)).toEqual([400, "INVALID_REQUEST"]);
    expect(answer.json().errors?.map((error) => error.path)).toEqual(["tags"]);
    expect(gateway.catalogue.calls.get("storage.write")).toBe(before);
  });

  it("without a file is refused", async () => {
    const answer = await post(multipart([{ name: "title", content: "x" }]));
    expect(code(answer)).toEqual([400, "INVALID_REQUEST"]);
    expect(answer.json().errors).toEqual([{ path: "file", message: "is missing" }]);
  });

  it.each([
    ["no boundary", { headers: { "Content-Type": "multipart/form-data" }, body: "x" }],
    ["another boundary than announced", { headers: { "Content-Type": "multipart/form-data; boundary=other" }, body: "--x\r\n\r\n" }],
    ["no body", { headers: { "Content-Type": "multipart/form-data; boundary=x" } }],
    ["nothing but its end", { headers: { "Content-Type": "multipart/form-data; boundary=x" }, body: "--x--\r\n" }],
  ])("with %s is refused", async (_, question) => {
    expect(code(await post(question))).toEqual([400, "INVALID_REQUEST"]);
  });

  it("that ends in the middle of a file makes no video", async () => {
    const before = madeVideos();
    const { headers = {}, body } = multipart([{ name: "file", filename: "x.mp4", content: bytes(50_000) }]);
    expect(code(await post({ headers, body: body.subarray(0, 30_000) }))).toEqual([400, "INVALID_REQUEST"]);
    expect(madeVideos()).toBe(before);
  });
});

describe("what is refused before its bytes are read", () => {
  it("is more than the server takes, by its own announcement", async () => {
    const connection = await openRaw(gateway.port);
    connection.socket.write(head({ "Content-Type": "video/mp4", "Content-Length": String(BYTES_MAX + 1) }));
    await eventually(() => connection.received().includes('"UPLOAD_TOO_LARGE"'));
    expect(connection.received()).toMatch(/^HTTP\/1\.1 413 .*Connection: close/s);
    await connection.closed;
  });

  it("is not even asked for when the client waits to be asked", async () => {
    const connection = await openRaw(gateway.port);
    connection.socket.write(head({ "Content-Type": "video/mp4", "Content-Length": String(BYTES_MAX + 1), Expect: "100-continue" }));
    await eventually(() => connection.received().includes('"UPLOAD_TOO_LARGE"'));
    expect(connection.received()).toMatch(/^HTTP\/1\.1 413 /);
    await connection.closed;
  });

  it("shows the refusal to a client that sends everything first", async () => {
    const answer = await post({ body: bytes(3 * BYTES_MAX), headers: { "Content-Type": "video/mp4" } });
    expect(code(answer)).toEqual([413, "UPLOAD_TOO_LARGE"]);
    expect(code(await post({ body: bytes(500_000), headers: { "Content-Type": "text/plain" } }))).toEqual([415, "UNSUPPORTED_MEDIA_TYPE"]);
  });

  it("does not swallow gigabytes for it", async () => {
    const connection = await openRaw(gateway.port);
    connection.socket.write(head({ "Content-Type": "video/mp4", "Content-Length": String(50_000_000_000) }));
    const block = bytes(1_000_000);
    const pump = (): void => {
      while (!connection.socket.destroyed && connection.socket.write(block));
    };
    connection.socket.on("drain", pump);
    pump();
    await connection.closed;
    connection.socket.destroy();
    // The server drains 4 MiB; what lies in the buffers of both kernels comes on top.
    expect(connection.socket.bytesWritten).toBeLessThan(64_000_000);
    expect(connection.received()).toContain('"UPLOAD_TOO_LARGE"');
  });

  it.each([
    "text/plain",
    "application/x-www-form-urlencoded",
    "application/json",
    "image/png",
    "video/",
    "video/mp4/x",
    "multipart/mixed; boundary=x",
  ])("is another kind of content: %s", async (type) => {
    expect(code(await post({ body: bytes(10), headers: { "Content-Type": type } }))).toEqual([415, "UNSUPPORTED_MEDIA_TYPE"]);
  });

  it.each(["?nope=1", "?visibility=all", `?title=${"x".repeat(201)}`, "?title=a&title=b"])(
    "is a query that is not known: %s",
    async (query) => {
      expect(code(await raw(bytes(10), {}, query))).toEqual([400, "INVALID_REQUEST"]);
    },
  );

  it("is one upload too many, with a word when to come back", async () => {
    const held = Promise.withResolvers<void>();
    gateway.catalogue.waits.set("storage.write", held.promise);
    const running = Array.from({ length: 4 }, () => raw(bytes(10)));
    await eventually(() => gateway.catalogue.open.size === 4);
    const refused = await raw(bytes(100_000));
    expect(code(refused)).toEqual([503, "TOO_BUSY"]);
    expect(refused.headers["retry-after"]).toBe("5");
    held.resolve();
    expect((await Promise.all(running)).map(({ status }) => status)).toEqual([202, 202, 202, 202]);
    expect((await raw(bytes(10))).status).toBe(202);
  });
});

describe("what goes wrong on the way", () => {
  it.each([{ "Content-Length": "0" }, { "Transfer-Encoding": "chunked" }])("is a body without a byte: %j", async (headers) => {
    expect(code(await post({ headers: { "Content-Type": "video/mp4", ...headers } }))).toEqual([400, "UPLOAD_EMPTY"]);
  });

  it("is a body that grows beyond the limit without having said so", async () => {
    const answer = await raw(bytes(BYTES_MAX + 1), { "Transfer-Encoding": "chunked" });
    expect(code(answer)).toEqual([413, "UPLOAD_TOO_LARGE"]);
    expect((await raw(bytes(BYTES_MAX), { "Transfer-Encoding": "chunked" })).status).toBe(202);
  });

  it.each([
    ["a file", { "Content-Type": "video/mp4" }, "video"],
    [
      "a form",
      { "Content-Type": "multipart/form-data; boundary=x" },
      '--x\r\nContent-Disposition: form-data; name="file"; filename="x.mp4"\r\n\r\nvideo',
    ],
  ])("is a client that goes away in the middle of %s: everything ends, and nothing is made", async (_, headers, start) => {
    const before = madeVideos();
    const lines = gateway.log.length;
    const connection = await openRaw(gateway.port);
    connection.socket.write(head({ ...headers, "Content-Length": "900000" }) + start);
    await eventually(() => gateway.catalogue.open.size === 1);
    connection.socket.destroy();
    // Sooner than the end of patience with silence, which would end it too.
    await eventually(() => gateway.catalogue.open.size === 0, { timeoutMs: 1000 });
    const line = await eventually(() => gateway.log.slice(lines).find(({ message }) => message === "request"));
    expect(line.fields).toMatchObject({ aborted: true, status: null });
    expect(madeVideos()).toBe(before);
    expect(await uploadsRunning()).toBe(0);
  });

  it.each([
    ["a file", { "Content-Type": "video/mp4" }, "video"],
    [
      "a form",
      { "Content-Type": "multipart/form-data; boundary=x" },
      '--x\r\nContent-Disposition: form-data; name="file"; filename="x.mp4"\r\n\r\nvideo',
    ],
  ])("is a body that ends before its announced length, in %s", async (_, headers, start) => {
    const connection = await openRaw(gateway.port);
    connection.socket.write(head({ ...headers, "Content-Length": "900000" }) + start);
    await eventually(() => gateway.catalogue.open.size === 1);
    connection.socket.end();
    await connection.closed;
    expect(connection.received()).toMatch(/^HTTP\/1\.1 400 .*"LENGTH_MISMATCH"/s);
  });

  it.each([
    ["a file", { "Content-Type": "video/mp4" }, "video"],
    [
      "a form",
      { "Content-Type": "multipart/form-data; boundary=x" },
      '--x\r\nContent-Disposition: form-data; name="file"; filename="x.mp4"\r\n\r\nvideo',
    ],
  ])("is a client that falls silent in the middle of %s", async (_, headers, start) => {
    const connection = await openRaw(gateway.port);
    connection.socket.write(head({ ...headers, "Content-Length": "900000" }) + start);
    await eventually(() => connection.received().includes('"UPLOAD_STALLED"'), { timeoutMs: 60_000 });
    expect(connection.received()).toMatch(/^HTTP\/1\.1 408 .*Connection: close/s);
    await connection.closed;
  });

  it("is not a client that must wait for slow disks", async () => {
    const held = Promise.withResolvers<void>();
    gateway.catalogue.waits.set("storage.write", held.promise);
    const answer = raw(bytes(900_000));
    const startedAt = performance.now();
    // Longer than the server bears silence: here it is the server that is silent.
    await eventually(() => performance.now() - startedAt > 2500);
    held.resolve();
    expect((await answer).status).toBe(202);
  });

  it.each([
    ["a file", (): Promise<HttpAnswer> => raw(bytes(900_000))],
    ["a form", (): Promise<HttpAnswer> => post(multipart([{ name: "file", filename: "x.mp4", content: bytes(900_000) }]))],
  ])("is storage that fails under %s: the reason arrives, and the connection does not hang", async (_, upload) => {
    gateway.catalogue.failures.set("storage.write", failure("NOT_ENOUGH_DISKS", "Disks 10.0.0.1 and 10.0.0.2 do not answer."));
    const answer = await upload();
    expect(code(answer)).toEqual([503, "NOT_ENOUGH_DISKS"]);
    expect(answer.body.toString()).not.toContain("10.0.0");
    expect(await uploadsRunning()).toBe(0);
  });

  it("is a catalogue that fails: for one file the whole answer, for several a result each", async () => {
    gateway.catalogue.failures.set("videos.create", Object.assign(new Error("gone"), { type: "DATABASE_UNAVAILABLE" }));
    expect(code(await raw(bytes(10)))).toEqual([503, "DATABASE_UNAVAILABLE"]);
    const two = multipart([
      { name: "file", filename: "a.mp4", content: "a" },
      { name: "file", filename: "b.mp4", content: "b" },
    ]);
    expect(code(await post(two))).toEqual([503, "DATABASE_UNAVAILABLE"]);
  });
});

it("takes no more uploads than leave two buffers free", async () => {
  const small = await startGateway({ env: { WRITE_BUFFERS: "4" } });
  const held = Promise.withResolvers<void>();
  small.catalogue.waits.set("storage.write", held.promise);
  const upload = (): Promise<HttpAnswer> => ask(small.url, target, { method: "POST", body: bytes(10) });
  const running = [upload(), upload()];
  await eventually(() => small.catalogue.open.size === 2);
  expect(code(await upload())).toEqual([503, "TOO_BUSY"]);
  held.resolve();
  expect((await Promise.all(running)).map(({ status }) => status)).toEqual([202, 202]);
  await small.stop();
});

/** All places for uploads are free when as many as there are can be taken at once. */
async function uploadsRunning(): Promise<number> {
  const answers = await Promise.all(Array.from({ length: 4 }, () => raw(bytes(10))));
  const busy = answers.filter(({ body }) => body.includes("TOO_BUSY"));
  return busy.length;
}
