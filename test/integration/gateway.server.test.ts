/** The server itself: other origins, proxies, limits, compression. */
import { randomUUID } from "node:crypto";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import limitsService from "../../services/limits/limits.service.ts";
import { keepPlayable, startGateway, videoOf, type RunningGateway } from "../support/catalogue.ts";
import { eventually } from "../support/eventually.ts";
import { ask, type HttpAnswer } from "../support/http.ts";
import { startWithPeople, type GatewayWithPeople } from "../support/people.ts";
import { testDatabase } from "../support/postgres.ts";

const id = "0189abcd-0000-7000-8000-0000000000b1";
const API = "/api/v1";

describe("pages of other origins", () => {
  const origin = "https://app.example";
  let gateway: RunningGateway;
  beforeAll(async () => {
    gateway = await startGateway({ env: { AUTH_MODE: "none", CORS_ORIGINS: `${origin},https://two.example:8443` } });
    keepPlayable(gateway.catalogue, id);
  });
  afterAll(() => gateway.stop());

  const from = (Origin: string, method = "GET", headers = {}): Promise<HttpAnswer> =>
    ask(gateway.url, `${API}/videos/${id}`, { method, headers: { Origin, ...headers } });

  it.each([origin, "https://two.example:8443"])("that are let in by name may read the answer: %s", async (name) => {
    const { status, headers } = await from(name);
    expect([status, headers["access-control-allow-origin"], headers["vary"]]).toEqual([200, name, expect.stringContaining("Origin")]);
    expect(headers["access-control-expose-headers"]).toContain("RateLimit");
    expect(headers["access-control-allow-credentials"]).toBeUndefined();
  });

  it("are asked for their name exactly: no part, no other port, no scheme alike, no star", async () => {
    const names = [
      "https://app.exampl",
      "https://app.example.evil",
      "http://app.example",
      "https://app.example:444",
      "h",
      "null",
      "*",
      "https://two.example",
    ];
    for (const name of names) expect((await from(name)).headers["access-control-allow-origin"]).toBeUndefined();
  });

  it("learn by a preflight what they may send, and others nothing", async () => {
    const asks = { "Access-Control-Request-Method": "DELETE", "Access-Control-Request-Headers": "authorization" };
    const let_in = await from(origin, "OPTIONS", asks);
    expect([let_in.status, let_in.headers["access-control-allow-methods"]]).toEqual([204, expect.stringContaining("DELETE")]);
    expect(let_in.headers["access-control-allow-headers"]).toContain("Authorization");
    expect(let_in.headers["access-control-max-age"]).toBe("600");
    const shut_out = await from("https://evil.example", "OPTIONS", asks);
    expect(Object.keys(shut_out.headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
  });

  it("may change something when they are let in, and not else", async () => {
    expect((await from("https://evil.example", "DELETE")).json().code).toBe("FORBIDDEN_ORIGIN");
    expect((await from(origin, "DELETE", { "Sec-Fetch-Site": "cross-site" })).status).toBe(204);
  });
});

describe("limits", () => {
  let gateway: GatewayWithPeople;
  beforeAll(async () => {
    gateway = await startWithPeople({ RATE_LIMITS: "true", TRUSTED_PROXIES: "127.0.0.1", CORS_ORIGINS: "" });
  });
  afterAll(() => gateway.stop());
  const get = (address: string, headers = {}): Promise<HttpAnswer> =>
    ask(gateway.url, `${API}/tokens`, { headers: { "X-Forwarded-For": address, ...headers } });

  const thumbnail = (query: string): Promise<HttpAnswer> =>
    ask(gateway.url, `${API}/videos/${randomUUID()}/thumbnail.jpg${query}`, { headers: { "X-Forwarded-For": "192.0.2.200" } });

  it("count by user wherever they are, and say in each answer what is left", async () => {
    const ann = await gateway.person("uploader");
    const first = await get("192.0.2.1", ann.headers);
    expect(first.headers["ratelimit-policy"]).toBe('"write";q=120;w=60');
    expect(first.headers["ratelimit"]).toMatch(/^"write";r=119;t=\d+$/);
    const refused = (await untilRefused((index) => get(`192.0.2.${index % 256}`, ann.headers))).find(({ status }) => status === 429);
    expect(refused?.json().code).toBe("RATE_LIMITED");
    expect(Number(refused?.headers["retry-after"])).toBeGreaterThan(0);
    expect((await get("192.0.2.1", (await gateway.person("uploader")).headers)).status).toBe(200);
  });

  it("count by address who shows nothing, and a /64 of IPv6 as one", async () => {
    const answers = await untilRefused((index) => get(`2001:db8:1:2:${index.toString(16)}::1`));
    expect(statusesOf(answers)).toEqual(new Set([401, 429]));
    expect((await get("2001:db8:1:3::1")).status).toBe(401);
  });

  it("are not evaded by an address that the client makes up in front of the proxy's own word", async () => {
    const answers = await untilRefused((index) => get(`10.9.8.${index % 256}, 198.51.100.7`));
    expect(statusesOf(answers)).toEqual(new Set([401, 429]));
  });

  it.each([
    ["IPv4", ["198.51.100.20", "::ffff:198.51.100.20", "::FFFF:c633:6414", "0:0:0:0:0:ffff:198.51.100.20", "0000::ffff:c633:6414"]],
    ["IPv6", ["2001:db8:7:9::1", "2001:DB8:7:9::2", "2001:0db8:0007:0009:0:0:0:3", "2001:db8:7:9:0::4%eth0", "2001:db8:7:9:a:b:192.0.2.1"]],
  ])("are not evaded by another spelling of an address of %s", async (_, spellings) => {
    const answers = await untilAllRefused((index) => get(spellings[index % spellings.length]!));
    expect(statusesOf(answers)).toEqual(new Set([401, 429]));
    expect(letIn(answers)).toBeLessThan(LET_IN_MAX);
  });

  it("are not evaded by a header that no proxy of ours writes", async () => {
    const names = ["X-Real-IP", "Forwarded", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP"];
    const answers = await untilAllRefused((index) => {
      const name = names[index % names.length]!;
      return get("198.51.100.40", { [name]: `${name === "Forwarded" ? "for=" : ""}192.0.2.${index % 256}` });
    });
    expect(statusesOf(answers)).toEqual(new Set([401, 429]));
    expect(letIn(answers)).toBeLessThan(LET_IN_MAX);
  });

  it("are not evaded by another spelling of a path, nor by another path of the same kind", async () => {
    const paths = [
      "/tokens",
      "/tokens?",
      "/%74okens",
      "/tokens/",
      "//tokens",
      "/TOKENS",
      "/tokens?x=1",
      "/./tokens",
      `/users/${randomUUID()}`,
    ];
    const answers = await untilAllRefused((index) =>
      ask(gateway.url, `${API}${paths[index % paths.length]}`, { headers: { "X-Forwarded-For": "198.51.100.60" } }),
    );
    expect(letIn(answers)).toBeLessThan(LET_IN_MAX);
    const others = answers.filter(({ status }) => status !== 401 && status !== 429);
    expect(others.filter(({ status }) => status < 400 || status >= 500)).toEqual([]);
  });

  it("count single frames of videos apart from what a player reads", async () => {
    expect((await thumbnail("")).headers["ratelimit-policy"]).toBe('"media";q=6000;w=60');
    expect((await thumbnail("?t=1")).headers["ratelimit-policy"]).toBe('"still";q=120;w=60');
    expect(statusesOf(await untilRefused((index) => thumbnail(`?t=${index}`)))).toEqual(new Set([404, 429]));
    expect((await thumbnail("")).status).toBe(404);
  });

  it("end the guessing of tokens sooner than reading", async () => {
    const answers = await untilRefused((index) => get("198.51.100.9", { Authorization: `Bearer guess${index}` }));
    expect(answers.filter(({ status }) => status === 401).length).toBeGreaterThanOrEqual(60);
    // Where a guess is refused, one who shows nothing is still asked to sign in.
    expect((await get("198.51.100.9")).json().code).toBe("UNAUTHENTICATED");
  });
});

it("is not told who asks by a peer that is no proxy of ours", async () => {
  const gateway = await startWithPeople({ RATE_LIMITS: "true", TRUSTED_PROXIES: "10.0.0.0/8", CORS_ORIGINS: "" });
  try {
    const answers = await untilRefused((index) =>
      ask(gateway.url, `${API}/tokens`, { headers: { "X-Forwarded-For": `192.0.2.${index % 256}` } }),
    );
    expect(statusesOf(answers)).toEqual(new Set([401, 429]));
  } finally {
    await gateway.stop();
  }
});

/** Those that were let in: a limit of its own for each of five ways would let in 600. */
const letIn = (answers: readonly HttpAnswer[]): number => answers.filter(({ status }) => status === 401).length;
const LET_IN_MAX = 240;

/** Asks a thousand times at most, until most of what is asked at once is refused. */
async function untilAllRefused(once: (index: number) => Promise<HttpAnswer>): Promise<HttpAnswer[]> {
  const answers: HttpAnswer[] = [];
  for (;;) {
    const some = await Promise.all(Array.from({ length: 50 }, (_, index) => once(answers.length + index)));
    answers.push(...some);
    if (letIn(some) < 10 || answers.length >= 1000) return answers;
  }
}

/** Asks until it is refused: what is let in meanwhile depends on how long it takes, since some of it comes back each second. */
async function untilRefused(once: (index: number) => Promise<HttpAnswer>): Promise<HttpAnswer[]> {
  const answers: HttpAnswer[] = [];
  while (answers.length < 1000 && !answers.some(({ status }) => status === 429)) {
    answers.push(...(await Promise.all(Array.from({ length: 25 }, (_, index) => once(answers.length + index)))));
  }
  return answers;
}

const statusesOf = (answers: readonly HttpAnswer[]): Set<number> => new Set(answers.map(({ status }) => status));

it("counts together what two gateways see", async () => {
  const database = await testDatabase();
  const env = { AUTH_MODE: "none", RATE_LIMITS: "true", TRUSTED_PROXIES: "127.0.0.1", CORS_ORIGINS: "", DATABASE_URL: database.url };
  const gateways = [await startGateway({ env, services: [limitsService] }), await startGateway({ env, services: [limitsService] })];
  try {
    const left = async (gateway: RunningGateway | undefined): Promise<number> => {
      const { headers } = await ask(gateway?.url ?? "", `${API}/session`, { headers: { "X-Forwarded-For": "203.0.113.5" } });
      return Number(/r=(\d+)/.exec(String(headers["ratelimit"]))?.[1]);
    };
    for (let index = 0; index < 200; index++) await left(gateways[0]);
    // The second learns of it with what it tells itself; meanwhile the bucket leaks ten a second.
    expect(await eventually(async () => (await left(gateways[1])) < 450)).toBe(true);
  } finally {
    await Promise.all(gateways.map((gateway) => gateway.stop()));
    await database.drop();
  }
});

describe("compression", () => {
  let gateway: RunningGateway;
  beforeAll(async () => {
    gateway = await startGateway({ env: { AUTH_MODE: "none", RATE_LIMITS: "false", TRUSTED_PROXIES: "", CORS_ORIGINS: "" } });
    keepPlayable(gateway.catalogue, id, 200);
    for (let index = 0; index < 20; index++) {
      const each = `0189abcd-0000-7000-8000-00000000c0${index.toString(16).padStart(2, "0")}`;
      gateway.catalogue.videos.set(each, videoOf({ id: each }));
    }
  });
  afterAll(() => gateway.stop());
  const get = (path: string, headers = {}): Promise<HttpAnswer> => ask(gateway.url, `${API}${path}`, { headers });

  it.each([
    ["br", brotliDecompressSync],
    ["gzip", gunzipSync],
  ] as const)("shortens lists and manifests by %s for who takes it, and says that it did", async (encoding, open) => {
    for (const path of ["/videos", `/videos/${id}/streams/1/720p/playlist.m3u8`]) {
      const [whole, short] = [await get(path), await get(path, { "Accept-Encoding": encoding })];
      expect([whole.headers["content-encoding"], short.headers["content-encoding"]]).toEqual([undefined, encoding]);
      for (const { headers } of [whole, short]) expect(headers["vary"]).toContain("Accept-Encoding");
      expect(short.body.length).toBeLessThan(whole.body.length / 2);
      expect(Number(short.headers["content-length"])).toBe(short.body.length);
      expect(open(short.body).equals(whole.body)).toBe(true);
    }
  });

  it("names other bytes otherwise, and knows each by its own name", async () => {
    const path = `/videos/${id}/streams/1/720p/playlist.m3u8`;
    const tags = [(await get(path)).headers.etag, (await get(path, { "Accept-Encoding": "br" })).headers.etag];
    expect(new Set(tags).size).toBe(2);
    expect((await get(path, { "Accept-Encoding": "br", "If-None-Match": tags[1] })).status).toBe(304);
    expect((await get(path, { "If-None-Match": tags[0] })).status).toBe(304);
    expect((await get(path, { "If-None-Match": tags[1] })).status).toBe(200);
  });

  it("leaves media, ranges, small answers and refusals of it as they are", async () => {
    const media = `/videos/${id}/streams/1/720p/1.m4s`;
    const playlist = `/videos/${id}/streams/1/720p/playlist.m3u8`;
    const answers = [
      await get(media, { "Accept-Encoding": "br" }),
      await get(playlist, { "Accept-Encoding": "br", Range: "bytes=0-9" }),
      await get("/session", { "Accept-Encoding": "br" }),
      await get("/videos", { "Accept-Encoding": "br;q=0, gzip;q=0" }),
      await get("/videos", { "Accept-Encoding": "identity" }),
    ];
    expect(answers.map(({ headers }) => headers["content-encoding"])).toEqual(Array.from({ length: 5 }, () => undefined));
  });
});

it.each([
  ["application/xml", 406],
  ["text/html;q=0.9, image/*", 406],
  ["application/json;q=0", 406],
  ["*/*", 200],
  ["application/*", 200],
  ["text/html, application/json;q=0.1", 200],
])("answers JSON to who takes it: %s → %i", async (Accept, status) => {
  const gateway = await startGateway({ env: { AUTH_MODE: "none", RATE_LIMITS: "false", TRUSTED_PROXIES: "", CORS_ORIGINS: "" } });
  const answer = await ask(gateway.url, `${API}/videos`, { headers: { Accept } });
  await gateway.stop();
  expect(answer.status).toBe(status);
});
