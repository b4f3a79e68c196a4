import { randomUUID } from "node:crypto";
import { keepPlayable, startGateway, videoOf, type RunningGateway } from "../support/catalogue.ts";
import { ask, multipart, type HttpAnswer, type HttpQuestion } from "../support/http.ts";

let gateway: RunningGateway;
beforeAll(async () => {
  gateway = await startGateway();
});
afterAll(async () => {
  await gateway.stop();
});
beforeEach(() => gateway.catalogue.videos.clear());

const get = async (target: string, question: HttpQuestion = {}): Promise<HttpAnswer> => await ask(gateway.url, target, question);
const bodyOf = (answer: HttpAnswer): Record<string, unknown> => answer.json() as unknown as Record<string, unknown>;

describe("the application of the first TritonTube", () => {
  it("lists videos by its own words", async () => {
    const ids = Array.from({ length: 13 }, () => randomUUID());
    for (const id of ids) gateway.catalogue.videos.set(id, videoOf({ id, title: "A film", status: "processing" }));
    const first = bodyOf(await get("/api/videos"));
    expect(first).toMatchObject({ total: 13, page: 1, limit: 12, hasMore: true });
    expect((first["data"] as unknown[])[0]).toEqual({
      id: ids[0],
      escapedId: ids[0],
      uploadTime: "2026-01-01T00:00:00.000Z",
      uploadedAt: "2026-01-01T00:00:00.000Z",
      title: "A film",
      description: "",
      fileSize: 1,
      status: "processing",
    });
    const second = bodyOf(await get("/api/videos?page=2&limit=12&sortBy=duration&sortOrder=asc&search=film"));
    expect(second).toMatchObject({ page: 2, hasMore: false });
    expect((await get("/api/videos", { method: "HEAD" })).status).toBe(200);
  });

  it("gets a video when it is ready, plays it by what its manifest names, and shows its picture", async () => {
    const id = randomUUID();
    gateway.catalogue.videos.set(id, videoOf({ id, status: "processing", playable: true }));
    const early = await get(`/api/videos/${id}`);
    expect([early.status, bodyOf(early)["message"]]).toEqual([404, `The video ${id} is not ready.`]);
    keepPlayable(gateway.catalogue, id);
    const { manifestUrl, thumbnailUrl, status } = bodyOf(await get(`/api/videos/${id}`));
    expect([manifestUrl, thumbnailUrl, status]).toEqual([`/content/${id}/manifest.mpd`, `/thumbnail/${id}`, "ready"]);
    const manifest = (await get(String(manifestUrl))).body.toString();
    const media = /initialization="([^"]+)"/.exec(manifest)?.[1];
    expect((await get(`/content/${id}/${media}`)).body.toString()).toBe(`${id} 720p init`);
    expect((await get(`/content/${id}/streams/1/720p/2.m4s`)).body.toString()).toContain("segment 2");
    expect((await get(String(thumbnailUrl))).body.toString()).toBe(`${id} picture`);
  });

  it("uploads and deletes", async () => {
    const answer = await get("/api/upload", {
      method: "POST",
      ...multipart([{ name: "file", filename: "Day.mp4", content: Buffer.alloc(10) }]),
    });
    expect([answer.status, bodyOf(answer)]).toMatchObject([202, { title: "Day", fileSize: 10, status: "processing" }]);
    const { id } = bodyOf(answer);
    expect((await get(`/api/delete/${String(id)}`, { method: "DELETE" })).status).toBe(204);
    const again = await get(`/api/delete/${String(id)}`, { method: "DELETE" });
    expect(again.status).toBe(404);
    expect(bodyOf(again)["message"]).toMatch(/There is no/);
  });

  it("is told in a message what is wrong; nobody else is", async () => {
    expect(bodyOf(await get("/api/videos?sortBy=age"))["message"]).toContain("sortBy");
    expect(bodyOf(await get("/api/v1/videos?sortBy=age"))["message"]).toBeUndefined();
  });
});
