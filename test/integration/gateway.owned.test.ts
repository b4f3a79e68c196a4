import { randomUUID } from "node:crypto";
import { broadcast } from "../../services/kernel/rpc.ts";
import { segmentsStored } from "../../services/videos/contract.ts";
import { keep, keepPlayable, startGateway, videoOf, type RunningGateway } from "../support/catalogue.ts";
import { ask, type HttpAnswer, type HttpQuestion } from "../support/http.ts";

let gateway: RunningGateway;
beforeAll(async () => {
  gateway = await startGateway();
});
afterAll(async () => {
  await gateway.stop();
});

const at = (id: string, rest = "") => `/api/v1/videos/${id}${rest}`;
const code = (answer: HttpAnswer) => [answer.status, answer.body.length > 0 ? answer.json().code : undefined];

async function send(target: string, method: string, json?: unknown, headers: HttpQuestion["headers"] = {}): Promise<HttpAnswer> {
  const body = json === undefined ? {} : { body: JSON.stringify(json) };
  const type = json === undefined ? {} : { "Content-Type": "application/json" };
  return await ask(gateway.url, target, { method, ...body, headers: { ...type, ...headers } });
}

function newVideo(about: object = {}): string {
  const id = randomUUID();
  gateway.catalogue.videos.set(id, videoOf({ id, ...about }));
  return id;
}

describe("a video that is edited", () => {
  it("is answered as it is now, under a name that lets it be edited again", async () => {
    const id = newVideo();
    const { etag } = (await ask(gateway.url, at(id))).headers;
    const edited = await send(at(id), "PATCH", { title: " New\u0000 title ", tags: ["a", " a ", ""] }, { "If-Match": etag! });
    expect(edited.status).toBe(200);
    expect(edited.json().data).toMatchObject({ id, title: "New title", tags: ["a"] });
    expect(code(await send(at(id), "PATCH", { title: "Late" }, { "If-Match": etag! }))).toEqual([412, "VIDEO_CHANGED"]);
    expect((await send(at(id), "PATCH", { title: "Next" }, { "If-Match": `"x.y", ${edited.headers.etag!}` })).status).toBe(200);
    expect((await send(at(id), "PATCH", { title: "Any" }, { "If-Match": "*" })).status).toBe(200);
  });

  it.each(['"1"', 'W/"1.abc"', '"1", W/"2.abc"', '"9.abc"'])("matches no name that was not given to it: %j", async (etag) => {
    const id = newVideo();
    expect(code(await send(at(id), "PATCH", { title: "x" }, { "If-Match": etag }))).toEqual([412, "VIDEO_CHANGED"]);
    expect(code(await send(at(id), "DELETE", undefined, { "If-Match": etag }))).toEqual([412, "VIDEO_CHANGED"]);
    expect(code(await send(at(id, "?purge=true"), "DELETE", undefined, { "If-Match": etag }))).toEqual([412, "VIDEO_CHANGED"]);
    expect((await ask(gateway.url, at(id))).status).toBe(200);
  });

  it("takes a list with empty members, and tells who sends a weak name that it is one", async () => {
    const id = newVideo();
    const { etag } = (await ask(gateway.url, at(id))).headers;
    const weak = await send(at(id), "PATCH", { title: "x" }, { "If-Match": `W/${etag}` });
    expect([weak.status, weak.json().detail]).toEqual([412, expect.stringContaining("weak")]);
    expect((await send(at(id), "PATCH", { title: "x" }, { "If-Match": `,${etag}, , "1.a",` })).status).toBe(200);
    const many = Array.from({ length: 101 }, (_, n) => `"${n + 1}.a"`).join(",");
    const refused = await send(at(id), "PATCH", { title: "x" }, { "If-Match": many });
    expect([...code(refused), refused.json().errors]).toEqual([
      400,
      "INVALID_REQUEST",
      [{ path: "If-Match", message: "must name at most 100 tags" }],
    ]);
  });

  it.each(["1.abc", "", "nonsense", '"a" "b"', "*, *", ","])("is told what a name looks like: %j", async (etag) => {
    const answer = await send(at(newVideo()), "PATCH", { title: "x" }, { "If-Match": etag });
    expect([...code(answer), answer.json().errors?.map(({ path }) => path)]).toEqual([400, "INVALID_REQUEST", ["If-Match"]]);
  });

  it("is not sent again to who has it", async () => {
    const id = newVideo();
    const { etag } = (await ask(gateway.url, at(id))).headers;
    expect((await ask(gateway.url, at(id), { headers: { "If-None-Match": etag } })).status).toBe(304);
    gateway.catalogue.videos.set(id, videoOf({ id, progress: 0.5 }));
    await broadcast(gateway.broker, segmentsStored, { id });
    const later = await ask(gateway.url, at(id), { headers: { "If-None-Match": etag } });
    expect(later.status).toBe(200);
    expect(later.headers.etag?.slice(0, 3)).toBe(etag?.slice(0, 3));
  });

  it.each<[object, string]>([
    [{ title: "" }, "title"],
    [{ title: "x".repeat(201) }, "title"],
    [{ visibility: "secret" }, "visibility"],
    [{ owner: randomUUID() }, "owner"],
    [{ status: "ready" }, "status"],
    [{ edition: 9 }, "edition"],
    [{ tags: "a" }, "tags"],
    [{ tags: Array.from({ length: 31 }, (_, n) => String(n)) }, "tags"],
  ])("takes nothing but what people may say: %j", async (set, path) => {
    const answer = await send(at(newVideo()), "PATCH", set);
    expect([answer.status, answer.json().errors?.map((error) => error.path)]).toEqual([400, [path]]);
  });
});

describe("a video that is deleted", () => {
  it("comes back, and is gone for ever when it is purged", async () => {
    const id = newVideo();
    expect((await send(at(id), "DELETE")).status).toBe(204);
    expect((await ask(gateway.url, at(id))).status).toBe(404);
    expect((await send(at(id, "/restore"), "POST")).json().data).toMatchObject({ id });
    expect((await send(at(id, "?purge=true"), "DELETE")).status).toBe(204);
    expect(code(await send(at(id, "/restore"), "POST"))).toEqual([404, "VIDEO_NOT_FOUND"]);
    expect(code(await send(at(id, "?purge=yes"), "DELETE"))).toEqual([400, "INVALID_REQUEST"]);
  });
});

describe("a batch", () => {
  it("answers for each video what the operation alone would have been answered", async () => {
    const [good, ready] = [newVideo({ status: "failed" }), newVideo({ status: "ready" })];
    const gone = randomUUID();
    const answer = await send("/api/v1/videos/batch", "POST", { operation: "retry", ids: [good, ready, gone] });
    expect(answer.status).toBe(207);
    const data = answer.json().data as { id: string; status: number; error: { code: string } | null }[];
    expect(data.map(({ id, status, error }) => [id, status, error?.code])).toEqual([
      [good, 200, undefined],
      [ready, 409, "VIDEO_NOT_FAILED"],
      [gone, 404, "VIDEO_NOT_FOUND"],
    ]);
    const titled = await send("/api/v1/videos/batch", "POST", { operation: "update", ids: [good, ready], set: { title: "Both" } });
    expect((titled.json().data as { video: { title: string } }[]).map(({ video }) => video.title)).toEqual(["Both", "Both"]);
    await send("/api/v1/videos/batch", "POST", { operation: "delete", ids: [good, ready] });
    expect(gateway.catalogue.videos.has(good) || gateway.catalogue.videos.has(ready)).toBe(false);
  });

  it.each([
    { operation: "delete", ids: [] },
    { operation: "delete", ids: Array.from({ length: 101 }, () => randomUUID()) },
    { operation: "delete", ids: ["x"] },
    { operation: "delete", ids: ["7bfcb5ac-24e9-4a04-8f1f-0d9b8f6a1a11", "7bfcb5ac-24e9-4a04-8f1f-0d9b8f6a1a11"] },
    { operation: "delete", ids: [randomUUID()], set: { title: "x" } },
    { operation: "update", ids: [randomUUID()] },
    { operation: "burn", ids: [randomUUID()] },
  ])("that makes no sense is refused: %#", async (body) => {
    expect(code(await send("/api/v1/videos/batch", "POST", body))).toEqual([400, "INVALID_REQUEST"]);
  });
});

describe("the source", () => {
  it("is read in parts, as a file to be saved", async () => {
    const id = newVideo();
    const bytes = Buffer.from("0123456789");
    gateway.catalogue.sources.set(id, { filename: "Über (1).mp4", blob: keep(gateway.catalogue, bytes).blob });
    const whole = await ask(gateway.url, at(id, "/source"));
    expect([whole.status, whole.body.toString(), whole.headers["content-type"]]).toEqual([200, "0123456789", "application/octet-stream"]);
    expect(whole.headers["content-disposition"]).toBe("attachment; filename*=UTF-8''%C3%9Cber%20%281%29.mp4");
    const part = await ask(gateway.url, at(id, "/source"), { headers: { Range: "bytes=2-4" } });
    expect([part.status, part.body.toString(), part.headers["content-range"]]).toEqual([206, "234", "bytes 2-4/10"]);
    const head = await ask(gateway.url, at(id, "/source"), { method: "HEAD" });
    expect([head.status, head.headers["content-length"], head.body.length]).toEqual([200, "10", 0]);
    expect((await ask(gateway.url, at(id, "/source"), { headers: { "If-None-Match": whole.headers.etag } })).status).toBe(304);
    expect(code(await ask(gateway.url, at(id, "/source"), { headers: { Range: "bytes=10-" } }))).toEqual([416, "RANGE_NOT_SATISFIABLE"]);
  });
});

describe("captions", () => {
  const vtt = "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\nHallo\n";

  it("are taken as WebVTT or SubRip, given back as WebVTT, and named by both manifests", async () => {
    const id = randomUUID();
    keepPlayable(gateway.catalogue, id);
    const put = async (language: string, type: string, body: string) =>
      await ask(gateway.url, at(id, `/captions/${language}.vtt`), { method: "PUT", headers: { "Content-Type": type }, body });
    expect((await put("de", "text/vtt; charset=utf-8", vtt)).status).toBe(204);
    expect((await put("pt-BR", "application/x-subrip", "1\n00:00:01,000 --> 00:00:02,000\nOlá\n")).status).toBe(204);
    const german = await ask(gateway.url, at(id, "/captions/de.vtt"));
    expect([german.headers["content-type"], german.body.toString()]).toEqual(["text/vtt", vtt]);
    expect((await ask(gateway.url, at(id, "/captions/pt-BR.vtt"))).body.toString()).toContain("Olá");
    expect((await ask(gateway.url, at(id, "/captions/PT-br.vtt"))).body.toString()).toContain("Olá");
    for (const method of ["PUT", "DELETE"]) {
      const headers = { "Content-Type": "text/vtt", "If-Match": '"99.x"' };
      const late = await ask(gateway.url, at(id, "/captions/de.vtt"), { method, headers, ...(method === "PUT" ? { body: vtt } : {}) });
      expect(code(late)).toEqual([412, "VIDEO_CHANGED"]);
    }
    const mpd = (await ask(gateway.url, at(id, "/manifest.mpd"))).body.toString();
    expect(mpd).toContain('<AdaptationSet id="2" contentType="text" mimeType="text/vtt" lang="de">');
    expect(mpd).toContain("<BaseURL>captions/pt-BR.vtt</BaseURL>");
    const master = (await ask(gateway.url, at(id, "/master.m3u8"))).body.toString();
    expect(master).toContain('TYPE=SUBTITLES,GROUP-ID="captions",NAME="Deutsch (de)",LANGUAGE="de"');
    expect(master.match(/SUBTITLES="captions"/g)).toHaveLength(1);
    expect((await ask(gateway.url, at(id, "/captions/de.m3u8"))).body.toString()).toContain("#EXTINF:12.000000,\nde.vtt");
    expect((await ask(gateway.url, at(id))).json().data).toMatchObject({
      captions: [
        { language: "de", url: at(id, "/captions/de.vtt") },
        { language: "pt-BR", url: at(id, "/captions/pt-BR.vtt") },
      ],
    });
    expect((await ask(gateway.url, at(id, "/captions/de.vtt"), { method: "DELETE" })).status).toBe(204);
    expect(code(await ask(gateway.url, at(id, "/captions/de.vtt")))).toEqual([404, "CAPTIONS_NOT_FOUND"]);
  });

  it.each([
    ["text/vtt", "WEBVTT\n\nnothing", [422, "CAPTIONS_INVALID"]],
    ["text/vtt", "x".repeat(2 * 1024 * 1024 + 1), [413, "UPLOAD_TOO_LARGE"]],
    ["text/html", vtt, [415, "UNSUPPORTED_MEDIA_TYPE"]],
  ])("as %s that are none are refused", async (type, body, expected) => {
    const answer = await ask(gateway.url, at(newVideo(), "/captions/de.vtt"), { method: "PUT", headers: { "Content-Type": type }, body });
    expect(code(answer)).toEqual(expected);
  });

  it.each(["DE", "german", "d", "de_DE", "..", "%2e%2e%2f", "de-de"])("in no language are nowhere: %s", async (language) => {
    expect((await ask(gateway.url, at(newVideo(), `/captions/${language}.vtt`))).status).toBe(404);
  });
});
