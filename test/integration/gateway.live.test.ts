/** Live progress over a WebSocket, from real uploads and real jobs. */
import { randomUUID } from "node:crypto";
import { EventEmitter, once } from "node:events";
import { connect } from "node:net";
import { WebSocket } from "ws";
import { execute } from "../../mixins/database/sql.ts";
import { jobs } from "../../services/jobs/contract.ts";
import { Connection } from "../../services/gateway/live/connection.ts";
import { onlyPerson } from "../../services/kernel/principal.ts";
import { call } from "../../services/kernel/rpc.ts";
import { videos } from "../../services/videos/contract.ts";
import { bytesOf } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { ask } from "../support/http.ts";
import { startTusGateway, type TusGateway } from "../support/tus.ts";

interface Message {
  readonly topic: string | null;
  readonly event: string;
  readonly at: string;
  readonly data: Readonly<Record<string, unknown>>;
}

let tus: TusGateway;
const open: WebSocket[] = [];
beforeAll(async () => {
  tus = await startTusGateway();
}, 240_000);
afterEach(() => {
  for (const socket of open.splice(0)) socket.terminate();
});
afterAll(() => tus.stop());

interface Listener {
  readonly socket: WebSocket;
  readonly messages: Message[];
  readonly send: (wish: object) => void;
  readonly events: () => string[];
}

async function live(options: object = {}): Promise<Listener> {
  const socket = new WebSocket(`${tus.url.replace("http", "ws")}/api/v1/live`, options);
  open.push(socket);
  const messages: Message[] = [];
  socket.on("message", (data: Buffer) => void messages.push(JSON.parse(data.toString()) as Message));
  await once(socket, "open");
  return { socket, messages, send: (wish) => socket.send(JSON.stringify(wish)), events: () => messages.map(({ event }) => event) };
}

/** The code with which the server ends a connection that is used like this. */
const ended = async (use: (socket: WebSocket) => void): Promise<number> => {
  const { socket } = await live();
  use(socket);
  return ((await once(socket, "close")) as [number])[0];
};

/** The status of the answer to a request for a live connection that is refused. */
async function refusal(options: object, path = "/api/v1/live"): Promise<number> {
  const socket = new WebSocket(`${tus.url.replace("http", "ws")}${path}`, options);
  socket.on("error", () => {});
  const [, response] = (await once(socket, "unexpected-response")) as [unknown, { statusCode: number }];
  socket.terminate();
  return response.statusCode;
}

/** A new upload: its address, its topic, and that of its video. */
async function upload(length: number): Promise<{ address: string; own: string; video: string; id: string }> {
  const address = await tus.create({ "Upload-Length": String(length) });
  const id = String((await tus.ask("HEAD", address)).headers["x-video-id"]);
  return { address, own: `upload:${address.split("/").at(-1)}`, video: `video:${id}`, id };
}

describe("a live connection", () => {
  it("tells the present state of each topic first, and then each that follows", async () => {
    const { address, own, video } = await upload(10);
    const { messages, send, events } = await live();
    send({ subscribe: [video, own] });
    await eventually(() => messages.length === 2);
    expect(messages).toMatchObject([
      { topic: video, event: "video.status", data: { status: "uploading", playable: false } },
      { topic: own, event: "upload.progress", data: { state: "open", offset: 0, length: 10, video: video.slice(6) } },
    ]);
    await tus.patch(address, 0, bytesOf(4));
    await eventually(() => messages.some(({ data }) => data["offset"] === 4));
    await tus.patch(address, 4, bytesOf(6));
    await eventually(() => messages.some(({ data }) => data["status"] === "queued"));
    await eventually(() => messages.some(({ data }) => data["state"] === "stored"));
    expect(Date.parse(messages[0]?.at ?? "")).toBeGreaterThan(Date.now() - 60_000);
    expect(events()).not.toContain("refused");
  });

  it("says how a video ends: failed, or deleted", async () => {
    const { address, video, id } = await upload(10);
    const { events, messages, send } = await live();
    send({ subscribe: [video] });
    await tus.patch(address, 0, bytesOf(10));
    const job = await eventually(async () => {
      const claimed = await call(tus.cluster.broker, jobs.claim, { kind: "video.inspect", worker: "test", leaseMs: 60_000 });
      return claimed?.videoId === id ? claimed : undefined;
    });
    const held = { id: job.id, fence: job.fence };
    await call(tus.cluster.broker, videos.begin, { job: held });
    await eventually(() => messages.some(({ data }) => data["status"] === "processing"));
    const failure = { type: "SOURCE_NOT_MEDIA", message: "These are not the bytes of a video." };
    await call(tus.cluster.broker, videos.fail, { job: held, failure, final: true });
    await eventually(() => events().at(-1) === "video.failed");
    expect(messages.at(-1)?.data).toMatchObject({ error: { code: "SOURCE_NOT_MEDIA" } });
    await ask(tus.url, `/api/v1/videos/${id}`, { method: "DELETE" });
    await eventually(() => events().at(-1) === "video.deleted");
  });

  it("finds out by itself what no event told of", async () => {
    const { video, id } = await upload(10);
    const { messages, send } = await live();
    send({ subscribe: [video] });
    await eventually(() => messages.length === 1);
    await execute(tus.cluster.db, "delete from videos where id = $1", [id]);
    await eventually(() => messages.length === 2);
    expect(messages[1]).toMatchObject({ event: "video.deleted", data: { id, status: "deleted" } });
  });

  it("tells nothing more of a topic that is not wanted any more", async () => {
    const [one, two] = [await upload(10), await upload(10)];
    const { messages, send } = await live();
    send({ subscribe: [one.own, two.own] });
    send({ unsubscribe: [one.own] });
    await eventually(() => messages.length === 2);
    await tus.patch(one.address, 0, bytesOf(3));
    await tus.patch(two.address, 0, bytesOf(3));
    await eventually(() => messages.some(({ topic, data }) => topic === two.own && data["offset"] === 3));
    expect(messages.filter(({ topic }) => topic === one.own)).toHaveLength(1);
  });

  it("refuses topics of what is not there, and words that it does not know, and goes on", async () => {
    const { own } = await upload(10);
    const { socket, messages, send } = await live();
    const nobody = `video:${randomUUID()}`;
    send({ subscribe: [nobody] });
    for (const words of ["", "hello", '{"subscribe":["video:1"]}', '{"subscribe":"all"}', '{"topics":[]}']) socket.send(words);
    send({ subscribe: [own] });
    await eventually(() => messages.at(-1)?.topic === own);
    expect(messages.map(({ topic, data }) => [topic, data["code"]])).toEqual([
      [nobody, "VIDEO_NOT_FOUND"],
      ...Array.from({ length: 5 }, () => [null, "INVALID_REQUEST"]),
      [own, undefined],
    ]);
  });

  it("has a limited number of topics", async () => {
    const { own } = await upload(10);
    const { messages, send } = await live();
    const many = Array.from({ length: 100 }, () => `upload:${randomUUID()}`);
    send({ subscribe: [own, ...many.slice(1)] });
    await eventually(() => messages.length === 100, { what: "one answer a topic" });
    expect(messages.filter(({ event }) => event === "refused")).toHaveLength(99);
  });
});

describe("the server", () => {
  it("lets no page of another origin listen", async () => {
    expect(await refusal({ origin: "https://evil.example" })).toBe(403);
    expect(await refusal({ headers: { "Sec-Fetch-Site": "cross-site" } })).toBe(403);
    expect(await refusal({ headers: { Host: "evil.example" } })).toBe(403);
    await live({ origin: tus.url });
  });

  it("offers no other protocol and no other address", async () => {
    expect(await refusal({}, "/api/v1/videos")).toBe(404);
    expect(await refusal({}, "/")).toBe(404);
  });

  it("ends a connection that sends too much, too large, or what is no text", async () => {
    expect(await ended((socket) => socket.send(Buffer.from([1, 2, 3])))).toBe(1008);
    expect(await ended((socket) => socket.send("x".repeat(20_000)))).toBe(1009);
    expect(
      await ended((socket) => {
        for (let n = 0; n < 50; n++) socket.send(JSON.stringify({ subscribe: [`video:${randomUUID()}`] }));
      }),
    ).toBe(1008);
  });

  it("keeps no topic for a client that is gone before its wish is fulfilled", () => {
    const socket = Object.assign(new EventEmitter(), { OPEN: 1, readyState: 1, terminate: () => undefined });
    const connection = new Connection(socket as never, { as: onlyPerson, onWish: async () => {}, onClose: () => {} });
    expect(connection.add(`video:${randomUUID()}`)).toBe(true);
    socket.readyState = 3;
    socket.emit("close");
    expect([connection.add(`video:${randomUUID()}`), [...connection.topics].length]).toEqual([false, 1]);
  });

  it("drops a reader that does not read", () => {
    const socket = Object.assign(new EventEmitter(), {
      OPEN: 1,
      readyState: 1,
      bufferedAmount: 0,
      sent: 0,
      send: () => (socket.sent += 1),
      close() {},
      terminate: () => socket.emit("close"),
    });
    const closed = jest.fn();
    const connection = new Connection(socket as never, { as: onlyPerson, onWish: async () => {}, onClose: closed });
    const topic = `upload:${randomUUID()}`;
    connection.add(topic);
    connection.tell(topic, { offset: 1 });
    socket.bufferedAmount = 1024 * 1024;
    connection.tell(topic, { offset: 2 });
    expect([socket.sent, closed.mock.calls.length]).toEqual([1, 1]);
  });

  it("is not troubled by a client that is gone before it is let in", async () => {
    const socket = connect({ port: tus.port, host: "127.0.0.1" });
    socket.write("GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    socket.destroy();
    await live();
    expect((await ask(tus.url, "/health/live")).status).toBe(200);
  });
});
