/** Segments that are planned and not made yet: who asks for one is held for a while, within limits, and never forgotten there. */
import { request, type ClientRequest } from "node:http";
import { broadcast } from "../../services/kernel/rpc.ts";
import { segmentsStored, type SegmentRow } from "../../services/videos/contract.ts";
import { keepPlayable, startGateway, videoOf, type RunningGateway } from "../support/catalogue.ts";
import { eventually } from "../support/eventually.ts";
import { ask } from "../support/http.ts";

const id = "0189abcd-0000-7000-8000-00000000000a";
let gateway: RunningGateway;
let whole: SegmentRow[];
beforeEach(async () => {
  gateway = await startGateway();
  keepPlayable(gateway.catalogue, id, 100);
  gateway.catalogue.videos.set(id, videoOf({ id, status: "processing", playable: true }));
  whole = gateway.catalogue.segments.get(`${id}/1/720p`) ?? [];
  stored(1);
});
afterEach(() => gateway.stop());

const target = (number: number): string => `/api/v1/videos/${id}/streams/1/720p/${number}.m4s`;
const stored = (count: number) => gateway.catalogue.segments.set(`${id}/1/720p`, whole.slice(0, count));
const wants = (): number => gateway.catalogue.calls.get("videos.want") ?? 0;

interface Held {
  readonly sent: ClientRequest;
  readonly status: Promise<number>;
}

const hold = (number: number, localAddress?: string): Held => leaveOpen(target(number), localAddress);

/** A request that is left open. */
function leaveOpen(path: string, localAddress = "127.0.0.1"): Held {
  const sent = request(gateway.url, { path, agent: false, localAddress });
  const status = new Promise<number>((resolve) => {
    sent.on("response", (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    sent.on("error", () => resolve(0));
  });
  sent.end();
  return { sent, status };
}

it("is held until the segment is stored, then answered at once, and asked for no more", async () => {
  const answer = ask(gateway.url, target(3));
  await eventually(() => wants() > 0);
  stored(3);
  const at = performance.now();
  await broadcast(gateway.broker, segmentsStored, { id });
  expect((await answer).body.toString()).toContain(" segment 3 ");
  expect(performance.now() - at).toBeLessThan(500);
  const asked = wants();
  expect((await ask(gateway.url, target(3))).status).toBe(200);
  expect(wants()).toBe(asked);
});

it("finds the segment also when the event was lost", async () => {
  const answer = ask(gateway.url, target(2));
  await eventually(() => wants() > 0);
  stored(2);
  expect((await answer).status).toBe(200);
});

it("is told after 8 s to come back in one, and that is not remembered", async () => {
  const at = performance.now();
  const answer = await ask(gateway.url, target(2));
  const heldMs = performance.now() - at;
  expect([answer.status, answer.headers["retry-after"], answer.headers["cache-control"], answer.json().code]).toEqual([
    503,
    "1",
    "no-store",
    "VIDEO_SEGMENT_PENDING",
  ]);
  expect(heldMs).toBeGreaterThan(7900);
  expect(gateway.log.filter(({ level }) => level === "warn" || level === "error")).toEqual([]);
  stored(2);
  expect((await ask(gateway.url, target(2))).status).toBe(200);
}, 240_000);

it("is told at once that the segment will never come", async () => {
  const answer = ask(gateway.url, target(2));
  await eventually(() => wants() > 0);
  gateway.catalogue.videos.set(id, videoOf({ id, status: "ready", playable: true }));
  expect([(await answer).status, (await ask(gateway.url, target(101))).status]).toEqual([404, 404]);
});

it("is asked for once when it may be there, however many wait for it", async () => {
  const held = Array.from({ length: 8 }, () => hold(2));
  await eventually(() => wants() >= 8);
  const asked = wants();
  stored(2);
  await broadcast(gateway.broker, segmentsStored, { id });
  expect(await Promise.all(held.map(({ status }) => status))).toEqual(Array.from({ length: 8 }, () => 200));
  // One more may have been due by itself.
  expect(wants() - asked).toBeLessThanOrEqual(2);
});

it("is waited for by each who asks for a single frame of it: who goes takes nobody with him", async () => {
  const path = `/api/v1/videos/${id}/thumbnail.jpg?t=10`;
  const first = leaveOpen(path);
  await eventually(() => wants() > 0);
  const second = leaveOpen(path);
  // Each asks once a second.
  const both = wants() + 2;
  await eventually(() => wants() >= both);
  first.sent.destroy();
  await first.status;
  const gone = wants() + 2;
  await eventually(() => wants() >= gone);
  stored(3);
  await broadcast(gateway.broker, segmentsStored, { id });
  expect(await second.status).toBe(200);
});

it("is held eight times for one client, and the ninth is sent away; a place is free when somebody leaves", async () => {
  const held = Array.from({ length: 8 }, (_, n) => hold(n + 2));
  await eventually(() => wants() >= 8);
  const { status, headers } = await ask(gateway.url, target(20));
  expect([status, headers["retry-after"]]).toEqual([503, "1"]);
  held[0]?.sent.destroy();
  const asked = wants();
  const late = await eventually(async () => {
    const next = hold(30);
    return (await Promise.race([next.status, eventually(() => wants() > asked + 20, { timeoutMs: 300 }).catch(() => "held")])) === "held"
      ? next
      : undefined;
  });
  stored(100);
  await broadcast(gateway.broker, segmentsStored, { id });
  expect(await Promise.all([...held.slice(1), late].map((each) => each.status))).toEqual(Array.from({ length: 8 }, () => 200));
});

it("is held 64 times for one video, whoever asks", async () => {
  const held = Array.from({ length: 64 }, (_, n) => hold(n + 2, `127.0.0.${2 + Math.floor(n / 8)}`));
  await eventually(() => wants() >= 64);
  expect((await ask(gateway.url, target(90))).status).toBe(503);
  stored(100);
  await broadcast(gateway.broker, segmentsStored, { id });
  expect(await Promise.all(held.map(({ status }) => status))).toEqual(Array.from({ length: 64 }, () => 200));
});

it("does not outlive the server", async () => {
  const held = [hold(2), hold(3)];
  await eventually(() => wants() >= 2);
  const at = performance.now();
  const [statuses] = await Promise.all([Promise.all(held.map(({ status }) => status)), gateway.stop()]);
  expect(performance.now() - at).toBeLessThan(1500);
  expect(statuses).toEqual([503, 503]);
});
