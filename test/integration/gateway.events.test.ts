/** The processing of a video as server-sent events, from real uploads and real jobs. */
import { randomUUID } from "node:crypto";
import { request, type ClientRequest } from "node:http";
import { PassThrough } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";
import { stateName, type LiveState } from "../../services/gateway/domain/live.ts";
import { EventStream, type EventStreamOptions } from "../../services/gateway/live/event-stream.ts";
import { Hub } from "../../services/gateway/live/hub.ts";
import { jobs } from "../../services/jobs/contract.ts";
import { failure } from "../../services/kernel/errors.ts";
import { onlyPerson } from "../../services/kernel/principal.ts";
import { call } from "../../services/kernel/rpc.ts";
import { videos } from "../../services/videos/contract.ts";
import { bytesOf } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { ask } from "../support/http.ts";
import { startTusGateway, type TusGateway } from "../support/tus.ts";

/** Of one address: services/gateway/live/hub.ts. */
const PLACES = 50;

let tus: TusGateway;
const open: ClientRequest[] = [];
beforeAll(async () => {
  tus = await startTusGateway();
}, 240_000);
afterEach(() => {
  for (const sent of open.splice(0)) sent.destroy();
});
afterAll(() => tus.stop());

interface Heard {
  readonly id: string;
  readonly event: string;
  readonly data: { readonly at: string; readonly data: Readonly<Record<string, unknown>> };
}
interface Following {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly heard: Heard[];
  readonly events: () => string[];
  readonly isOver: () => boolean;
  readonly leave: () => void;
}

const addressOf = (id: string): string => `/api/v1/videos/${id}/events`;

async function follow(id: string, headers: Record<string, string> = {}): Promise<Following> {
  return await new Promise((resolve, reject) => {
    const sent = request(tus.url, { path: addressOf(id), headers, agent: false }, (response) => {
      const heard: Heard[] = [];
      let rest = "";
      response.on("data", (part: Buffer) => {
        const blocks = `${rest}${part.toString()}`.split("\n\n");
        rest = blocks.pop() ?? "";
        heard.push(...blocks.map(parsed).filter((each) => each !== undefined));
      });
      response.on("error", () => {});
      const { statusCode: status = 0, headers: told } = response;
      const events = () => heard.map(({ event }) => event);
      resolve({ status, headers: told, heard, events, isOver: () => response.complete, leave: () => sent.destroy() });
    });
    open.push(sent.on("error", reject));
    sent.end();
  });
}

/** One block of lines; undefined when it is no event. */
function parsed(block: string): Heard | undefined {
  const lines = Object.fromEntries(block.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]));
  if (lines["data"] === undefined) return undefined;
  return { id: lines["id"] ?? "", event: lines["event"] ?? "", data: JSON.parse(lines["data"]) as Heard["data"] };
}

/** A new upload: its address, and its video. */
async function upload(): Promise<{ address: string; id: string }> {
  const address = await tus.create({ "Upload-Length": "10" });
  return { address, id: String((await tus.ask("HEAD", address)).headers["x-video-id"]) };
}

/** What a worker does with a video that is none. */
async function fail(id: string): Promise<void> {
  const { broker } = tus.cluster;
  const job = await eventually(async () => {
    const claimed = await call(broker, jobs.claim, { kind: "video.inspect", worker: "test", leaseMs: 60_000 });
    return claimed?.videoId === id ? { id: claimed.id, fence: claimed.fence } : undefined;
  });
  await call(broker, videos.begin, { job });
  const why = { type: "SOURCE_NOT_MEDIA", message: "These are not the bytes of a video." };
  await call(broker, videos.fail, { job, failure: why, final: true });
}

describe("who follows a video", () => {
  it("is told its present state first, then each that follows, and the stream ends with the last", async () => {
    const { address, id } = await upload();
    const { status, headers, heard, events, isOver } = await follow(id);
    expect([status, headers["content-type"], headers["cache-control"]]).toEqual([200, "text/event-stream", "no-store"]);
    await eventually(() => heard.length === 1);
    expect(heard[0]).toMatchObject({ event: "video.status", data: { data: { id, status: "uploading", playable: false } } });
    await tus.patch(address, 0, bytesOf(10));
    await fail(id);
    await eventually(isOver, { what: "the end of the stream" });
    expect(heard.at(-1)).toMatchObject({
      event: "video.failed",
      data: { data: { status: "failed", error: { code: "SOURCE_NOT_MEDIA" } } },
    });
    expect(events().filter((event) => event === "video.failed")).toHaveLength(1);
    expect(Date.parse(heard[0]?.data.at ?? "")).toBeGreaterThan(Date.now() - 120_000);
    expect(new Set(heard.map((each) => each.id)).size).toBe(heard.length);
  });

  it("is told nothing twice who comes back and names what was heard last, and nothing at all when that was the end", async () => {
    const { address, id } = await upload();
    const first = await follow(id);
    await eventually(() => first.heard.length === 1);
    first.leave();
    const second = await follow(id, { "Last-Event-ID": first.heard[0]?.id ?? "" });
    await tus.patch(address, 0, bytesOf(10));
    await fail(id);
    await eventually(second.isOver, { what: "the end of the stream" });
    expect(second.heard.map(({ data }) => data.data["status"])).not.toContain("uploading");
    const last = { "Last-Event-ID": second.heard.at(-1)?.id ?? "" };
    expect((await ask(tus.url, addressOf(id), { headers: last })).status).toBe(204);
    const third = await follow(id);
    await eventually(third.isOver, { what: "the end of the stream" });
    expect(third.heard).toMatchObject([{ id: last["Last-Event-ID"], event: "video.failed", data: { data: { status: "failed" } } }]);
  });

  it("is told that it was deleted", async () => {
    const { id } = await upload();
    const { heard, isOver } = await follow(id);
    await eventually(() => heard.length === 1);
    await ask(tus.url, `/api/v1/videos/${id}`, { method: "DELETE" });
    await eventually(isOver, { what: "the end of the stream" });
    expect(heard.at(-1)).toMatchObject({ event: "video.deleted", data: { data: { id, status: "deleted" } } });
  });

  it("is told that there is none", async () => {
    expect((await ask(tus.url, addressOf(randomUUID()))).json().code).toBe("VIDEO_NOT_FOUND");
  });

  it("may ask what would come, without holding a place", async () => {
    const { id } = await upload();
    const answer = await ask(tus.url, addressOf(id), { method: "HEAD" });
    expect([answer.status, answer.headers["content-type"], answer.body.length]).toEqual([200, "text/event-stream", 0]);
    expect((await ask(tus.url, addressOf(randomUUID()), { method: "HEAD" })).status).toBe(404);
  });

  it("has so many places as a client and no more, and gets one back with each that is left", async () => {
    const { id } = await upload();
    const all = await Promise.all(Array.from({ length: PLACES }, async () => await follow(id)));
    expect(all.map(({ status }) => status)).toEqual(Array.from({ length: PLACES }, () => 200));
    const refused = await ask(tus.url, addressOf(id));
    expect([refused.status, refused.json().code, Number(refused.headers["retry-after"])]).toEqual([
      429,
      "RATE_LIMITED",
      expect.any(Number),
    ]);
    all[0]?.leave();
    await eventually(async () => (await ask(tus.url, addressOf(id))).status === 200, { what: "a place" });
  });
});

describe("a stream of events", () => {
  const topic = "video:1";
  const made = (last?: string): EventStream => new EventStream({ as: onlyPerson, topic, last });
  beforeEach(() => void jest.useFakeTimers({ doNotFake: ["nextTick", "setImmediate"] }));
  afterEach(() => void jest.useRealTimers());

  it("keeps a connection alive on which nothing happens, and ends it after a quarter of an hour", () => {
    const [stream, to] = [made(), new PassThrough()];
    stream.tell(topic, { status: "queued" });
    stream.flowInto(to);
    to.read();
    jest.advanceTimersByTime(30_000);
    expect(String(to.read())).toBe(":\n\n");
    expect(to.writableEnded).toBe(false);
    jest.advanceTimersByTime(15 * 60_000);
    expect(to.writableEnded).toBe(true);
  });

  it("lets go of a reader that does not read", () => {
    const [stream, to] = [made(), new PassThrough()];
    stream.flowInto(to);
    for (let n = 0; n < 40; n++) stream.tell(topic, { status: "processing", n, filler: "x".repeat(20_000) });
    expect(to.destroyed).toBe(true);
    expect(to.writableLength).toBeLessThan(300_000);
  });

  it("is over, and told so once, when its reader is gone before it begins; who comes to read it still finds the end", () => {
    const [stream, to, heard] = [made(), new PassThrough(), jest.fn()];
    stream.onClose(heard);
    stream.close();
    stream.flowInto(to);
    stream.close();
    expect([heard.mock.calls.length, stream.has(topic), jest.getTimerCount(), to.writableEnded]).toEqual([1, false, 0, true]);
  });
});

/** All that a stream has to tell by now. */
function textOf(stream: EventStream): { text: string; isOver: boolean } {
  const to = new PassThrough();
  stream.flowInto(to);
  const told = { text: String(to.read()), isOver: to.writableEnded };
  to.destroy();
  return told;
}

describe("who comes while things change", () => {
  const topic = "video:1";
  const [processing, ready] = [{ status: "processing" }, { status: "ready" }];
  let reads: PromiseWithResolvers<LiveState>[];
  let hub: Hub;
  beforeEach(() => {
    reads = [];
    const read = async (): Promise<LiveState> => {
      const asked = Promise.withResolvers<LiveState>();
      reads.push(asked);
      return await asked.promise;
    };
    hub = new Hub({ read, onFailure: () => {} });
  });

  const following = (options: Partial<EventStreamOptions> = {}): Promise<EventStream> =>
    hub.follow("client", { as: onlyPerson, topic, last: undefined, ...options });

  /** What the first of two readings answers, when the second was answered before. */
  async function late(first: Promise<EventStream>, answerSecond: (read: PromiseWithResolvers<LiveState>) => void): Promise<EventStream> {
    hub.wake(topic);
    answerSecond(reads[1]!);
    await turn();
    reads[0]!.resolve(processing);
    return await first;
  }

  it("is told what was read last, and nothing older after it", async () => {
    const { text, isOver } = textOf(await late(following(), (read) => read.resolve(ready)));
    expect([text.match(/^event: .*$/gm), isOver]).toEqual([["event: video.ready"], true]);
  });

  it("is told that there is none when it goes before its first state is there", async () => {
    const gone = late(following(), (read) => read.reject(failure("VIDEO_NOT_FOUND", "It is gone.")));
    await expect(gone).rejects.toMatchObject({ type: "VIDEO_NOT_FOUND" });
  });

  it("is asked to come again when the server stops before that", async () => {
    const first = following();
    hub.close();
    reads[0]!.resolve(processing);
    await expect(first).rejects.toMatchObject({ type: "SERVICE_UNAVAILABLE" });
  });

  it("hears by its name of the end that came between two connections", async () => {
    const [first] = [following(), reads[0]!.resolve(processing)];
    (await first).close();
    const [second] = [following({ last: stateName(processing) }), reads[1]!.resolve(ready)];
    const { text, isOver } = textOf(await second);
    expect([text.match(/^event: .*$/gm), isOver]).toEqual([["event: video.ready"], true]);
  });

  it("shows anew who it is when the rights of that user change, and nobody else does", async () => {
    const [ann, bob] = [randomUUID(), randomUUID()];
    const both = Promise.all([ann, bob].map((id) => following({ as: { id, role: "viewer" } })));
    for (const read of reads) read.resolve(processing);
    const flowing = (await both).map((stream) => {
      const to = new PassThrough();
      stream.flowInto(to);
      return to;
    });
    hub.changed(null);
    hub.changed(bob);
    expect(flowing.map((to) => to.writableEnded)).toEqual([false, true]);
    for (const to of flowing) to.destroy();
  });
});
