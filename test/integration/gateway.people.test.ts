/** Who is let in, with what, and what is kept of it. */
import { execute } from "../../mixins/database/sql.ts";
import { ask, type HttpAnswer, type HttpQuestion } from "../support/http.ts";
import { eventually } from "../support/eventually.ts";
import { keepPlayable } from "../support/catalogue.ts";
import { PASSWORD, startWithPeople, type GatewayWithPeople, type Person } from "../support/people.ts";

const API = "/api/v1";
const id = "0189abcd-0000-7000-8000-0000000000a1";
const other = "0189abcd-0000-7000-8000-0000000000a2";
let gateway: GatewayWithPeople;
let admin: Person;
let ann: Person;
let viewer: Person;

beforeAll(async () => {
  gateway = await startWithPeople({ AUTH_MODE: "basic" });
  admin = await gateway.person("admin", "root");
  ann = await gateway.person("uploader", "ann");
  viewer = await gateway.person("viewer", "eve");
  for (const each of [id, other]) keepPlayable(gateway.catalogue, each);
});
afterAll(() => gateway.stop());

const get = (path: string, headers: Record<string, string> = {}): Promise<HttpAnswer> => ask(gateway.url, `${API}${path}`, { headers });
const send = (method: string, path: string, { headers = {}, body }: { headers?: HttpQuestion["headers"]; body?: unknown } = {}) =>
  ask(gateway.url, `${API}${path}`, {
    method,
    headers: { ...headers, ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
const open = (target: string): Promise<HttpAnswer> => ask(gateway.url, target);
const seen = (answer: HttpAnswer): unknown[] => [answer.status, answer.json().code ?? answer.json().data];
const basic = (name: string, password: string) => ({ Authorization: `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}` });

/** What a browser that opened our own page sends along. */
const fromPage = (cookie?: string): Record<string, string> => ({
  Origin: gateway.url,
  "Sec-Fetch-Site": "same-origin",
  ...(cookie === undefined ? {} : { Cookie: cookie }),
});

async function signIn(name = "ann", password = PASSWORD): Promise<{ answer: HttpAnswer; cookie: string }> {
  const answer = await send("POST", "/session", { headers: fromPage(), body: { name, password } });
  return { answer, cookie: answer.headers["set-cookie"]?.[0]?.split(";")[0] ?? "" };
}

describe("whoever shows nothing", () => {
  it("is anonymous, and may read", async () => {
    expect(seen(await get("/session"))).toEqual([200, { mode: "basic", role: "anonymous", user: null }]);
    expect((await get("/videos")).status).toBe(200);
  });

  it.each([
    ["POST", "/videos/upload"],
    ["DELETE", `/videos/${id}`],
    ["GET", "/users"],
    ["GET", "/tokens"],
    ["GET", "/admin/audit"],
    ["POST", `/videos/${id}/signature`],
  ])("is told to sign in for %s %s, and how", async (method, path) => {
    const answer = await send(method, path);
    expect(seen(answer)).toEqual([401, "UNAUTHENTICATED"]);
    expect(answer.headers["www-authenticate"]).toBe('Basic realm="TritonTube", charset="UTF-8", Bearer realm="TritonTube"');
    expect((await send(method, path, { headers: { "Sec-Fetch-Site": "same-origin" } })).headers["www-authenticate"]).not.toContain("Basic");
  });
});

describe("a token", () => {
  it("speaks for its user", async () => {
    const { data } = (await get("/session", ann.headers)).json() as { data: { role: string; user: unknown } };
    expect(data).toEqual({ mode: "basic", role: "uploader", user: ann.user });
  });

  it.each([
    ["unknown", "Bearer tritontube_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"],
    ["empty", "Bearer "],
    ["of no kind that is known", "Digest username=x"],
    ["with SQL in it", "Bearer ' or 1=1 --"],
    ["in two", "Bearer a b"],
  ])("that is %s is refused, also where nothing has to be shown", async (_, Authorization) => {
    expect(seen(await get("/videos", { Authorization }))).toEqual([401, "UNAUTHENTICATED"]);
  });

  it("lets nobody in any more from the moment that it is revoked", async () => {
    const made = (await send("POST", "/tokens", { headers: ann.headers, body: { name: "ci" } })).json() as {
      data: { id: string; secret: string };
    };
    const headers = { Authorization: `Bearer ${made.data.secret}` };
    expect((await get("/tokens", headers)).status).toBe(200);
    expect((await send("DELETE", `/tokens/${made.data.id}`, { headers: viewer.headers })).status).toBe(404);
    expect((await send("DELETE", `/tokens/${made.data.id}`, { headers: ann.headers })).status).toBe(204);
    expect(await eventually(async () => (await get("/tokens", headers)).status === 401)).toBe(true);
  });

  it("that leaked into an address or a form is none", async () => {
    expect((await get(`/videos?token=${ann.token}`)).status).toBe(400);
    expect((await get("/tokens", { Cookie: `tritontube=${ann.token}` })).status).toBe(401);
  });
});

describe("a name and a password with each request", () => {
  it("speak for their user", async () => {
    expect((await get("/tokens", basic("ANN", PASSWORD))).status).toBe(200);
    expect(seen(await get("/videos", basic("ann", "wrong")))).toEqual([401, "UNAUTHENTICATED"]);
  });

  it("are proved once a minute, not with each request", async () => {
    await get("/tokens", basic("ann", PASSWORD));
    const asked = jest.spyOn(gateway.broker, "call");
    for (let index = 0; index < 5; index++) expect((await get("/tokens", basic("ann", PASSWORD))).status).toBe(200);
    expect(asked.mock.calls.map(([action]) => action)).toEqual(Array.from({ length: 5 }, () => "users.tokens"));
    asked.mockRestore();
  });
});

describe("a session", () => {
  it("is a cookie that no script reads and no other site sends", async () => {
    const { answer } = await signIn();
    expect(answer.status).toBe(201);
    expect(answer.headers["set-cookie"]).toEqual([
      expect.stringMatching(/^tritontube=session_[\w-]{43}; Path=\/; Max-Age=1209[56]\d\d; HttpOnly; SameSite=Strict$/),
    ]);
    expect(answer.headers["cache-control"]).toBe("no-store");
    expect(answer.body.toString()).not.toContain("session_");
  });

  it("speaks for its user until the sign-out, and a cookie of old for nobody", async () => {
    const { cookie } = await signIn();
    expect((await get("/tokens", fromPage(cookie))).status).toBe(200);
    const out = await send("DELETE", "/session", { headers: fromPage(cookie) });
    expect([out.status, out.headers["set-cookie"]?.[0]]).toEqual([204, "tritontube=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict"]);
    expect(await eventually(async () => (await get("/tokens", fromPage(cookie))).status === 401)).toBe(true);
    expect((await get("/videos", { Cookie: cookie })).status).toBe(200);
  });

  it.each<[string, Record<string, string>]>([
    ["another site", { Origin: "https://evil.example", "Sec-Fetch-Site": "cross-site" }],
    ["another site, in an old browser", { Origin: "https://evil.example" }],
    ["a page without an origin", { Origin: "null" }],
    ["another port", { Origin: "http://127.0.0.1:1", "Sec-Fetch-Site": "same-site" }],
    ["something that says nothing of where it is", {}],
  ])("changes nothing for %s (CSRF)", async (_, headers) => {
    const { cookie } = await signIn();
    const answer = await send("DELETE", `/videos/${id}`, { headers: { ...headers, Cookie: cookie } });
    expect([401, 403]).toContain(answer.status);
    expect(gateway.catalogue.videos.has(id)).toBe(true);
  });

  it("is refused in the same words for a wrong name and a wrong password", async () => {
    const [wrong, nobody] = [(await signIn("ann", "wrong")).answer, (await signIn("nobody-1")).answer];
    expect({ ...wrong.json(), requestId: "" }).toEqual({ ...nobody.json(), requestId: "" });
    expect(wrong.status).toBe(401);
  });

  it("is refused after some wrong passwords, with the time after which to try again", async () => {
    await gateway.person("viewer", "victim");
    const tries = await Promise.all(Array.from({ length: 12 }, () => signIn("victim", "wrong")));
    const refused = tries.map(({ answer }) => answer).filter(({ status }) => status === 429);
    expect(refused).toHaveLength(2);
    expect(Number(refused[0]?.headers["retry-after"])).toBeGreaterThan(0);
    await execute(gateway.db, "truncate buckets");
  });
});

type Shown = Readonly<Record<"token" | "session" | "password", Record<string, string>>>;
const everythingOf = async (who: Person): Promise<Shown> => ({
  token: { ...who.headers },
  session: fromPage((await signIn(who.user.name)).cookie),
  password: basic(who.user.name, PASSWORD),
});
const statusesAt = async (path: string, shown: Shown): Promise<number[]> =>
  await Promise.all([shown.token, shown.session, shown.password].map(async (headers) => (await get(path, headers)).status));
const eventuallyAt = async (path: string, shown: Shown, statuses: readonly number[]): Promise<void> =>
  void (await eventually(async () => String(await statusesAt(path, shown)) === String(statuses), {
    what: `${path}: ${statuses.join(" ")}`,
  }));
const changeUser = async (who: Person, body: object): Promise<number> =>
  (await send("PATCH", `/users/${who.user.id}`, { headers: admin.headers, body })).status;

describe("what was shown before its user", () => {
  it("was disabled lets nobody in, nor when the user comes back, but for the password", async () => {
    const bob = await gateway.person("uploader");
    const shown = await everythingOf(bob);
    expect(await statusesAt("/tokens", shown)).toEqual([200, 200, 200]);
    expect(await changeUser(bob, { disabled: true })).toBe(200);
    await eventuallyAt("/tokens", shown, [401, 401, 401]);
    expect(await changeUser(bob, { disabled: false })).toBe(200);
    await eventuallyAt("/tokens", shown, [401, 401, 200]);
  });

  it("had a lesser role opens no more than that role does", async () => {
    const bob = await gateway.person("admin");
    const shown = await everythingOf(bob);
    expect(await statusesAt("/admin/audit", shown)).toEqual([200, 200, 200]);
    expect(await changeUser(bob, { role: "viewer" })).toBe(200);
    await eventuallyAt("/admin/audit", shown, [403, 403, 403]);
    expect(await statusesAt("/tokens", shown)).toEqual([200, 200, 200]);
  });

  it.each<[string, (who: Person, shown: Shown) => Promise<number>, number]>([
    [
      "changed the password",
      async (_, { session }) =>
        (await send("PUT", "/session/password", { headers: session, body: { password: PASSWORD, next: "another long one" } })).status,
      204,
    ],
    ["was given another password", async (who) => await changeUser(who, { password: "another long one" }), 200],
  ])("%s opens nothing any more: neither the session nor the former password", async (_what, changed, status) => {
    const bob = await gateway.person("uploader");
    const shown = await everythingOf(bob);
    expect(await statusesAt("/tokens", shown)).toEqual([200, 200, 200]);
    expect(await changed(bob, shown)).toBe(status);
    await eventuallyAt("/tokens", shown, [200, 401, 401]);
    expect((await get("/tokens", basic(bob.user.name, "another long one"))).status).toBe(200);
  });
});

describe("a role", () => {
  it.each([
    ["GET", "/users"],
    ["GET", "/admin/audit"],
  ])("of an administrator is needed for %s %s", async (method, path) => {
    expect(seen(await send(method, path, { headers: ann.headers }))).toEqual([403, "FORBIDDEN"]);
    expect((await send(method, path, { headers: admin.headers })).status).toBe(200);
  });

  it("of an uploader is needed to change a video", async () => {
    expect(seen(await send("DELETE", `/videos/${id}`, { headers: viewer.headers }))).toEqual([403, "FORBIDDEN"]);
  });

  it("is not taken from the body of a request (mass assignment)", async () => {
    const body = { name: "token", role: "admin" };
    expect(seen(await send("POST", "/tokens", { headers: ann.headers, body }))).toEqual([403, "FORBIDDEN"]);
    const more = { name: "x", role: "viewer", password: PASSWORD, id, createdAt: "2020-01-01T00:00:00Z" };
    const answer = await send("POST", "/users", { headers: admin.headers, body: more });
    expect([answer.status, answer.json().errors?.map(({ path }) => path)]).toEqual([400, ["id", "createdAt"]]);
  });
});

it("keeps an audit of what was done and tried, without secrets, for administrators", async () => {
  const made = await send("POST", "/users", { headers: admin.headers, body: { name: "new", role: "viewer", password: "a long password" } });
  expect(made.status).toBe(201);
  await send("POST", "/users", { headers: admin.headers, body: { name: "new", role: "viewer" } });
  const { data } = (await get("/admin/audit?limit=2", admin.headers)).json() as { data: Record<string, unknown>[] };
  expect(data.map(({ action, outcome, user, address, details }) => ({ action, outcome, user, address, details }))).toEqual(
    ["USER_EXISTS", "done"].map((outcome) => ({
      action: "createUser",
      outcome,
      user: admin.user.id,
      address: "127.0.0.1",
      details: { name: "new", role: "viewer" },
    })),
  );
  expect(JSON.stringify(data)).not.toContain("a long password");
});

describe("a signed address", () => {
  interface Signed {
    readonly signature: string;
    readonly expiresAt: string;
    readonly manifests: { readonly dash: string; readonly hls: string };
    readonly thumbnail: string;
  }
  async function signed(headers = admin.headers, body: unknown = { seconds: 60 }): Promise<Signed> {
    const answer = await send("POST", `/videos/${id}/signature`, { headers, body });
    expect(answer.status).toBe(201);
    return (answer.json() as { data: Signed }).data;
  }
  it("carries its signature on to everything that the manifests name", async () => {
    const { manifests, signature } = await signed();
    const mpd = (await open(manifests.dash)).body.toString();
    expect(mpd.match(/(?:media|initialization)="[^"]*"/g)).toHaveLength(4);
    for (const address of mpd.match(/(?:media|initialization)="[^"]*"/g) ?? []) expect(address).toContain(`?signature=${signature}"`);
    const master = (await open(manifests.hls)).body.toString();
    const playlist = /^(streams\S*)$/m.exec(master)?.[1] ?? "";
    expect(playlist).toContain(`?signature=${signature}`);
    const segments = await open(`${API}/videos/${id}/${playlist}`);
    expect([segments.status, segments.headers["cache-control"]]).toEqual([200, "private, no-cache"]);
    const parts = segments.body.toString().match(/^[^#\n]+$|(?<=URI=")[^"]+/gm) ?? [];
    expect(parts.length).toBeGreaterThan(3);
    for (const part of parts) {
      expect(part).toContain(`?signature=${signature}`);
      expect((await open(`${API}/videos/${id}/streams/1/720p/${part}`)).status).toBe(200);
    }
  });

  it.each<[string, (signature: string) => string]>([
    ["changed in its time", (signature) => signature.replace(/^\d+/, (time) => String(Number(time) + 1))],
    ["changed in its key", (signature) => signature.replace(/\.\d+\./, ".999999.")],
    ["changed in its last letter", (signature) => signature.slice(0, -2) + (signature.endsWith("A") ? "BB" : "AA")],
    ["cut", (signature) => signature.slice(0, -1)],
    ["empty of a signature", (signature) => signature.replace(/[^.]+$/, "")],
    ["something else", () => "x"],
  ])("is refused when it is %s, also for what everybody may see", async (_, change) => {
    const { signature } = await signed();
    const answer = await open(`${API}/videos/${id}/manifest.mpd?signature=${change(signature)}`);
    expect(seen(answer)).toEqual([403, "SIGNATURE_INVALID"]);
  });

  it("is refused for another video, and after its time", async () => {
    const { signature } = await signed();
    expect(seen(await open(`${API}/videos/${other}/manifest.mpd?signature=${signature}`))).toEqual([403, "SIGNATURE_INVALID"]);
    jest.useFakeTimers({ now: Date.now() + 61_000, doNotFake: ["nextTick", "setImmediate", "setTimeout", "setInterval", "performance"] });
    try {
      expect(seen(await open(`${API}/videos/${id}/manifest.mpd?signature=${signature}`))).toEqual([403, "SIGNATURE_INVALID"]);
    } finally {
      jest.useRealTimers();
    }
  });

  it("is made by whoever may change the video, for a day at most, and opens no list and no other video", async () => {
    expect((await send("POST", `/videos/${id}/signature`, { headers: ann.headers, body: {} })).status).toBe(403);
    expect((await send("POST", `/videos/${id}/signature`, { headers: admin.headers, body: { seconds: 86_401 } })).status).toBe(400);
    const { signature } = await signed();
    expect((await open(`${API}/videos/${id}?signature=${signature}`)).status).toBe(200);
    expect(seen(await open(`${API}/videos/${other}?signature=${signature}`))).toEqual([403, "SIGNATURE_INVALID"]);
    expect((await open(`${API}/videos?signature=${signature}`)).status).toBe(400);
  });

  it("is in no log line", async () => {
    const { signature, manifests } = await signed();
    await open(manifests.dash);
    await eventually(() => gateway.log.some(({ fields }) => fields["route"] === `${API}/videos/:id/manifest.mpd`));
    expect(JSON.stringify(gateway.log)).not.toContain(signature);
  });
});

it("logs who asked, from where, and where the time went", async () => {
  const requestId = "people-log-test";
  const answer = await get("/tokens", { ...ann.headers, "X-Request-Id": requestId });
  expect(answer.headers["server-timing"]).toMatch(/^users;dur=\d/);
  const line = await eventually(() => gateway.log.find(({ fields }) => fields["requestId"] === requestId));
  expect(line?.fields).toMatchObject({ user: ann.user.id, client: "127.0.0.1", status: 200, dependencies: { users: expect.any(Number) } });
  expect(JSON.stringify(gateway.log)).not.toContain(ann.token);
});

it("takes the id of a trace for its own", async () => {
  const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  expect((await get("/session", { traceparent })).headers["x-request-id"]).toBe("4bf92f3577b34da6a3ce929d0e0e4736");
  for (const bad of [
    "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
    "x",
    "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
  ])
    expect((await get("/session", { traceparent: bad })).headers["x-request-id"]).toMatch(/^[0-9a-f-]{36}$/);
});
