/** Pages of others, which a browser lets send requests to this machine. */
import { keepPlayable, startGateway, type RunningGateway } from "../support/catalogue.ts";
import { ask, multipart, type HttpAnswer } from "../support/http.ts";

const id = "0189abcd-0000-7000-8000-00000000000e";
let gateway: RunningGateway;
beforeAll(async () => {
  gateway = await startGateway();
  keepPlayable(gateway.catalogue, id);
});
afterAll(() => gateway.stop());

const form = multipart([{ name: "file", filename: "x.mp4", content: "video" }]);
const upload = (headers: Record<string, string>): Promise<HttpAnswer> =>
  ask(gateway.url, "/api/v1/videos/upload", { ...form, headers: { ...form.headers, ...headers } });
const refused = (answer: HttpAnswer): unknown[] => [answer.status, answer.json().code];

it("make no upload with a form, and delete nothing", async () => {
  for (const headers of [{ Origin: "https://evil.example" }, { Origin: "null" }, { "Sec-Fetch-Site": "cross-site" }]) {
    expect(refused(await upload(headers))).toEqual([403, "FORBIDDEN_ORIGIN"]);
    expect(refused(await ask(gateway.url, `/api/v1/videos/${id}`, { method: "DELETE", headers }))).toEqual([403, "FORBIDDEN_ORIGIN"]);
  }
  expect(gateway.catalogue.calls.get("storage.write")).toBeUndefined();
  expect(gateway.catalogue.videos.has(id)).toBe(true);
});

it("read nothing under a name that they have made DNS give this machine", async () => {
  const headers = { Host: `evil.example:${gateway.port}` };
  for (const target of ["/", "/api/v1/videos", `/api/v1/videos/${id}`, "/health", "/nope"]) {
    expect(refused(await ask(gateway.url, target, { headers }))).toEqual([403, "FORBIDDEN_ORIGIN"]);
  }
});

it("are not the server's own page, nor a client without pages", async () => {
  expect((await upload({ Origin: gateway.url, "Sec-Fetch-Site": "same-origin" })).status).toBe(202);
  expect((await upload({})).status).toBe(202);
});
