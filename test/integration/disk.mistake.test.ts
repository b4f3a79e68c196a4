/** A real disk that meets an error nobody caught, while whoever is told of mistakes does not answer. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { credentials, Metadata } from "@grpc/grpc-js";
import { uploadOf } from "../../mixins/disks/chunks.ts";
import { DiskClient } from "../../mixins/disks/client.ts";
import { DiskConnection } from "../../proto/disk.ts";
import { draftsIn, randomChunk, startDisk, type TestDisk } from "../support/disks.ts";
import { eventually } from "../support/eventually.ts";
import { startSentryReceiver, type SentryReceiver } from "../support/sentry.ts";

const SECRET = "a secret of the tests";
const failed = { status: "rejected", reason: expect.objectContaining({ type: "DISK_UNAVAILABLE" }) as unknown };

let root: string;
let receiver: SentryReceiver;
let disk: TestDisk;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tritontube-mistake-"));
  receiver = await startSentryReceiver();
  receiver.hang();
  disk = await startDisk({ dir: join(root, "disk"), secret: SECRET, settings: { MISTAKES: "SIGUSR2", SENTRY_DSN: receiver.dsn } });
});
afterEach(async () => {
  await disk.kill();
  await receiver.stop();
  await rm(root, { recursive: true, force: true });
});

/** An upload that goes on when `goOn` is called; answers whether it was acknowledged. */
async function begunUpload(): Promise<{ goOn: () => Promise<boolean> }> {
  const client = new DiskConnection(disk.address, credentials.createInsecure());
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${SECRET}`);
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const call = client.putChunk(metadata, (error) => resolve(error === null));
  const [header, ...rest] = [...uploadOf({ ...randomChunk(1000), epoch: 1 })];
  call.write(header!);
  await eventually(async () => (await draftsIn(disk)).length === 1, { what: "the draft of the upload" });
  const goOn = async (): Promise<boolean> => {
    for (const message of rest) call.write(message);
    call.end();
    return await promise.finally(() => client.close());
  };
  return { goOn };
}

const mistakesInLog = (): number => disk.log.split("stops after a mistake of ours").length - 1;

async function makeMistake(): Promise<void> {
  await disk.kill("SIGUSR2");
  await eventually(() => mistakesInLog() > 0, { what: "the mistake in the log" });
}

describe("a disk that has met a mistake of ours", () => {
  it("answers nobody any more while it is telling: neither what was running, nor what is new, on old connections or new ones", async () => {
    const chunk = { ...randomChunk(1000), epoch: 1 };
    const clients = [disk, disk].map(({ address }) => new DiskClient({ address, secret: SECRET }));
    const [known, late] = clients;
    await known!.putChunk(chunk);
    const running = await begunUpload();
    await makeMistake();
    const acknowledged = running.goOn();
    const calls = [known!.statChunk(chunk), known!.putChunk({ ...randomChunk(1000), epoch: 1 }), late!.getDisk(), late!.getChunk(chunk)];
    expect(await Promise.allSettled(calls)).toEqual(calls.map(() => failed));
    expect(await acknowledged).toBe(false);
    for (const client of clients) client.close();
  });

  it("tells it once, whatever comes of it, and ends with 1", async () => {
    await makeMistake();
    await disk.kill("SIGUSR2");
    expect(await disk.ended).toBe(1);
    expect(mistakesInLog()).toBe(1);
    expect(receiver.events.map(({ tags }) => tags["service"])).toEqual(["disk"]);
  });
});
