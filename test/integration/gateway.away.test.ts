/** A gateway whose neighbours cannot be asked: what it knows goes on, the rest is refused at once, and what changed meanwhile is believed. */
import { failure } from "../../services/kernel/errors.ts";
import { broadcast } from "../../services/kernel/rpc.ts";
import { videoChanged } from "../../services/videos/contract.ts";
import { Remembered } from "../../services/gateway/remembered.ts";
import { keepPlayable, startGateway, type RunningGateway } from "../support/catalogue.ts";
import { eventually } from "../support/eventually.ts";
import { ask, type HttpAnswer } from "../support/http.ts";

const id = "0189abcd-0000-7000-8000-0000000000aa";
const base = `/api/v1/videos/${id}`;
const asked = ["videos.playback", "videos.segments", "videos.get", "videos.list", "videos.want"];
const away = failure("DATABASE_UNAVAILABLE", "gone");
let gateway: RunningGateway;
const get = async (path: string): Promise<HttpAnswer> => await ask(gateway.url, path);
const calls = (action: string): number => gateway.catalogue.calls.get(action) ?? 0;

/** Whatever is asked of the catalogue fails, until the answer is called. */
function cut(error = away): () => void {
  for (const action of asked) gateway.catalogue.failures.set(action, error);
  return () => gateway.catalogue.failures.clear();
}

/** What is remembered for a moment is over: the catalogue is asked again. */
async function askedAgain(): Promise<HttpAnswer> {
  const before = calls("videos.playback");
  let answer = await get(`${base}/manifest.mpd`);
  await eventually(async () => (answer = await get(`${base}/manifest.mpd`)) && calls("videos.playback") > before, { what: "a question" });
  return answer;
}

beforeAll(async () => {
  gateway = await startGateway();
});
beforeEach(() => keepPlayable(gateway.catalogue, id));
afterAll(() => gateway.stop());

it("goes on playing what somebody has begun to watch, and refuses what nobody has", async () => {
  for (const path of ["manifest.mpd", "streams/1/720p/1.m4s"]) expect((await get(`${base}/${path}`)).status).toBe(200);
  const restore = cut();
  expect((await askedAgain()).status).toBe(200);
  // Of the page of rows that was read for the first one.
  expect((await get(`${base}/streams/1/720p/3.m4s`)).status).toBe(200);
  const unknown = "0189abcd-0000-7000-8000-0000000000ff";
  for (const path of [`/api/v1/videos/${unknown}/manifest.mpd`, "/api/v1/videos?limit=7"]) {
    const answer = await get(path);
    expect([answer.status, answer.json().code, answer.headers["retry-after"]]).toEqual([503, "DATABASE_UNAVAILABLE", "5"]);
  }
  restore();
  expect((await askedAgain()).status).toBe(200);
});

it("plays nothing any more of a video that is said to be gone", async () => {
  expect((await askedAgain()).status).toBe(200);
  gateway.catalogue.playbacks.delete(id);
  expect(await eventually(async () => (await askedAgain()).status === 404, { what: "the end of the video" })).toBe(true);
  const restore = cut();
  expect((await get(`${base}/manifest.mpd`)).status).toBe(503);
  restore();
});

it("plays nothing of a video that changed, until it can ask", async () => {
  expect((await askedAgain()).status).toBe(200);
  const restore = cut();
  await broadcast(gateway.broker, videoChanged, { id, status: "deleted" });
  expect((await get(`${base}/manifest.mpd`)).status).toBe(503);
  restore();
  expect((await get(`${base}/manifest.mpd`)).status).toBe(200);
});

describe("an answer that is remembered", () => {
  const old = { version: "old" };
  const isOver = async (known: Remembered<typeof old>, load: () => Promise<typeof old>): Promise<unknown> =>
    await eventually(
      async () => {
        let isAsked = false;
        const answer = await known
          .get("a", async () => {
            isAsked = true;
            return await load();
          })
          .catch((error: Error) => error);
        return isAsked ? answer : undefined;
      },
      { what: "a question" },
    );

  it("is given as it was when the next one hangs", async () => {
    const known = new Remembered<typeof old>({ max: 10, freshMs: 1 });
    await known.get("a", async () => old);
    expect(await isOver(known, async () => await new Promise(() => {}))).toBe(old);
  });

  it("is not given when the next one is no", async () => {
    const known = new Remembered<typeof old>({ max: 10, freshMs: 1 });
    await known.get("a", async () => old);
    const no = failure("VIDEO_NOT_FOUND", "no");
    expect(await isOver(known, async () => await Promise.reject(no))).toBe(no);
    expect(await isOver(known, async () => await Promise.reject(away))).toBe(away);
  });

  it("is not kept when it was forgotten while it was on its way", async () => {
    const known = new Remembered<typeof old>({ max: 10, freshMs: 1 });
    const late = Promise.withResolvers<typeof old>();
    const first = known.get("a", async () => await late.promise);
    known.forget("a");
    late.resolve(old);
    expect(await first).toBe(old);
    expect(await isOver(known, async () => await Promise.reject(away))).toBe(away);
  });
});
