/** How slow an upload may be. The minutes are made; what counts them is real. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { PassThrough, type Readable } from "node:stream";
import { openBody } from "../../services/gateway/http/body.ts";
import { errorType } from "../../services/kernel/errors.ts";

/** More than an upload may be silent for is not what is looked at here. */
const limits = { bytesMax: 1e12, idleMs: 3_600_000 };
const KiB = 1024;

/** A body, and the sender's end of it. */
function open(): { sender: PassThrough; body: Readable } {
  const sender = Object.assign(new PassThrough(), { headers: {}, complete: false });
  return { sender, body: openBody(sender as unknown as IncomingMessage, {} as ServerResponse, limits) };
}

async function send(sender: PassThrough, { bytesPerSecond, seconds }: { bytesPerSecond: number; seconds: number }): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    sender.write(Buffer.alloc(bytesPerSecond));
    await jest.advanceTimersByTimeAsync(1000);
  }
}

beforeEach(() => void jest.useFakeTimers());
afterEach(() => {
  expect(jest.getTimerCount()).toBe(0);
  jest.useRealTimers();
});

it("ends an upload that sends a little now and then, after a minute", async () => {
  const { sender, body } = open();
  body.resume();
  await send(sender, { bytesPerSecond: 7 * KiB, seconds: 59 });
  expect(body.destroyed).toBe(false);
  await send(sender, { bytesPerSecond: 7 * KiB, seconds: 2 });
  expect(errorType(body.errored)).toBe("UPLOAD_STALLED");
});

it("sees it also when the upload was fast before", async () => {
  const { sender, body } = open();
  body.resume();
  await send(sender, { bytesPerSecond: 1000 * KiB, seconds: 60 });
  expect(body.destroyed).toBe(false);
  await send(sender, { bytesPerSecond: 1, seconds: 60 });
  expect(errorType(body.errored)).toBe("UPLOAD_STALLED");
});

it("lets an upload go on that is slow, but not that slow, and one that pauses within a minute", async () => {
  const { sender, body } = open();
  body.resume();
  await send(sender, { bytesPerSecond: 9 * KiB, seconds: 120 });
  await send(sender, { bytesPerSecond: 0, seconds: 30 });
  await send(sender, { bytesPerSecond: 20 * KiB, seconds: 30 });
  expect(body.destroyed).toBe(false);
  body.destroy();
});

it.each([
  ["while there is more", 200 * KiB, false],
  // What then lies in the body's two buffers fills neither of them.
  ["after the end", 40 * KiB, true],
])("does not count the time in which the server does not read: %s", async (_, piece, ended) => {
  const { sender, body } = open();
  for (let n = 0; n < 2; n++) sender.write(Buffer.alloc(piece));
  if (ended) Object.assign(sender, { complete: true }).end();
  await jest.advanceTimersByTimeAsync(2 * limits.idleMs);
  expect(body.errored).toBeNull();
  body.destroy();
});
