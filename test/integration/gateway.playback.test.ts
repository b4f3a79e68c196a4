/** What players ask for: manifests, segments and pictures, with all that HTTP offers for them. */
import { broadcast } from "../../services/kernel/rpc.ts";
import { videoChanged } from "../../services/videos/contract.ts";
import { keep, keepPlayable, startGateway, videoOf, type RunningGateway } from "../support/catalogue.ts";
import { eventually } from "../support/eventually.ts";
import { ask, type HttpAnswer } from "../support/http.ts";

const id = "0189abcd-0000-7000-8000-00000000000a";
const base = `/api/v1/videos/${id}`;
const segment = `${base}/streams/1/720p/2.m4s`;
let gateway: RunningGateway;
const get = (target: string, headers = {}, method = "GET"): Promise<HttpAnswer> => ask(gateway.url, target, { method, headers });
const calls = (action: string): number => gateway.catalogue.calls.get(action) ?? 0;
const resolved = (manifest: string, address: string): string => new URL(address, `${gateway.url}${manifest}`).pathname;

beforeAll(async () => {
  gateway = await startGateway();
  keepPlayable(gateway.catalogue, id);
});
afterAll(() => gateway.stop());

describe("manifests", () => {
  it("lead a DASH player from the MPD to every segment", async () => {
    const manifest = await get(`${base}/manifest.mpd`);
    expect([manifest.status, manifest.headers["content-type"]]).toEqual([200, "application/dash+xml"]);
    const templates = [...manifest.body.toString().matchAll(/initialization="([^"]+)" media="([^"]+)"/g)];
    expect(templates).toHaveLength(2);
    for (const [, init = "", media = ""] of templates) {
      const kind = init.includes("audio") ? "audio" : "720p";
      const type = init.includes("audio") ? "audio/mp4" : "video/mp4";
      for (const [address, text] of [
        [init, `${id} ${kind} init`],
        [media.replace("$Number$", "1"), `${id} ${kind} segment 1 `],
        [media.replace("$Number$", "3"), `${id} ${kind} segment 3 `],
      ] as const) {
        const answer = await get(resolved(`${base}/manifest.mpd`, address));
        expect([answer.status, answer.headers["content-type"]]).toEqual([200, type]);
        expect(answer.body.toString()).toContain(text);
      }
    }
  });

  it("lead an HLS player from the master playlist to every segment", async () => {
    const master = await get(`${base}/master.m3u8`);
    expect([master.status, master.headers["content-type"]]).toEqual([200, "application/vnd.apple.mpegurl"]);
    const playlists = [...master.body.toString().matchAll(/^(?:#EXT-X-MEDIA.*URI="([^"]+)".*|(streams.+))$/gm)].map(
      ([, uri, line]) => uri ?? line ?? "",
    );
    expect(playlists).toEqual(["streams/1/audio/playlist.m3u8", "streams/1/720p/playlist.m3u8"]);
    for (const playlist of playlists) {
      const at = resolved(`${base}/master.m3u8`, playlist);
      const lines = (await get(at)).body.toString().split("\n");
      const addresses = [/URI="([^"]+)"/.exec(lines.join("\n"))?.[1] ?? "", ...lines.filter((line) => line.endsWith(".m4s"))];
      expect(addresses).toEqual(["init.mp4", "1.m4s", "2.m4s", "3.m4s"]);
      for (const address of addresses) expect((await get(resolved(at, address))).status).toBe(200);
    }
  });

  it("are asked about each time, and not sent twice", async () => {
    const first = await get(`${base}/manifest.mpd`);
    expect(first.headers["cache-control"]).toBe("no-cache");
    const again = await get(`${base}/manifest.mpd`, { "If-None-Match": first.headers.etag });
    expect([again.status, again.body.length]).toEqual([304, 0]);
  });

  it("are refused with a reason until the first seconds can be watched", async () => {
    const other = "0189abcd-0000-7000-8000-00000000000b";
    gateway.catalogue.videos.set(other, videoOf({ id: other, playable: false }));
    for (const file of ["manifest.mpd", "master.m3u8", "streams/1/720p/1.m4s"]) {
      const answer = await get(`/api/v1/videos/${other}/${file}`);
      expect([answer.status, answer.json().code]).toEqual([409, "VIDEO_NOT_PLAYABLE"]);
    }
    keepPlayable(gateway.catalogue, other);
    expect((await get(`/api/v1/videos/${other}/manifest.mpd`)).status).toBe(200);
  });
});

describe("a segment", () => {
  let etag: string;
  beforeAll(async () => {
    etag = String((await get(segment)).headers.etag);
  });

  it("may be kept for ever by everyone, under the name of its bytes", async () => {
    const { headers, body } = await get(segment);
    expect(headers).toMatchObject({
      "content-type": "video/mp4",
      "content-length": "1000",
      "accept-ranges": "bytes",
      "cache-control": "public, max-age=31536000, immutable",
      etag: `"${gateway.catalogue.segments.get(`${id}/1/720p`)?.[1]?.blob}"`,
    });
    expect(body).toHaveLength(1000);
  });

  it("of a private video is kept by nobody in between", async () => {
    const hidden = "0189abcd-0000-7000-8000-00000000000c";
    keepPlayable(gateway.catalogue, hidden);
    const playback = gateway.catalogue.playbacks.get(hidden);
    if (playback) gateway.catalogue.playbacks.set(hidden, { ...playback, visibility: "private" });
    const answer = await get(`/api/v1/videos/${hidden}/streams/1/720p/1.m4s`);
    expect(answer.headers["cache-control"]).toMatch(/^private,/);
  });

  it.each([
    ["GET", { Range: "bytes=0-9" }, { status: 206, contentRange: "bytes 0-9/1000", length: 10 }],
    ["GET", { Range: "bytes=990-" }, { status: 206, contentRange: "bytes 990-999/1000", length: 10 }],
    ["GET", { Range: "bytes=-5" }, { status: 206, contentRange: "bytes 995-999/1000", length: 5 }],
    ["GET", { Range: "bytes=999-99999" }, { status: 206, contentRange: "bytes 999-999/1000", length: 1 }],
    ["GET", { Range: "bytes=0-1,5-6" }, { status: 200, contentRange: undefined, length: 1000 }],
    ["GET", { Range: "nonsense" }, { status: 200, contentRange: undefined, length: 1000 }],
    ["GET", { Range: "bytes=0-9", "If-Range": "ETAG" }, { status: 206, contentRange: "bytes 0-9/1000", length: 10 }],
    ["GET", { Range: "bytes=0-9", "If-Range": '"other"' }, { status: 200, contentRange: undefined, length: 1000 }],
    ["GET", { Range: "bytes=0-9", "If-None-Match": '"other"' }, { status: 206, contentRange: "bytes 0-9/1000", length: 10 }],
    ["GET", { Range: "bytes=0-9", "If-None-Match": "ETAG" }, { status: 304, contentRange: undefined, length: 0 }],
    ["GET", { "If-None-Match": "W/ETAG" }, { status: 304, contentRange: undefined, length: 0 }],
    ["GET", { "If-None-Match": '"x", ETAG' }, { status: 304, contentRange: undefined, length: 0 }],
    ["GET", { "If-None-Match": "*" }, { status: 304, contentRange: undefined, length: 0 }],
    ["GET", { "If-None-Match": '"x"' }, { status: 200, contentRange: undefined, length: 1000 }],
    ["HEAD", {}, { status: 200, contentRange: undefined, length: 0 }],
    ["HEAD", { Range: "bytes=0-9" }, { status: 200, contentRange: undefined, length: 0 }],
    ["HEAD", { "If-None-Match": "ETAG" }, { status: 304, contentRange: undefined, length: 0 }],
  ])("answers %s with %j by %j", async (method, headers, { status, contentRange, length }) => {
    const answer = await get(segment, JSON.parse(JSON.stringify(headers).replace("ETAG", etag.replaceAll('"', '\\"'))), method);
    expect([answer.status, answer.headers["content-range"], answer.body.length]).toEqual([status, contentRange, length]);
    expect(answer.headers.etag).toBe(etag);
    expect(answer.headers["content-length"]).toBe(status === 304 ? undefined : String(method === "HEAD" ? 1000 : length));
  });

  it("sends exactly the bytes of a range", async () => {
    const whole = (await get(segment)).body;
    expect((await get(segment, { Range: "bytes=37-73" })).body).toEqual(whole.subarray(37, 74));
  });

  it("says how long it is when a range lies outside, and that this must not be kept", async () => {
    const answer = await get(segment, { Range: "bytes=1000-" });
    expect([answer.status, answer.json().code, answer.headers["content-range"]]).toEqual([416, "RANGE_NOT_SATISFIABLE", "bytes */1000"]);
    expect(answer.headers["cache-control"]).toBe("no-store");
    expect(answer.headers.etag).toBeUndefined();
  });

  it("is not read from storage when its bytes are not sent", async () => {
    const before = calls("storage.fetch");
    await get(segment, {}, "HEAD");
    await get(segment, { "If-None-Match": etag });
    await get(segment, { Range: "bytes=5000-" });
    expect(calls("storage.fetch")).toBe(before);
  });

  it.each(["4.m4s", "999999.m4s"])("beyond the end is 404: %s", async (file) => {
    const before = calls("videos.segments");
    const answer = await get(`${base}/streams/1/720p/${file}`);
    expect([answer.status, answer.json().code]).toEqual([404, "SEGMENT_NOT_FOUND"]);
    expect(calls("videos.segments")).toBe(before);
  });

  it.each(["streams/2/720p/1.m4s", "streams/1/1080p/1.m4s", "streams/1/1080p/init.mp4", "streams/2/audio/playlist.m3u8"])(
    "of another revision or rendition is 404: %s",
    async (file) => {
      const answer = await get(`${base}/${file}`);
      expect([answer.status, answer.json().code]).toEqual([404, "SEGMENT_NOT_FOUND"]);
    },
  );

  it("whose blob is lost is a failure that nobody keeps", async () => {
    const lost = "0189abcd-0000-7000-8000-00000000000d";
    keepPlayable(gateway.catalogue, lost);
    gateway.catalogue.blobs.delete(gateway.catalogue.segments.get(`${lost}/1/720p`)?.[0]?.blob ?? "");
    const answer = await get(`/api/v1/videos/${lost}/streams/1/720p/1.m4s`);
    expect([answer.status, answer.headers["cache-control"], answer.headers.etag]).toEqual([404, "no-store", undefined]);
  });
});

describe("what is remembered", () => {
  it("serves a crowd of players with one question each to the catalogue", async () => {
    const popular = "0189abcd-0000-7000-8000-00000000000e";
    keepPlayable(gateway.catalogue, popular, 40);
    const [playbacks, pages] = [calls("videos.playback"), calls("videos.segments")];
    const targets = Array.from({ length: 40 }, (_, n) => `/api/v1/videos/${popular}/streams/1/720p/${n + 1}.m4s`);
    const answers = await Promise.all(targets.map((target) => get(target)));
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    expect([calls("videos.playback") - playbacks, calls("videos.segments") - pages]).toEqual([1, 1]);
  });

  it("finds segments far behind the first page", async () => {
    const long = "0189abcd-0000-7000-8000-00000000001a";
    keepPlayable(gateway.catalogue, long, 1200);
    for (const number of [1, 500, 501, 1000, 1001, 1200]) {
      const answer = await get(`/api/v1/videos/${long}/streams/1/720p/${number}.m4s`);
      expect(answer.body.toString()).toContain(` segment ${number} `);
    }
  });

  it("grows with a video that is still being converted", async () => {
    const growing = "0189abcd-0000-7000-8000-00000000001b";
    keepPlayable(gateway.catalogue, growing, 5);
    const rows = gateway.catalogue.segments.get(`${growing}/1/720p`) ?? [];
    gateway.catalogue.segments.set(`${growing}/1/720p`, rows.slice(0, 2));
    const at = (number: number): Promise<HttpAnswer> => get(`/api/v1/videos/${growing}/streams/1/720p/${number}.m4s`);
    expect([(await at(1)).status, (await at(3)).status]).toEqual([200, 404]);
    gateway.catalogue.segments.set(`${growing}/1/720p`, rows);
    expect((await at(3)).status).toBe(200);
  });

  it("is dropped when an event says that the video has changed, here or on another node", async () => {
    const other = "0189abcd-0000-7000-8000-00000000001c";
    keepPlayable(gateway.catalogue, other);
    const target = `/api/v1/videos/${other}/streams/1/720p/1.m4s`;
    expect((await get(target)).status).toBe(200);
    gateway.catalogue.playbacks.delete(other);
    expect((await get(target)).status).toBe(200);
    await broadcast(gateway.broker, videoChanged, { id: other, status: "deleted" });
    expect((await get(target)).status).toBe(404);
  });

  it("is dropped within two seconds when the event was lost", async () => {
    const other = "0189abcd-0000-7000-8000-00000000001d";
    keepPlayable(gateway.catalogue, other);
    const target = `/api/v1/videos/${other}/streams/1/720p/1.m4s`;
    expect((await get(target)).status).toBe(200);
    gateway.catalogue.playbacks.delete(other);
    await eventually(async () => (await get(target)).status === 404, { timeoutMs: 60_000 });
  });

  it("does not keep a failure", async () => {
    const other = "0189abcd-0000-7000-8000-00000000001e";
    keepPlayable(gateway.catalogue, other);
    gateway.catalogue.failures.set("videos.segments", new Error("broken"));
    const target = `/api/v1/videos/${other}/streams/1/720p/1.m4s`;
    expect((await get(target)).status).toBe(500);
    gateway.catalogue.failures.clear();
    expect((await get(target)).status).toBe(200);
  });
});

describe("a storyboard", () => {
  it("is a picture, and a document that says what part of it shows what time", async () => {
    const picture = await get(`${base}/storyboard.jpg`);
    expect([picture.status, picture.headers["content-type"]]).toEqual([200, "image/jpeg"]);
    const times = await get(`${base}/storyboard.vtt`);
    expect([times.status, times.headers["content-type"]]).toEqual([200, "text/vtt"]);
    expect(times.body.toString()).toContain("00:00:04.000 --> 01:00:00.500\nstoryboard.jpg#xywh=160,0,160,90\n");
    expect((await get(`/api/v1/videos/0189abcd-0000-7000-8000-0000000000ff/storyboard.vtt`)).status).toBe(404);
  });
});

describe("a thumbnail", () => {
  it("is a picture that is asked about each time", async () => {
    const answer = await get(`${base}/thumbnail.jpg`);
    expect([answer.status, answer.headers["content-type"], answer.headers["cache-control"]]).toEqual([200, "image/jpeg", "no-cache"]);
    expect(answer.body.toString()).toBe(`${id} picture`);
    const again = await get(`${base}/thumbnail.jpg`, { "If-None-Match": answer.headers.etag });
    expect(again.status).toBe(304);
  });

  it("of a time is the frame of its whole second, made once", async () => {
    const before = calls("transcoder.still");
    const answers = await Promise.all([5, 5.01, 5.999].map((t) => get(`${base}/thumbnail.jpg?t=${t}`)));
    for (const { status, headers, body } of answers) {
      expect([status, headers["content-type"], headers["cache-control"]]).toEqual([200, "image/jpeg", "no-cache"]);
      expect(body.toString()).toContain(`frame 30 of ${id} 720p segment 2 `);
    }
    expect(calls("transcoder.still") - before).toBe(1);
    const again = await get(`${base}/thumbnail.jpg?t=5`, { "If-None-Match": answers[0]?.headers.etag });
    expect(again.status).toBe(304);
  });

  it.each(["12.001", "-1", "abc", "1e3", "", "0x5", "1,5"])("of the time %j is refused, and names what is wrong", async (t) => {
    const answer = await get(`${base}/thumbnail.jpg?t=${t}`);
    expect([answer.status, answer.json().errors]).toEqual([400, [expect.objectContaining({ path: "t" })]]);
  });

  it("of a time in a video that cannot be watched yet is refused", async () => {
    const other = "0189abcd-0000-7000-8000-0000000000ab";
    gateway.catalogue.videos.set(other, videoOf({ id: other, playable: false }));
    expect((await get(`/api/v1/videos/${other}/thumbnail.jpg?t=1`)).json().code).toBe("VIDEO_NOT_PLAYABLE");
  });

  it("of a time that failed is tried again", async () => {
    gateway.catalogue.failures.set("transcoder.still", new Error("broken"));
    expect((await get(`${base}/thumbnail.jpg?t=7`)).status).toBe(500);
    gateway.catalogue.failures.clear();
    expect((await get(`${base}/thumbnail.jpg?t=7`)).status).toBe(200);
  });

  it("changes when the video does", async () => {
    gateway.catalogue.thumbnails.set(id, keep(gateway.catalogue, Buffer.from("another picture")));
    await broadcast(gateway.broker, videoChanged, { id, status: "ready" });
    expect((await get(`${base}/thumbnail.jpg`)).body.toString()).toBe("another picture");
  });
});
