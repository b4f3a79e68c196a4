/** What a disk survives, what it refuses, and how it ends. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { credentials, Metadata, status } from "@grpc/grpc-js";
import { childEnvironment } from "../../config/index.ts";
import { DiskClient } from "../../mixins/disks/client.ts";
import { DiskConnection } from "../../proto/disk.ts";
import { chunkFile, draftsIn, filesIn, flipByte, randomChunk, startDisk, stopScrub, type TestDisk } from "../support/disks.ts";
import { eventually } from "../support/eventually.ts";

const MiB = 1024 * 1024;
const SECRET = "a secret of the tests";

let root: string;
let ends: (() => unknown)[];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tritontube-disk-"));
  ends = [];
});

afterEach(async () => {
  for (const end of ends.toReversed()) await end();
  await rm(root, { recursive: true, force: true });
});

async function start(settings: Readonly<Record<string, string>> = {}, dir = join(root, "disk")): Promise<TestDisk> {
  const disk = await startDisk({ dir, secret: SECRET, settings });
  ends.push(() => disk.kill());
  return disk;
}

function connect(disk: TestDisk): DiskClient {
  const client = new DiskClient({ address: disk.address, secret: SECRET });
  ends.push(() => client.close());
  return client;
}

function connectRaw(disk: TestDisk) {
  const connection = new DiskConnection(disk.address, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 });
  ends.push(() => connection.close());
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${SECRET}`);
  return { connection, metadata };
}

const failsWith = (type: string) => expect.objectContaining({ type });

describe("a disk that is killed while it writes", () => {
  it("has every chunk that it acknowledged when it comes back, and nothing half done", async () => {
    const disk = await start();
    const client = connect(disk);
    const acknowledged: string[] = [];
    const writeOn = async () => {
      for (;;) {
        const chunk = randomChunk(300_000);
        await client.putChunk({ ...chunk, epoch: 1 });
        acknowledged.push(chunk.hash);
      }
    };
    const writers = Array.from({ length: 6 }, () => writeOn().catch(() => undefined));
    await eventually(() => acknowledged.length >= 30, { what: "thirty acknowledged chunks" });
    await disk.kill("SIGKILL");
    await Promise.all(writers);

    await disk.restart();
    for (const hash of acknowledged) await client.getChunk({ hash });
    expect(await draftsIn(disk)).toEqual([]);
    expect((await client.getDisk()).chunks).toBe((await filesIn(disk, "chunks")).length);
  });

  it("sweeps what was on its way in", async () => {
    const disk = await start();
    const { connection, metadata } = connectRaw(disk);
    const { hash } = randomChunk(10);
    const call = connection.putChunk(metadata, () => undefined);
    call.write({ part: { $case: "header", value: { sha256: Buffer.from(hash, "hex"), size: 1000, epoch: 1 } } });
    await eventually(async () => (await draftsIn(disk)).length === 1, { what: "the temporary file" });
    await disk.kill("SIGKILL");
    expect(await draftsIn(disk)).toHaveLength(1);
    await disk.restart();
    expect(await draftsIn(disk)).toEqual([]);
  });

  it("deletes nothing that was planned before its end", async () => {
    const disk = await start();
    const client = connect(disk);
    const chunk = randomChunk(3000);
    await client.putChunk({ ...chunk, epoch: 1 });
    const { version } = (await client.statChunk(chunk))!;
    await disk.restart();
    await expect(client.deleteChunk({ ...chunk, epoch: 1, version })).rejects.toEqual(failsWith("CHUNK_CHANGED"));
  });

  it("is the same disk afterwards", async () => {
    const disk = await start();
    const { id } = disk;
    await disk.restart();
    expect(disk.id).toBe(id);
  });
});

describe("the epoch", () => {
  it("lets nothing be written or deleted that was planned before, also after a restart", async () => {
    const disk = await start();
    const client = connect(disk);
    const chunk = randomChunk(10);
    await client.putChunk({ ...chunk, epoch: 5 });
    await disk.restart();
    await expect(client.putChunk({ ...randomChunk(10), epoch: 4 })).rejects.toEqual(failsWith("DISK_STALE_EPOCH"));
    await expect(client.deleteChunk({ ...chunk, epoch: 4, version: "any" })).rejects.toEqual(failsWith("DISK_STALE_EPOCH"));
    expect((await client.getChunk(chunk)).equals(chunk.bytes)).toBe(true);
    expect((await client.getDisk()).epoch).toBe(5);
  });

  it("stops an upload that began before it", async () => {
    const disk = await start();
    const client = connect(disk);
    const { connection, metadata } = connectRaw(disk);
    const { hash, bytes } = randomChunk(1000);
    const { promise: code, resolve: answered } = Promise.withResolvers<number | undefined>();
    const call = connection.putChunk(metadata, (error) => answered(error?.code));
    call.write({ part: { $case: "header", value: { sha256: Buffer.from(hash, "hex"), size: 1000, epoch: 1 } } });
    await eventually(async () => (await draftsIn(disk)).length === 1, { what: "the temporary file" });
    await client.putChunk({ ...randomChunk(10), epoch: 2 });
    call.write({ part: { $case: "data", value: bytes } });
    call.write({ part: { $case: "commit", value: {} } });
    expect(await code).toBe(status.FAILED_PRECONDITION);
    expect(await client.statChunk({ hash })).toBeUndefined();
  });
});

describe("a folder", () => {
  it("is served by one process", async () => {
    const disk = await start();
    await expect(start()).rejects.toThrow("Another process serves");
    await disk.kill("SIGKILL");
    await start();
  });

  it("with a damaged identity is not served under a new one", async () => {
    const disk = await start();
    await disk.kill("SIGTERM");
    await writeFile(join(disk.dir, "disk.json"), "{");
    await expect(disk.restart()).rejects.toThrow("does not hold the identity of a disk");
  });

  it("loses deleted chunks after a day", async () => {
    const [{ hash: old }, { hash: young }] = [randomChunk(1), randomChunk(1)];
    const trash = join(root, "disk", "trash");
    await mkdir(trash, { recursive: true });
    await writeFile(join(trash, `${Date.now() - 25 * 3600 * 1000}-${old}`), "");
    await writeFile(join(trash, `${Date.now() - 23 * 3600 * 1000}-${young}`), "");
    const disk = await start();
    await eventually(async () => (await filesIn(disk, "trash")).length === 1, { what: "the end of the old chunk" });
    expect(await filesIn(disk, "trash")).toContainEqual(expect.stringMatching(young));
  });
});

async function storedAndForgotten(): Promise<{
  disk: TestDisk;
  client: DiskClient;
  chunk: ReturnType<typeof randomChunk>;
  sums: string;
}> {
  const disk = await start();
  const client = connect(disk);
  const chunk = randomChunk(3 * MiB);
  await client.putChunk({ ...chunk, epoch: 1 });
  const sums = join(disk.dir, "sums", chunk.hash.slice(0, 2), chunk.hash);
  await eventually(async () => (await stat(sums)).size === (48 + 1) * 4, { what: "the file of the sums" });
  await stopScrub(disk, SECRET);
  await disk.restart();
  return { disk, client, chunk, sums };
}

describe("the sums of the blocks of a chunk", () => {
  const part = { offset: 100, length: 200_000 };

  it("are known after a restart", async () => {
    const { disk, client, chunk } = await storedAndForgotten();
    await flipByte(chunkFile(disk, chunk.hash), 2 * MiB);
    expect((await client.getChunk({ ...chunk, ...part })).equals(chunk.bytes.subarray(100, 200_100))).toBe(true);
    await expect(client.getChunk({ ...chunk, offset: 2 * MiB, length: 1 })).rejects.toEqual(failsWith("CHUNK_CORRUPT"));
  });

  it.each([
    ["lost", async (sums: string) => await rm(sums)],
    ["damaged", async (sums: string) => await flipByte(sums, 0)],
    ["cut short", async (sums: string) => await truncate(sums, 100)],
    ["those of nothing", async (sums: string) => await writeFile(sums, "")],
  ])("are made again from the whole chunk when they are %s", async (_what, damage) => {
    const { client, chunk, sums } = await storedAndForgotten();
    const before = await readFile(sums);
    await damage(sums);
    expect((await client.getChunk({ ...chunk, ...part })).equals(chunk.bytes.subarray(100, 200_100))).toBe(true);
    expect((await readFile(sums)).equals(before)).toBe(true);
  });

  it("are not made of a chunk that is bad, wherever that is", async () => {
    const { disk, client, chunk, sums } = await storedAndForgotten();
    await rm(sums);
    await flipByte(chunkFile(disk, chunk.hash), 2 * MiB);
    await expect(client.getChunk({ ...chunk, ...part })).rejects.toEqual(failsWith("CHUNK_CORRUPT"));
    expect((await client.getDisk()).quarantine.files).toBe(1);
  });

  it("go with the chunk", async () => {
    const { disk, client, chunk } = await storedAndForgotten();
    await client.deleteChunk({ ...chunk, epoch: 1, version: (await client.statChunk(chunk))!.version });
    expect(await eventually(async () => (await filesIn(disk, "sums")).length === 0, { what: "the end of the sums" })).toBe(true);
  });
});

describe("the figures of a disk", () => {
  it("say what its chunks, its trash and its quarantine take, and how many faults it had, also after a restart", async () => {
    const disk = await start();
    await stopScrub(disk, SECRET);
    const client = connect(disk);
    const [kept, deleted, bad] = [randomChunk(1000), randomChunk(2000), randomChunk(4000)];
    for (const chunk of [kept, deleted, bad]) await client.putChunk({ ...chunk, epoch: 1 });
    await client.deleteChunk({ ...deleted, epoch: 1, version: (await client.statChunk(deleted))!.version });
    await flipByte(chunkFile(disk, bad.hash), 7);
    await expect(client.getChunk(bad)).rejects.toEqual(failsWith("CHUNK_CORRUPT"));
    const facts = { chunks: 1, trash: { files: 1, bytes: 2000 }, quarantine: { files: 1, bytes: 4000 }, faults: 1, readOnly: null };
    expect(await client.getDisk()).toMatchObject({ ...facts, faultsSinceStart: 1 });
    await eventually(async () => (await client.getDisk()).usedBytes === 1000, { what: "the sizes of chunks" });
    await disk.restart();
    await eventually(async () => (await client.getDisk()).usedBytes === 1000, { what: "the sizes of chunks" });
    await eventually(async () => (await client.getDisk()).quarantine.bytes === 4000, { what: "the sizes in the quarantine" });
    expect(await client.getDisk()).toMatchObject({ ...facts, faultsSinceStart: 0 });
  });
});

describe("a full disk", () => {
  it("takes no chunk into its reserve", async () => {
    const disk = await start({ DISK_RESERVE_BYTES: String(1024 ** 4) });
    await expect(connect(disk).putChunk({ ...randomChunk(1), epoch: 1 })).rejects.toEqual(failsWith("DISK_FULL"));
  });

  it("that is full in the middle of a write keeps nothing of it, and goes on", async () => {
    const disk = await start();
    const client = connect(disk);
    const chunk = randomChunk(MiB + 2000);
    // A limit on file sizes acts as a full filesystem does: a short count without an error, and the error with the next write.
    expect(spawnSync("prlimit", ["--pid", String(disk.pid), `--fsize=${MiB + 1000}:unlimited`]).status).toBe(0);
    await expect(client.putChunk({ ...chunk, epoch: 1 })).rejects.toEqual(failsWith("DISK_FULL"));
    expect(await client.statChunk(chunk)).toBeUndefined();
    expect(await draftsIn(disk)).toEqual([]);
    expect(await client.putChunk({ ...randomChunk(MiB), epoch: 1 })).toEqual({ existed: false });
  });
});

describe("the end of a disk", () => {
  it("waits for what is running, and takes nothing new", async () => {
    const disk = await start();
    const { connection, metadata } = connectRaw(disk);
    const chunk = randomChunk(1000);
    const { promise: answer, resolve: answered } = Promise.withResolvers<unknown>();
    const call = connection.putChunk(metadata, (error, response) => answered(error ?? response));
    call.write({ part: { $case: "header", value: { sha256: Buffer.from(chunk.hash, "hex"), size: 1000, epoch: 1 } } });
    await eventually(async () => (await draftsIn(disk)).length === 1, { what: "the temporary file" });

    const exit = disk.kill("SIGTERM");
    await eventually(() => disk.log.includes("disk stops"), { what: "the beginning of the end" });
    await expect(connect(disk).getDisk()).rejects.toEqual(failsWith("DISK_UNAVAILABLE"));
    call.write({ part: { $case: "data", value: chunk.bytes } });
    call.write({ part: { $case: "commit", value: {} } });
    call.end();
    expect(await answer).toEqual({ existed: false });
    expect(await exit).toBe(0);
    await disk.restart();
    expect((await connect(disk).getChunk(chunk)).equals(chunk.bytes)).toBe(true);
  });

  it("waits for three seconds at most", async () => {
    const disk = await start();
    const { connection, metadata } = connectRaw(disk);
    const { hash } = randomChunk(10);
    const call = connection.putChunk(metadata, () => undefined);
    call.write({ part: { $case: "header", value: { sha256: Buffer.from(hash, "hex"), size: 10, epoch: 1 } } });
    await eventually(async () => (await draftsIn(disk)).length === 1, { what: "the temporary file" });
    const began = Date.now();
    expect(await disk.kill("SIGTERM")).toBe(0);
    expect(Date.now() - began).toBeLessThan(30_000);
  });

  it("comes with the end of its launcher, however that ends", async () => {
    const main = resolve(import.meta.dirname, "../../services/disk/main.ts");
    const script = `
      const disk = require("node:child_process").spawn(process.execPath, [${JSON.stringify(main)}, "--exit-with-parent"]);
      disk.stdout.on("data", () => console.log(disk.pid));
      setInterval(() => undefined, 1000);`;
    const launcher = spawn(process.execPath, ["-e", script], {
      env: childEnvironment({ DISK_DIR: join(root, "disk"), DISK_SECRET: SECRET }),
    });
    const [pid] = (await once(createInterface(launcher.stdout), "line")) as [string];
    expect(isAlive(pid)).toBe(true);
    launcher.kill("SIGKILL");
    await eventually(() => !isAlive(pid), { what: "the end of the disk" });
  });
});

/** A process that ended and was not waited for is a zombie: as good as gone. */
function isAlive(pid: string): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

describe("a peer that stands still", () => {
  it("does not make the disk hold what it does not take", async () => {
    const disk = await start();
    const client = connect(disk);
    const chunk = randomChunk(8 * MiB);
    await client.putChunk({ ...chunk, epoch: 1 });
    for (let warm = 0; warm < 10; warm += 1) await client.getChunk(chunk);
    const before = residentBytes(disk.pid);

    const { connection, metadata } = connectRaw(disk);
    const request = { sha256: Buffer.from(chunk.hash, "hex"), offset: 0, length: 0 };
    // Nobody listens for their data: 40 readers that together ask for 320 MiB and take nothing.
    const stalled = Array.from({ length: 40 }, () => connection.getChunk(request, metadata).on("error", () => undefined));
    await Promise.all(stalled.map(async (call) => await once(call, "metadata")));
    for (let other = 0; other < 5; other += 1) await client.getChunk(chunk);
    expect(residentBytes(disk.pid) - before).toBeLessThan(100 * MiB);
    for (const call of stalled) call.cancel();
  });

  it("is given up by the client when it is the disk", async () => {
    const disk = await start();
    const [client, newcomer] = [connect(disk), connect(disk)];
    const chunk = randomChunk(8 * MiB);
    await client.putChunk({ ...chunk, epoch: 1 });
    await disk.kill("SIGSTOP");
    const began = Date.now();
    const calls = [client, newcomer].flatMap((from) => [
      from.putChunk({ ...randomChunk(8 * MiB), epoch: 1 }),
      from.getChunk(chunk),
      from.getDisk(),
    ]);
    await Promise.all(calls.map((call) => expect(call).rejects.toEqual(failsWith("DISK_UNAVAILABLE"))));
    expect(Date.now() - began).toBeLessThan(30_000);
    await disk.kill("SIGCONT");
    expect(await eventually(() => client.isServing(), { what: "the disk to be back" })).toBe(true);
  });

  it("is left at once by a caller who wants no more", async () => {
    const disk = await start();
    const client = connect(disk);
    await client.getDisk();
    await disk.kill("SIGSTOP");
    const leaving = new AbortController();
    const calls = [
      client.putChunk({ ...randomChunk(8 * MiB), epoch: 1 }, leaving.signal),
      client.getChunk(randomChunk(1), leaving.signal),
      client.statChunk(randomChunk(1), leaving.signal),
    ];
    leaving.abort(new Error("enough"));
    await Promise.all(calls.map((call) => expect(call).rejects.toThrow("enough")));
    await expect(client.getDisk(leaving.signal)).rejects.toThrow("enough");
  });

  it("leaves nothing behind when it is a caller who leaves, at whatever moment", async () => {
    const disk = await start();
    const client = connect(disk);
    const chunk = randomChunk(8 * MiB);
    await client.putChunk({ ...chunk, epoch: 1 });
    const call = async (nth: number): Promise<unknown> => {
      const signal = AbortSignal.timeout(nth % 50);
      return nth % 2 === 0 ? await client.getChunk(chunk, signal) : await client.putChunk({ ...randomChunk(2 * MiB), epoch: 1 }, signal);
    };
    for (let nth = 0; nth < 200; nth += 20) {
      const outcomes = await Promise.allSettled(Array.from({ length: 20 }, (_, more) => call(nth + more)));
      const reasons = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason as Error] : []));
      expect(reasons.filter(({ name }) => name !== "TimeoutError")).toEqual([]);
    }
    await eventually(async () => (await openFiles(disk)).every((path) => path.endsWith("disk.lock")), {
      what: "no open file but the lock",
    });
    await eventually(async () => (await draftsIn(disk)).length === 0, { what: "no draft" });
    expect(disk.log).not.toContain("a call failed");
    // Every place to upload in is free again.
    await Promise.all(Array.from({ length: 32 }, () => client.putChunk({ ...randomChunk(1000), epoch: 1 })));
  });

  it("fails at once when nobody listens at its address", async () => {
    const disk = await start();
    await disk.kill("SIGKILL");
    await expect(connect(disk).putChunk({ ...randomChunk(10), epoch: 1 })).rejects.toEqual(failsWith("DISK_UNAVAILABLE"));
  });
});

async function openFiles(disk: TestDisk): Promise<string[]> {
  const fds = `/proc/${disk.pid}/fd`;
  const links = await Promise.allSettled((await readdir(fds)).map((fd) => readlink(join(fds, fd))));
  return links.flatMap((link) => (link.status === "fulfilled" && link.value.startsWith(disk.dir) ? [link.value] : []));
}

function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s+([0-9]+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;
}
