/** Readers that do not read: what they may hold of this process's memory, and for how long. */
import type { Server } from "node:http";
import type { Socket } from "node:net";
import { promisify } from "node:util";
import { keep, keepPlayable, startGateway, type RunningGateway } from "../support/catalogue.ts";
import { eventually } from "../support/eventually.ts";
import { ask, openRaw, type HttpAnswer, type RawConnection } from "../support/http.ts";

const id = "0189abcd-0000-7000-8000-00000000000d";
const target = `/api/v1/videos/${id}/streams/1/720p/1.m4s`;
const question = `GET ${target} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
/** More than the kernels' buffers hold, and a sixteenth of what may be in flight. */
const BODY_BYTES = 16 * 1024 * 1024;
const READERS = 16;

let gateway: RunningGateway;
let etag: string;
beforeEach(async () => {
  gateway = await startGateway();
  keepPlayable(gateway.catalogue, id, 1);
  const large = keep(gateway.catalogue, Buffer.alloc(BODY_BYTES));
  etag = `"${large.blob}"`;
  const rows = gateway.catalogue.segments.get(`${id}/1/720p`) ?? [];
  gateway.catalogue.segments.set(
    `${id}/1/720p`,
    rows.map((row) => ({ ...row, ...large })),
  );
});
afterEach(() => gateway.stop());

const get = (headers = {}, method = "GET"): Promise<HttpAnswer> => ask(gateway.url, target, { method, headers });
const fetches = (): number => gateway.catalogue.calls.get("storage.fetch") ?? 0;

/** Connections that have asked and read nothing more. */
async function openReaders(count: number, asked = question): Promise<RawConnection[]> {
  const readers = await Promise.all(Array.from({ length: count }, () => openRaw(gateway.port)));
  for (const { socket } of readers) socket.pause().write(asked);
  return readers;
}

function leave(readers: readonly RawConnection[]): void {
  for (const { socket } of readers) socket.destroy();
}

function server(): Server {
  return (gateway.broker.getLocalService("gateway") as unknown as { server: Server }).server;
}

/** The server has seen that everyone has gone. */
async function untilNobodyIsThere(): Promise<void> {
  const count = promisify(server().getConnections.bind(server()));
  await eventually(async () => (await count()) === 0, { what: "the end of every connection" });
}

/** As many as ever can be in flight again, and not one more. */
async function allWasGivenBack(): Promise<boolean> {
  await untilNobodyIsThere();
  const before = fetches();
  const readers = await openReaders(READERS);
  await eventually(() => fetches() === before + READERS, { what: "a whole budget" });
  const { status } = await get();
  leave(readers);
  await untilNobodyIsThere();
  return status === 503;
}

it("hold 256 MiB together: who comes then is asked to come back, before any byte is fetched", async () => {
  const readers = await openReaders(READERS);
  await eventually(() => fetches() === READERS);
  const answer = await get();
  expect([answer.status, answer.json().code, answer.headers["retry-after"]]).toEqual([503, "TOO_BUSY", "5"]);
  expect((await get({ Range: "bytes=0-9" })).status).toBe(503);
  expect(fetches()).toBe(READERS);
  // What has no body takes nothing.
  expect((await get({}, "HEAD")).status).toBe(200);
  expect((await get({ "If-None-Match": etag })).status).toBe(304);
  leave(readers);
  expect(await allWasGivenBack()).toBe(true);
});

it("give everything back when they leave before the bytes are there", async () => {
  const held = Promise.withResolvers<void>();
  gateway.catalogue.waits.set("storage.fetch", held.promise);
  const readers = await openReaders(READERS);
  await eventually(() => fetches() === READERS);
  leave(readers);
  await untilNobodyIsThere();
  held.resolve();
  gateway.catalogue.waits.clear();
  expect(await allWasGivenBack()).toBe(true);
});

it("give everything back when they leave with answers in line behind the first", async () => {
  const readers = await openReaders(4, question.repeat(4));
  await eventually(() => fetches() > 4);
  leave(readers);
  expect(await allWasGivenBack()).toBe(true);
});

it("give everything back when the bytes cannot be fetched", async () => {
  gateway.catalogue.failures.set("storage.fetch", Object.assign(new Error("gone"), { type: "NOT_ENOUGH_DISKS" }));
  for (let n = 0; n <= READERS; n++) expect((await get()).json().code).toBe("NOT_ENOUGH_DISKS");
  gateway.catalogue.failures.clear();
  expect(await allWasGivenBack()).toBe(true);
});

it("lose their connection after half a minute in which they took nothing", async () => {
  const connected = new Promise<Socket>((resolve) => server().once("connection", resolve));
  const readers = await openReaders(1);
  const socket = await connected;
  expect(await eventually(() => socket.timeout === 30_000)).toBe(true);
  leave(readers);
});
