/** How the gateway comes and goes: it never hangs on anyone, and cuts nobody off who is nearly done. */
import { Agent } from "node:http";
import { keep, keepPlayable, startGateway, type RunningGateway } from "../support/catalogue.ts";
import { eventually } from "../support/eventually.ts";
import { ask, openRaw, type RawConnection } from "../support/http.ts";

const id = "0189abcd-0000-7000-8000-00000000000a";

async function timed(work: Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work;
  return performance.now() - startedAt;
}

/** More than the buffers of both kernels hold. */
const DOWNLOAD_BYTES = 16_000_000;

/** A download that has begun, and whose reader has stopped reading for now. */
async function openDownload(): Promise<{ gateway: RunningGateway; reader: RawConnection }> {
  const gateway = await startGateway();
  keepPlayable(gateway.catalogue, id, 1);
  const rows = gateway.catalogue.segments.get(`${id}/1/720p`) ?? [];
  const large = keep(gateway.catalogue, Buffer.alloc(DOWNLOAD_BYTES));
  gateway.catalogue.segments.set(
    `${id}/1/720p`,
    rows.map((row) => ({ ...row, ...large })),
  );
  const reader = await openRaw(gateway.port);
  // At the first byte: a test that looks later finds all of it read, now and then.
  reader.socket.once("data", () => reader.socket.pause());
  reader.socket.write(`GET /api/v1/videos/${id}/streams/1/720p/1.m4s HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  await eventually(() => reader.received().length > 0);
  return { gateway, reader };
}

it("stops within three seconds although somebody is still downloading, slowly", async () => {
  const { gateway, reader } = await openDownload();
  expect(await timed(gateway.stop())).toBeLessThan(3000);
  reader.socket.destroy();
  expect(reader.received().length).toBeLessThan(DOWNLOAD_BYTES);
});

it("lets a download end that is nearly done", async () => {
  const { gateway, reader } = await openDownload();
  const stopping = gateway.stop();
  reader.socket.resume();
  await Promise.all([stopping, reader.closed]);
  expect(reader.received().length).toBeGreaterThan(DOWNLOAD_BYTES);
});

it("stops within three seconds although somebody is still uploading", async () => {
  const gateway = await startGateway();
  const upload = await openRaw(gateway.port);
  upload.socket.write(
    "POST /api/v1/videos/upload HTTP/1.1\r\nHost: localhost\r\nContent-Type: video/mp4\r\nContent-Length: 1000\r\n\r\nvideo",
  );
  await eventually(() => gateway.catalogue.open.size === 1);
  expect(await timed(gateway.stop())).toBeLessThan(3000);
  await upload.closed;
  await eventually(() => gateway.catalogue.open.size === 0);
  expect(gateway.catalogue.calls.get("videos.create")).toBeUndefined();
});

it("finishes what it is answering, and takes no more", async () => {
  const gateway = await startGateway();
  keepPlayable(gateway.catalogue, id);
  const held = Promise.withResolvers<void>();
  gateway.catalogue.waits.set("videos.get", held.promise);
  const answer = ask(gateway.url, `/api/v1/videos/${id}`);
  await eventually(() => gateway.catalogue.calls.get("videos.get") === 1);
  const stopping = gateway.stop();
  await eventually(
    async () =>
      await ask(gateway.url, "/health/live").then(
        () => false,
        () => true,
      ),
  );
  held.resolve();
  expect((await answer).status).toBe(200);
  expect(await timed(stopping)).toBeLessThan(1000);
});

it("does not wait for connections that are only kept open", async () => {
  const gateway = await startGateway();
  const agent = new Agent({ keepAlive: true });
  await fetch(`${gateway.url}/health/live`).then((answer) => answer.text());
  const idle = await openRaw(gateway.port);
  expect(await timed(gateway.stop())).toBeLessThan(900);
  agent.destroy();
  await idle.closed;
});

it("says that it is not ready until the services are there, and answers 503 meanwhile", async () => {
  const gateway = await startGateway({ without: ["videos", "storage"] });
  try {
    const ready = await ask(gateway.url, "/health/ready");
    expect([ready.status, ready.json()]).toEqual([503, { status: "down", missing: ["videos", "storage"] }]);
    expect((await ask(gateway.url, "/health/live")).status).toBe(200);
    const list = await ask(gateway.url, "/api/v1/videos");
    expect([list.status, list.json().code]).toEqual([503, "SERVICE_UNAVAILABLE"]);
    const health = await ask(gateway.url, "/health");
    expect([health.status, health.json().status]).toEqual([503, "down"]);
  } finally {
    await gateway.stop();
  }
});

it("says where it listens", async () => {
  const gateway = await startGateway();
  try {
    expect(gateway.port).toBeGreaterThan(0);
    expect((await ask(gateway.url, "/health/live")).status).toBe(200);
  } finally {
    await gateway.stop();
  }
});
