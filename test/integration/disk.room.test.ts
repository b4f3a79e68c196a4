/** A disk that is full, and one whose medium fails: what is there can be read, and writes are taken again as soon as they can be. */
import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { credentials, makeGenericClientConstructor } from "@grpc/grpc-js";
import { service as health } from "grpc-health-check";
import { DiskClient } from "../../mixins/disks/client.ts";
import { type Files, nodeFiles, type OpenFile } from "../../services/disk/files/port.ts";
import { ChunkStore } from "../../services/disk/files/store.ts";
import { errorType } from "../../services/kernel/errors.ts";
import { filesIn, randomChunk, startDisk, type TestDisk } from "../support/disks.ts";
import { eventually } from "../support/eventually.ts";

const MiB = 1024 * 1024;
const SECRET = "a secret of the tests";
const failsWith = (type: string) => expect.objectContaining({ type });

let root: string;
let ends: (() => unknown)[];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tritontube-room-"));
  ends = [];
});
afterEach(async () => {
  for (const end of ends.toReversed()) await end();
  await rm(root, { recursive: true, force: true });
});

const run = (...[command = "", ...args]: string[]) => spawnSync(command, args).status === 0;
const mountWorks = process.getuid?.() === 0 && run("unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", tmpdir());
/** Left out where it does not, in CI too, and named among what was skipped. */
const describeMounted = mountWorks ? describe : describe.skip;

/** A disk on a small filesystem of its own. */
async function onTmpfs(
  options: string,
  settings: Readonly<Record<string, string>> = {},
): Promise<{ disk: TestDisk; client: DiskClient; remount: (more: string) => void }> {
  const mount = join(root, "mount");
  await mkdir(mount);
  expect(run("mount", "-t", "tmpfs", "-o", options, "tmpfs", mount)).toBe(true);
  ends.push(() => run("umount", mount));
  const disk = await startDisk({ dir: join(mount, "disk"), secret: SECRET, settings });
  ends.push(() => disk.kill());
  const client = new DiskClient({ address: disk.address, secret: SECRET });
  ends.push(() => client.close());
  return { disk, client, remount: (more) => expect(run("mount", "-o", `remount,${more}`, mount)).toBe(true) };
}

/** Stores chunks until the disk takes no more. */
async function fill(client: DiskClient, size: number): Promise<{ hash: string; bytes: Buffer }[]> {
  const stored: { hash: string; bytes: Buffer }[] = [];
  for (;;) {
    const chunk = randomChunk(size);
    try {
      await client.putChunk({ ...chunk, epoch: 1 });
    } catch (error) {
      if (errorType(error) !== "DISK_FULL") throw error;
      return stored;
    }
    stored.push(chunk);
  }
}

async function takesWrites(disk: TestDisk): Promise<boolean> {
  const Health = makeGenericClientConstructor(health, "Health");
  const connection = new Health(disk.address, credentials.createInsecure());
  const { promise, resolve } = Promise.withResolvers<{ status?: string } | undefined>();
  const check = connection["check"] as unknown as (
    request: object,
    callback: (error: unknown, answer?: { status: string }) => void,
  ) => void;
  check.call(connection, { service: "tritontube.disk.v1.DiskService.PutChunk" }, (_error, answer) => resolve(answer));
  const answer = await promise;
  connection.close();
  return answer?.status === "SERVING";
}

describeMounted("a full disk [needs root: to mount a small tmpfs]", () => {
  it("says that it takes no more, gives what it has, and takes chunks again when there is room", async () => {
    const { disk, client, remount } = await onTmpfs("size=40m", { DISK_RESERVE_BYTES: String(MiB) });
    await eventually(() => takesWrites(disk), { what: "a disk that takes chunks" });
    const stored = await fill(client, 3 * MiB);
    expect(stored.length).toBeGreaterThan(10);
    expect(await client.getDisk()).toMatchObject({
      readOnly: expect.stringMatching("left above the reserve") as string,
      chunks: stored.length,
    });
    await eventually(async () => !(await takesWrites(disk)), { what: "a disk that takes no chunks" });
    expect(await client.isServing()).toBe(true);
    for (const chunk of stored) expect((await client.getChunk(chunk)).equals(chunk.bytes)).toBe(true);

    remount("size=80m");
    expect((await client.getDisk()).readOnly).toBeNull();
    await eventually(() => takesWrites(disk), { what: "a disk that takes chunks" });
    expect(await client.putChunk({ ...randomChunk(8 * MiB), epoch: 1 })).toEqual({ existed: false });
  });

  it("gives up what is in its trash, the oldest first, before it refuses a chunk", async () => {
    const { disk, client } = await onTmpfs("size=40m");
    const stored = await fill(client, 3 * MiB);
    const deleted = stored.slice(0, 5);
    for (const chunk of deleted) {
      await client.deleteChunk({ ...chunk, epoch: 1, version: (await client.statChunk(chunk))!.version });
    }
    expect((await client.getDisk()).freeBytes).toBeGreaterThanOrEqual(15 * MiB);
    await client.putChunk({ ...randomChunk(5 * MiB), epoch: 1 });
    const left = (await filesIn(disk, "trash")).map((name) => name.split("-")[1]);
    expect(left).not.toContain(deleted[0]!.hash);
    expect(left).toContain(deleted[4]!.hash);
    expect((await client.getDisk()).trash.bytes).toBe(left.length * 3 * MiB);
    expect((await fill(client, 3 * MiB)).length).toBeGreaterThan(1);
    for (const chunk of stored.slice(5)) await client.getChunk(chunk);
  });

  it("refuses chunks when there are too few files left, whatever the bytes", async () => {
    const { client, remount } = await onTmpfs("size=40m,nr_inodes=1200");
    await expect(fill(client, 1000)).resolves.not.toHaveLength(0);
    expect((await client.getDisk()).readOnly).toMatch("more files");
    remount("nr_inodes=5000");
    expect(await client.putChunk({ ...randomChunk(1000), epoch: 1 })).toEqual({ existed: false });
  });

  it("loses nothing when somebody else fills its filesystem in the middle of uploads", async () => {
    const { disk, client } = await onTmpfs("size=40m");
    const upload = async (): Promise<{ hash: string; bytes: Buffer }[]> => await fill(client, 2 * MiB);
    const filling = writeFile(join(root, "mount", "stranger"), Buffer.alloc(20 * MiB, 1)).catch(() => undefined);
    const stored = (await Promise.all([upload(), upload(), upload(), upload()])).flat();
    await filling;
    for (const chunk of stored) expect((await client.getChunk(chunk)).equals(chunk.bytes)).toBe(true);
    expect((await client.getDisk()).chunks).toBe((await filesIn(disk, "chunks")).length);
    expect((await filesIn(disk, "tmp")).filter((name) => name.includes("."))).toEqual([]);
  });
});

type Fault = "write" | "sync of a file" | "sync of a folder";

/** Node's files, with a medium that fails at one thing while `fault` says so. */
function faulty(code: string): Files & { fault: Fault | undefined } {
  const error = () => Object.assign(new Error(`${code}: injected`), { code });
  const opened = (file: OpenFile, what: "file" | "folder"): OpenFile => ({
    read: (buffer, offset, length, position) => file.read(buffer, offset, length, position),
    async write(buffer, offset, length, position) {
      if (files.fault === "write") throw error();
      // Short, as near the end of a filesystem.
      return await file.write(buffer, offset, Math.ceil(length / 2), position);
    },
    async sync() {
      if (files.fault === `sync of a ${what}`) throw error();
      await file.sync();
    },
    stat: (options) => file.stat(options),
    close: () => file.close(),
  });
  const files = {
    ...nodeFiles,
    fault: undefined as Fault | undefined,
    open: async (path: string, flags: "r" | "w" | "wx") => opened(await nodeFiles.open(path, flags), "file"),
    openFolder: async (path: string) => opened(await nodeFiles.openFolder(path), "folder"),
  };
  return files;
}

/** As the handler of PutChunk does. */
async function put(disk: ChunkStore, { hash, bytes }: { hash: string; bytes: Buffer }): Promise<void> {
  const incoming = await disk.begin({ hash, size: bytes.length, epoch: 1 });
  try {
    await incoming?.write(bytes);
    if (incoming) await disk.publish(incoming);
  } catch (error) {
    disk.failed(error);
    throw error;
  } finally {
    if (incoming) await disk.end(incoming);
  }
}

const settings = { reserveBytes: 0, trashKeepMs: 1000 };

async function store(files: Files): Promise<ChunkStore> {
  const opened = await ChunkStore.open(join(root, "disk"), settings, files);
  ends.push(() => opened.close());
  return opened;
}

describe("what the chunks of a disk take", () => {
  it("is not less than nothing when a chunk goes while the sizes are counted", async () => {
    const chunk = randomChunk(10_000);
    const before = await ChunkStore.open(join(root, "disk"), settings);
    await put(before, chunk);
    before.close();

    // The chunk is counted between its rename and the end of its removal.
    const { promise: counted, resolve } = Promise.withResolvers<void>();
    const disk: ChunkStore = await store({
      ...nodeFiles,
      rename: async (from, to) => {
        await nodeFiles.rename(from, to);
        await disk.countBytes(new AbortController().signal).then(resolve);
      },
    });
    const { version } = (await disk.stat(chunk.hash))!;
    expect(await disk.remove(chunk.hash, { epoch: 1, version })).toBe(true);
    await counted;
    expect(await disk.usage()).toMatchObject({ chunks: 0, usedBytes: 0, trash: { files: 1, bytes: 10_000 } });
  });

  it("counts a chunk that could not be moved away", async () => {
    const chunk = randomChunk(10_000);
    let fails = false;
    const disk = await store({
      ...nodeFiles,
      rename: async (from, to) => {
        if (fails) throw Object.assign(new Error("EIO: injected"), { code: "EIO" });
        await nodeFiles.rename(from, to);
      },
    });
    await disk.countBytes(new AbortController().signal);
    await put(disk, chunk);
    const { version } = (await disk.stat(chunk.hash))!;
    fails = true;
    await expect(disk.remove(chunk.hash, { epoch: 1, version })).rejects.toThrow("EIO");
    expect(await disk.usage()).toMatchObject({ chunks: 1, usedBytes: 10_000 });
  });
});

describe("a medium that fails", () => {
  it.each<Fault>(["write", "sync of a file", "sync of a folder"])(
    "at the %s leaves nothing of a chunk that was not acknowledged, and is asked for no writes until it takes them again",
    async (fault) => {
      const files = faulty("EIO");
      const disk = await store(files);
      const [before, during, after] = [randomChunk(10_000), randomChunk(10_000), randomChunk(10_000)];
      await put(disk, before);
      files.fault = fault;
      await expect(put(disk, during)).rejects.toThrow("EIO: injected");
      expect(await disk.stat(during.hash)).toBeUndefined();
      await expect(put(disk, after)).rejects.toEqual(failsWith("DISK_READ_ONLY"));
      expect((await disk.usage()).readOnly).toMatch("takes no writes (EIO)");
      expect(await disk.tryAgain()).toBe(false);
      expect((await disk.stat(before.hash))?.size).toBe(10_000);

      files.fault = undefined;
      expect(await disk.tryAgain()).toBe(true);
      for (const chunk of [during, after]) await put(disk, chunk);
      expect((await disk.usage()).readOnly).toBe("");
      expect((await disk.usage()).chunks).toBe(3);
    },
  );

  it("that is only full is not broken", async () => {
    const files = faulty("ENOSPC");
    const disk = await store(files);
    files.fault = "write";
    await expect(put(disk, randomChunk(1000))).rejects.toThrow("ENOSPC: injected");
    files.fault = undefined;
    await put(disk, randomChunk(1000));
    expect((await disk.usage()).chunks).toBe(1);
  });
});
