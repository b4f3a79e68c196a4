/** The gateway's manners: what it refuses, in which words, and what every answer carries. */
import { randomUUID } from "node:crypto";
import { Errors } from "moleculer";
import { disk, keepPlayable, startGateway, videoOf, type RunningGateway } from "../support/catalogue.ts";
import { eventually } from "../support/eventually.ts";
import { ask, openRaw, type HttpAnswer, type JsonBody } from "../support/http.ts";

const id = "0189abcd-0000-7000-8000-00000000000f";
let gateway: RunningGateway;
const get = (target: string, question = {}): Promise<HttpAnswer> => ask(gateway.url, target, question);

beforeAll(async () => {
  gateway = await startGateway();
  keepPlayable(gateway.catalogue, id);
});
afterAll(() => gateway.stop());

/** The body of an answer that must be a problem document, with nothing of the inside in it. */
function problemIn(answer: HttpAnswer): JsonBody {
  const problem = answer.json();
  expect(answer.headers["content-type"]).toBe("application/problem+json");
  expect(answer.headers["cache-control"]).toBe("no-store");
  expect(problem.status).toBe(answer.status);
  expect(problem.requestId).toBe(answer.headers["x-request-id"]);
  expect(Object.keys(problem)).not.toContain("stack");
  expect(answer.body.toString()).not.toMatch(/node_modules|\.ts\b|at \w+ \(|select /i);
  return problem;
}

describe("reading videos", () => {
  beforeAll(() => {
    for (let n = 0; n < 30; n++) {
      const other = randomUUID();
      gateway.catalogue.videos.set(other, videoOf({ id: other, title: `Number ${n}`, status: "queued" }));
    }
  });

  it("lists them with their place in the whole and links onwards", async () => {
    const answer = await get("/api/v1/videos?limit=10&page=2");
    const { data, meta } = answer.json();
    expect(data).toHaveLength(10);
    expect(meta).toEqual({ page: 2, limit: 10, total: 31, totalEstimated: false, hasMore: true, nextCursor: "20", corrected: null });
    expect(answer.headers.link).toBe(
      '</api/v1/videos?page=1&limit=10>; rel="first", </api/v1/videos?page=1&limit=10>; rel="prev", ' +
        '</api/v1/videos?page=3&limit=10>; rel="next", </api/v1/videos?page=4&limit=10>; rel="last"',
    );
  });

  it("follows its own links by cursor to every video once", async () => {
    const seen: string[] = [];
    let next: string | undefined = "/api/v1/videos?limit=7&cursor=0";
    while (next !== undefined) {
      const answer: HttpAnswer = await get(next);
      seen.push(...(answer.json().data as { id: string }[]).map((video) => video.id));
      next = /<([^>]+)>; rel="next"/.exec(String(answer.headers.link))?.[1];
    }
    expect(new Set(seen).size).toBe(31);
    expect(seen).toHaveLength(31);
  });

  it("lists those of one status, and says so in its links", async () => {
    const answer = await get("/api/v1/videos?status=ready");
    expect(answer.json().data).toHaveLength(1);
    expect(answer.headers.link).toContain("status=ready");
  });

  it("gives one video with its addresses, and its status", async () => {
    const { data } = (await get(`/api/v1/videos/${id}`)).json();
    expect(data).toMatchObject({
      id,
      title: "Playable",
      manifests: { dash: `/api/v1/videos/${id}/manifest.mpd`, hls: `/api/v1/videos/${id}/master.m3u8` },
      thumbnail: `/api/v1/videos/${id}/thumbnail.jpg`,
    });
    expect(data).not.toHaveProperty("hasThumbnail");
    const status = (await get(`/api/v1/videos/${id}/status`)).json();
    expect(status.data).toMatchObject({ id, status: "ready", playable: true });
  });

  it("says that there is no such video", async () => {
    expect(problemIn(await get(`/api/v1/videos/${randomUUID()}`))).toMatchObject({ status: 404, code: "VIDEO_NOT_FOUND" });
    expect(problemIn(await get(`/api/v1/videos/${randomUUID()}/manifest.mpd`))).toMatchObject({ status: 404, code: "VIDEO_NOT_FOUND" });
    expect(problemIn(await get(`/api/v1/videos/${randomUUID()}/thumbnail.jpg`))).toMatchObject({ status: 404, code: "PICTURE_NOT_FOUND" });
    expect(problemIn(await get(`/api/v1/videos/${randomUUID()}`, { method: "DELETE" }))).toMatchObject({
      status: 404,
      code: "VIDEO_NOT_FOUND",
    });
  });

  it("deletes one: 204, and it is gone from everywhere at once", async () => {
    const gone = randomUUID();
    keepPlayable(gateway.catalogue, gone);
    const segment = `/api/v1/videos/${gone}/streams/1/720p/1.m4s`;
    expect((await get(segment)).status).toBe(200);
    const answer = await get(`/api/v1/videos/${gone}`, { method: "DELETE" });
    expect([answer.status, answer.body.length]).toEqual([204, 0]);
    for (const target of [`/api/v1/videos/${gone}`, segment, `/api/v1/videos/${gone}/manifest.mpd`]) {
      expect((await get(target)).status).toBe(404);
    }
  });
});

describe("what is not in the interface", () => {
  it.each([
    "/nope",
    "/api",
    "/api/v1",
    "/api/v1/video",
    `/api/v1/videos/${id}/nope`,
    "/API/V1/VIDEOS",
    "/gateway/rest",
    "/~node/services",
    "*",
  ])("is 404: %s", async (target) => {
    expect(problemIn(await get(target))).toMatchObject({ status: 404, code: "ROUTE_NOT_FOUND" });
  });

  it("is no way to call an action of any service", async () => {
    for (const target of [
      "/gateway/listAliases",
      "/list-aliases",
      "/videos/get?id=1",
      "/api/v1/videos.get",
      "/$node/services",
      "/storage/fetch",
    ]) {
      for (const method of ["GET", "POST"])
        expect(problemIn(await get(target, { method }))).toMatchObject({ status: 404, code: "ROUTE_NOT_FOUND" });
    }
  });

  it.each([
    ["PUT", "/api/v1/videos", "GET, HEAD, OPTIONS"],
    ["POST", "/api/v1/videos", "GET, HEAD, OPTIONS"],
    ["GET", "/api/v1/videos/upload", "POST, OPTIONS"],
    ["HEAD", "/api/v1/videos/upload", "POST, OPTIONS"],
    ["PUT", `/api/v1/videos/${id}`, "GET, HEAD, PATCH, DELETE, OPTIONS"],
    ["DELETE", `/api/v1/videos/${id}/streams/1/720p/1.m4s`, "GET, HEAD, OPTIONS"],
    ["POST", "/", "GET, HEAD, OPTIONS"],
  ])("is 405 by its method: %s %s", async (method, target, allow) => {
    const answer = await get(target, { method });
    expect([answer.status, answer.headers.allow]).toEqual([405, allow]);
    expect(answer.body.length === 0 || answer.json().code === "METHOD_NOT_ALLOWED").toBe(true);
  });

  it("answers OPTIONS with the methods, and lets no other origin in", async () => {
    const headers = { Origin: "https://elsewhere.example", "Access-Control-Request-Method": "DELETE" };
    const answer = await get(`/api/v1/videos/${id}`, { method: "OPTIONS", headers });
    expect([answer.status, answer.headers.allow]).toEqual([204, "GET, HEAD, PATCH, DELETE, OPTIONS"]);
    expect(Object.keys(answer.headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
    expect(problemIn(await get("/nope", { method: "OPTIONS" }))).toMatchObject({ status: 404, code: "ROUTE_NOT_FOUND" });
  });

  it.each([
    ["/api/v1/videos?nope=1", ["nope"]],
    ["/api/v1/videos?nope=1&__proto__=2", ["nope", "__proto__"]],
    ["/api/v1/videos?limit=0", ["limit"]],
    ["/api/v1/videos?limit=101&page=0", ["page", "limit"]],
    ["/api/v1/videos?page=1e3", ["page"]],
    ["/api/v1/videos?page=1&page=2", ["page"]],
    ["/api/v1/videos?page[]=1", ["page[]"]],
    ["/api/v1/videos?status=deleted", ["status"]],
    ["/api/v1/videos?page=1&cursor=x", ["cursor"]],
    [`/api/v1/videos/${id}?fields=x`, ["fields"]],
    [`/api/v1/videos/${id}/manifest.mpd?x`, ["x"]],
    [`/api/v1/videos/${id}/streams/1/720p/1.m4s?x=1`, ["x"]],
    ["/health?deep=1", ["deep"]],
  ])("is 400 by its query, naming it: %s", async (target, paths) => {
    const problem = problemIn(await get(target));
    expect(problem).toMatchObject({ status: 400, code: "INVALID_REQUEST" });
    expect(problem.errors?.map(({ path }) => path)).toEqual(paths);
    expect(problem.instance).not.toContain("?");
  });
});

describe("parameters in addresses", () => {
  const evil = [
    "..",
    "%2e%2e",
    "..%2f..%2fetc%2fpasswd",
    "..%5c..%5cwindows",
    "%2fetc%2fpasswd",
    "....%2f%2f",
    "%00",
    "1%00",
    "1%0a",
    "%252e%252e%252f",
    "%c0%ae%c0%ae%c0%af",
    "%ff",
    "%zz",
    "-1",
    "0",
    "01",
    "1.5",
    "1e1",
    "9999999999",
    "NaN",
    "constructor",
    "__proto__",
    "'%20or%201=1--",
    "{}",
    "$Number$",
    "%F0%9F%90%99",
    "a".repeat(3000),
    id.toUpperCase(),
    `${id}%20`,
    `{${id}}`,
  ];
  const places: [string, (value: string) => string][] = [
    ["id", (value) => `/api/v1/videos/${value}`],
    ["id of the status", (value) => `/api/v1/videos/${value}/status`],
    ["id of a manifest", (value) => `/api/v1/videos/${value}/manifest.mpd`],
    ["id of a picture", (value) => `/api/v1/videos/${value}/thumbnail.jpg`],
    ["id of a segment", (value) => `/api/v1/videos/${value}/streams/1/720p/1.m4s`],
    ["revision", (value) => `/api/v1/videos/${id}/streams/${value}/720p/1.m4s`],
    ["rendition", (value) => `/api/v1/videos/${id}/streams/1/${value}/1.m4s`],
    ["rendition of a playlist", (value) => `/api/v1/videos/${id}/streams/1/${value}/playlist.m3u8`],
    ["rendition of an initialisation", (value) => `/api/v1/videos/${id}/streams/1/${value}/init.mp4`],
    ["number", (value) => `/api/v1/videos/${id}/streams/1/720p/${value}.m4s`],
    ["id of the page", (value) => `/watch/${value}`],
    ["name of a file", (value) => `/assets/${value}`],
  ];

  it.each(places)("reach nothing but what their schema allows: %s", async (_, place) => {
    const before = new Map(gateway.catalogue.calls);
    for (const value of evil) {
      const answer = await get(place(value));
      expect([400, 404]).toContain(answer.status);
      expect(answer.headers["content-type"]).toBe("application/problem+json");
      expect(answer.body.toString()).not.toMatch(/root:|node_modules|\.ts\b/);
    }
    expect(gateway.catalogue.calls).toEqual(before);
  });

  it("are named in the refusal", async () => {
    const problem = problemIn(await get("/api/v1/videos/..%2f..%2fetc"));
    expect(problem).toMatchObject({ status: 404, code: "ROUTE_NOT_FOUND" });
    expect(problem.errors).toEqual([{ path: "id", message: "must be a UUID in lower case" }]);
  });
});

describe("every answer", () => {
  it.each([`/api/v1/videos`, `/api/v1/videos/${id}`, `/api/v1/videos/${id}/status`, "/health", "/health/live", "/health/ready", "/nope"])(
    "is the same for HEAD as for GET, without its body: %s",
    async (target) => {
      const [full, head] = [await get(target), await get(target, { method: "HEAD" })];
      expect(head.status).toBe(full.status);
      expect(head.body).toHaveLength(0);
      expect(head.headers["content-type"]).toBe(full.headers["content-type"]);
    },
  );

  it("carries a request id: the client's own when it is fit for a log, else a new one", async () => {
    const own = await get("/api/v1/videos", { headers: { "X-Request-Id": "client.id-1234" } });
    expect(own.headers["x-request-id"]).toBe("client.id-1234");
    for (const bad of ["short", "x".repeat(65), "with space in", "a\u00e9bcdefgh"]) {
      const answer = await get("/nope", { headers: { "X-Request-Id": bad, "X-Correlation-Id": "not-this-one" } });
      expect(answer.headers["x-request-id"]).toMatch(/^[0-9a-f-]{36}$/);
    }
  });

  it.each(["/", "/nope", `/api/v1/videos/${id}`, `/api/v1/videos/${id}/streams/1/720p/1.m4s`])(
    "tells browsers what it may not do: %s",
    async (target) => {
      const { headers } = await get(target);
      expect(headers["x-content-type-options"]).toBe("nosniff");
      expect(headers["referrer-policy"]).toBe("no-referrer");
      expect(headers["content-security-policy"]).toMatch(/script-src 'self';/);
      expect(headers["content-security-policy"]).toMatch(/media-src 'self' blob:/);
      expect(headers["x-powered-by"]).toBeUndefined();
    },
  );

  it("is one line in the log, with the pattern of its address and not the address", async () => {
    const requestId = `log-test-${id}`.slice(0, 36);
    const answer = await get(`/api/v1/videos/${id}?token=secret`, { headers: { "X-Request-Id": requestId } });
    const lines = await eventually(() => {
      const found = gateway.log.filter(({ fields }) => fields.requestId === requestId);
      return found.length > 0 ? found : undefined;
    });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toEqual({
      level: "info",
      message: "request",
      fields: {
        requestId,
        method: "GET",
        route: "/api/v1/videos/:id",
        status: 400,
        bytes: expect.any(Number) as number,
        ms: expect.any(Number) as number,
        aborted: false,
        client: "127.0.0.1",
        user: null,
        dependencies: {},
      },
    });
    expect(lines[0]?.fields.bytes).toBeGreaterThan(answer.body.length);
    expect(JSON.stringify(lines)).not.toContain("secret");
  });
});

describe("when something is broken behind it", () => {
  afterEach(() => gateway.catalogue.failures.clear());

  it.each([
    ["a bug", new Error("select * from videos at run (/srv/tritontube/x.ts:1)"), 500, "INTERNAL"],
    ["a missing service", new Errors.ServiceNotFoundError({ action: "videos.get" }), 503, "SERVICE_UNAVAILABLE"],
    ["a time-out", new Errors.RequestTimeoutError({ action: "videos.get", nodeID: "x" }), 503, "SERVICE_UNAVAILABLE"],
  ])("%s is a problem without its insides", async (_, error, status, code) => {
    gateway.catalogue.failures.set("videos.get", error);
    const answer = await get(`/api/v1/videos/${randomUUID()}`);
    expect(problemIn(answer)).toMatchObject({ status, code });
    expect(answer.headers["retry-after"]).toBe(status === 503 ? "5" : undefined);
    const line = gateway.log.find(
      ({ fields, message }) => message === "request failed" && fields.requestId === answer.headers["x-request-id"],
    );
    expect(line?.fields.err).toBeDefined();
  });

  it("a request that is no HTTP is answered in the same form", async () => {
    const raw = await openRaw(gateway.port);
    raw.socket.write("GET / HTTP/1.1\r\nHost: localhost\r\nbad header\r\n\r\n");
    await raw.closed;
    expect(raw.received()).toMatch(/^HTTP\/1\.1 400 .*application\/problem\+json.*"code":"INVALID_REQUEST"/s);
  });

  it("headers without end are refused", async () => {
    const raw = await openRaw(gateway.port);
    raw.socket.write(`GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: ${"x".repeat(20_000)}\r\n\r\n`);
    await raw.closed;
    expect(raw.received()).toMatch(/^HTTP\/1\.1 431 .*application\/problem\+json/s);
  });

  it("a body that nobody asked for is not read without end", async () => {
    const raw = await openRaw(gateway.port);
    raw.socket.write("GET /health/live HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n");
    await eventually(() => raw.received().includes("\r\n\r\n"));
    expect(raw.received()).toMatch(/^HTTP\/1\.1 200 .*Connection: close/s);
    await raw.closed;
  });
});

/** Reports are shared for a second, so a change shows in one of the next. */
const reportThatIs = async (status: string) =>
  await eventually(async () => {
    const answer = await get("/health");
    const { status: said, checks } = answer.json();
    return said === status ? { checks: checks as Record<string, object>, code: answer.status } : undefined;
  });

describe("health", () => {
  afterEach(() => {
    gateway.catalogue.failures.clear();
    gateway.catalogue.waits.clear();
    gateway.catalogue.disks = [disk("a", "up"), disk("b", "up"), disk("c", "up")];
  });

  it("is well when every part is, at the root and below the base", async () => {
    await reportThatIs("ok");
    for (const target of ["/health", "/api/v1/health"]) {
      const answer = await get(target);
      expect(answer.status).toBe(200);
      expect(answer.json()).toEqual({
        status: "ok",
        version: expect.stringMatching(/^\d+\.\d+\.\d+/) as string,
        uptime: expect.any(Number) as number,
        checks: {
          database: { status: "ok", roundTripMs: 1 },
          broker: { status: "ok", nodes: 1 },
          disks: { status: "ok", up: 3, down: 0 },
          queue: { status: "ok", queued: 2, running: 1, failed: 0, oldestS: 5 },
          transcoder: { status: "ok", running: 1, slots: 1 },
        },
      });
    }
  });

  it("is worse without a transcoder or one disk, and videos still play", async () => {
    gateway.catalogue.failures.set("transcoder.info", new Errors.ServiceNotFoundError({ action: "transcoder.info" }));
    gateway.catalogue.disks = [disk("a", "up"), disk("b", "up"), disk("c", "down")];
    const { code, checks } = await reportThatIs("degraded");
    expect(code).toBe(200);
    expect(checks.transcoder).toEqual({ status: "down", error: "SERVICE_UNAVAILABLE" });
    expect(checks.disks).toEqual({ status: "degraded", up: 2, down: 1 });
  });

  it("is down without a quorum of disks", async () => {
    gateway.catalogue.disks = [disk("a", "up"), disk("b", "down"), disk("c", "down")];
    const { code, checks } = await reportThatIs("down");
    expect(code).toBe(503);
    expect(checks.disks).toMatchObject({ status: "down" });
  });

  it("is down when the database does not answer in time, and says so in time", async () => {
    await reportThatIs("ok");
    const held = Promise.withResolvers<void>();
    gateway.catalogue.waits.set("videos.health", held.promise);
    const startedAt = performance.now();
    const { code, checks } = await reportThatIs("down");
    expect(code).toBe(503);
    expect(checks.database).toEqual({ status: "down", error: "TIMEOUT" });
    expect(performance.now() - startedAt).toBeLessThan(5000);
    expect((await get("/health/live")).status).toBe(200);
    held.resolve();
  });
});
