/** Answers that a gateway gives again: never to who may not have them, and never for longer than a moment after they are untrue. */
import { randomUUID } from "node:crypto";
import { execute } from "../../mixins/database/sql.ts";
import { onlyPerson } from "../../services/kernel/principal.ts";
import { broadcast, call } from "../../services/kernel/rpc.ts";
import { videoChanged, videos } from "../../services/videos/contract.ts";
import videosService from "../../services/videos/videos.service.ts";
import { videoOf } from "../support/catalogue.ts";
import { eventually } from "../support/eventually.ts";
import { ask, type HttpAnswer, type HttpQuestion } from "../support/http.ts";
import { startWithPeople, type GatewayWithPeople, type Person } from "../support/people.ts";

const API = "/api/v1/videos";
let gateway: GatewayWithPeople;
let ann: Person;
let ben: Person;
let admin: Person;

beforeAll(async () => {
  gateway = await startWithPeople({}, [videosService]);
  [ann, ben, admin] = [await gateway.person("uploader"), await gateway.person("uploader"), await gateway.person("admin")];
});
afterAll(() => gateway.stop());

const get = (target: string, who?: Person, headers: HttpQuestion["headers"] = {}): Promise<HttpAnswer> =>
  ask(gateway.url, target, { headers: { ...who?.headers, ...headers } });
const titles = (answer: HttpAnswer) => (answer.json().data as { title: string }[]).map(({ title }) => title);
const title = (answer: HttpAnswer) => (answer.json().data as { title: string }).title;

async function newVideo(about: { title?: string; visibility?: "public" | "unlisted" | "private" } = {}): Promise<string> {
  const id = randomUUID();
  await call(gateway.broker, videos.reserve, { as: ann.as, id, title: "A video", filename: "film.mp4", size: 5, ...about });
  return id;
}

async function change(id: string, method: "PATCH" | "DELETE", set?: object): Promise<number> {
  const headers = { ...ann.headers, ...(set ? { "Content-Type": "application/json" } : {}) };
  return (await ask(gateway.url, `${API}/${id}`, { method, headers, ...(set ? { body: JSON.stringify(set) } : {}) })).status;
}

/** As if a gateway elsewhere had done it, and its event were lost. */
async function deleteUntold(id: string): Promise<void> {
  await execute(gateway.db, "update videos set deleted_at = now() where id = $1", [id]);
}

/** A gateway whose catalogue counts what it is asked, and answers when it is let. */
async function withCounting(work: (at: { counting: GatewayWithPeople; id: string; letGo: () => void }) => Promise<void>): Promise<void> {
  const counting = await startWithPeople({ AUTH_MODE: "none" });
  const id = randomUUID();
  counting.catalogue.videos.set(id, videoOf({ id, title: "Asked for" }));
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const action of ["videos.get", "videos.list"]) counting.catalogue.waits.set(action, promise);
  try {
    await work({ counting, id, letGo: resolve });
  } finally {
    await counting.stop();
  }
}

describe("a private video", () => {
  it("is given to its owner and to admins, and to nobody else, whoever asked before", async () => {
    const id = await newVideo({ visibility: "private" });
    const asked = async (...people: (Person | undefined)[]) =>
      await Promise.all(people.map(async (who) => (await get(`${API}/${id}`, who)).status));
    expect(await asked(undefined, ann, ben, admin)).toEqual([404, 200, 404, 200]);
    expect(await asked(undefined, ann, ben, admin)).toEqual([404, 200, 404, 200]);
  });

  it("stands in the lists of those alone", async () => {
    const word = `word${randomUUID().slice(0, 8).replaceAll(/[0-9]/g, "x")}`;
    await newVideo({ title: word, visibility: "private" });
    const found = async (who?: Person) => titles(await get(`${API}?q=${word}&sort=-createdAt`, who)).length;
    expect(await Promise.all([found(ann), found(ben), found(), found(admin)])).toEqual([1, 0, 0, 1]);
    expect(await Promise.all([found(ann), found(ben), found(), found(admin)])).toEqual([1, 0, 0, 1]);
  });

  it("is out of sight at once when it was public until now", async () => {
    const id = await newVideo({ title: "Was public" });
    expect([(await get(`${API}/${id}`)).status, titles(await get(API))[0]]).toEqual([200, "Was public"]);
    expect(await change(id, "PATCH", { visibility: "private" })).toBe(200);
    expect([(await get(`${API}/${id}`)).status, titles(await get(API)).includes("Was public")]).toEqual([404, false]);
    expect((await get(`${API}/${id}`, ann)).status).toBe(200);
  });
});

describe("what was changed through this gateway", () => {
  it("is seen at once by everybody, in lists, too", async () => {
    const id = await newVideo({ title: "Before" });
    expect([title(await get(`${API}/${id}`)), titles(await get(API))[0]]).toEqual(["Before", "Before"]);
    expect(await change(id, "PATCH", { title: "After" })).toBe(200);
    expect([title(await get(`${API}/${id}`, ann)), title(await get(`${API}/${id}`))]).toEqual(["After", "After"]);
    expect(titles(await get(API))[0]).toBe("After");
  });

  it("is gone at once when it was deleted", async () => {
    const id = await newVideo({ title: "Short-lived" });
    expect([(await get(`${API}/${id}`)).status, titles(await get(API))[0]]).toEqual([200, "Short-lived"]);
    expect(await change(id, "DELETE")).toBe(204);
    expect([(await get(`${API}/${id}`)).status, (await get(`${API}/${id}`, ann)).status]).toEqual([404, 404]);
    expect(titles(await get(API))).not.toContain("Short-lived");
  });
});

describe("what was changed elsewhere", () => {
  it("is gone as soon as the event of it comes", async () => {
    const id = await newVideo({ title: "Told" });
    expect([(await get(`${API}/${id}`)).status, titles(await get(API))[0]]).toEqual([200, "Told"]);
    await deleteUntold(id);
    await broadcast(gateway.broker, videoChanged, { id, status: "deleted" });
    expect([(await get(`${API}/${id}`)).status, titles(await get(API)).includes("Told")]).toEqual([404, false]);
  });

  it("is gone a moment later when that event is lost", async () => {
    const id = await newVideo({ title: "Untold" });
    expect([(await get(`${API}/${id}`)).status, titles(await get(API))[0]]).toEqual([200, "Untold"]);
    await deleteUntold(id);
    await eventually(async () => (await get(`${API}/${id}`)).status === 404, { what: "the end of what was remembered" });
    await eventually(async () => !titles(await get(API)).includes("Untold"), { what: "the end of the list that was remembered" });
  });
});

describe("the same question", () => {
  it("is asked once for fifty who ask it at the same time", async () => {
    await withCounting(async ({ counting: { url, catalogue }, id, letGo }) => {
      const asked = Array.from({ length: 50 }, async (_, n) => await ask(url, n % 2 === 0 ? API : `${API}/${id}`));
      await eventually(() => catalogue.calls.get("videos.get") && catalogue.calls.get("videos.list"));
      letGo();
      expect(new Set((await Promise.all(asked)).map(({ status }) => status))).toEqual(new Set([200]));
      expect([catalogue.calls.get("videos.get"), catalogue.calls.get("videos.list")]).toEqual([1, 1]);
    });
  });

  it("is not answered with what is on its way and became untrue", async () => {
    await withCounting(async ({ counting: { url, catalogue, broker }, id, letGo }) => {
      let answered = false;
      const early = ask(url, `${API}/${id}`).finally(() => (answered = true));
      await eventually(() => catalogue.calls.get("videos.get") === 1);
      await broadcast(broker, videoChanged, { id, status: "queued" });
      catalogue.waits.clear();
      expect((await ask(url, `${API}/${id}`)).status).toBe(200);
      expect(answered).toBe(false);
      letGo();
      expect((await early).status).toBe(200);
    });
  });

  it("is asked anew when the answer became untrue on its way", async () => {
    await withCounting(async ({ counting: { url, catalogue, broker }, id, letGo }) => {
      const early = ask(url, `${API}/${id}`);
      await eventually(() => catalogue.calls.get("videos.get") === 1);
      await broadcast(broker, videoChanged, { id, status: "queued" });
      letGo();
      await early;
      const before = catalogue.calls.get("videos.get") ?? 0;
      expect((await ask(url, `${API}/${id}`)).status).toBe(200);
      expect(catalogue.calls.get("videos.get")).toBe(before + 1);
    });
  });

  it("is asked again after it failed", async () => {
    await withCounting(async ({ counting: { url, catalogue }, letGo }) => {
      letGo();
      const id = randomUUID();
      expect((await ask(url, `${API}/${id}`)).status).toBe(404);
      catalogue.videos.set(id, videoOf({ id }));
      expect((await ask(url, `${API}/${id}`)).status).toBe(200);
    });
  });

  it("is answered without a body to who has the list already, and with it when it is another", async () => {
    const id = await newVideo();
    const { etag = "" } = (await get(API, ann)).headers;
    expect((await get(API, ann, { "If-None-Match": etag })).status).toBe(304);
    expect(await change(id, "PATCH", { title: "Another" })).toBe(200);
    expect((await get(API, ann, { "If-None-Match": etag })).status).toBe(200);
  });

  it("is one question, in whatever order its filters stand", async () => {
    await withCounting(async ({ counting: { url, catalogue }, letGo }) => {
      letGo();
      await ask(url, `${API}?limit=3&status=ready`);
      await ask(url, `${API}?status=ready&limit=3`);
      expect(catalogue.calls.get("videos.list")).toBe(1);
    });
  });
});

it("asks for single videos together, and finds each", async () => {
  const ids = await Promise.all(Array.from({ length: 120 }, async (_, n) => await newVideo({ title: `Number ${n}` })));
  const missing = randomUUID();
  const found = await Promise.all(ids.map(async (id) => (await call(gateway.broker, videos.get, { id, as: onlyPerson })).title));
  expect(found).toEqual(ids.map((_, n) => `Number ${n}`));
  const asked = [ids[0] ?? "", missing].map(async (id) => (await get(`${API}/${id}`)).status);
  expect(await Promise.all(asked)).toEqual([200, 404]);
});
