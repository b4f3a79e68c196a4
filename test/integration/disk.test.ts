/** A disk and its client, over a real socket and a real folder. */
import { open, readFile, writeFile } from "node:fs/promises";
import { type ClientWritableStream, credentials, Metadata, status } from "@grpc/grpc-js";
import { DiskClient } from "../../mixins/disks/client.ts";
import { DiskConnection, diskService } from "../../proto/disk.ts";
import type { DiskServiceClient, PutChunkRequest } from "../../proto/gen/tritontube/disk/v1/disk.ts";
import { windowsAreWide } from "../../services/disk/grpc/windows.ts";
import { chunkFile, draftsIn, filesIn, randomChunk, startDisks, type TestDisk, type TestDisks } from "../support/disks.ts";
import { eventually } from "../support/eventually.ts";

const MiB = 1024 * 1024;

let started: TestDisks;
let disk: TestDisk;
let client: DiskClient;

beforeAll(async () => {
  started = await startDisks(1, { zones: ["rack-1"] });
  disk = started.disks[0]!;
  client = new DiskClient({ address: disk.address, secret: started.secret });
});

afterAll(async () => {
  client.close();
  await started.stop();
});

const failsWith = (type: string) => expect.objectContaining({ type });

async function stored(size = 1000): Promise<{ hash: string; bytes: Buffer }> {
  const chunk = randomChunk(size);
  await client.putChunk({ ...chunk, epoch: 1 });
  return chunk;
}

describe("a chunk", () => {
  it.each([1, 1000, 256 * 1024, 256 * 1024 + 1, 8 * MiB])("of %i bytes comes back as it went in", async (size) => {
    const { hash, bytes } = await stored(size);
    const read = await client.getChunk({ hash });
    expect(read.equals(bytes)).toBe(true);
    expect(await client.statChunk({ hash })).toBe(size);
    expect((await readFile(chunkFile(disk, hash))).equals(bytes)).toBe(true);
  });

  it("is there already when it comes a second time", async () => {
    const chunk = await stored();
    expect(await client.putChunk({ ...chunk, epoch: 1 })).toEqual({ existed: true });
  });

  it("is stored once when many write it at once", async () => {
    const chunk = randomChunk(MiB);
    const before = await client.getDisk();
    const answers = await Promise.all(Array.from({ length: 8 }, () => client.putChunk({ ...chunk, epoch: 1 })));
    expect(answers.filter(({ existed }) => !existed)).toHaveLength(1);
    expect((await client.getDisk()).chunks).toBe(before.chunks + 1);
    expect(await draftsIn(disk)).toEqual([]);
  });

  it.each([
    [0, 10],
    [300_000, 300_000],
    [599_990, 10],
    [500_000, undefined],
  ])("gives a part, from byte %i for %s bytes", async (offset, length) => {
    const { hash, bytes } = await stored(600_000);
    const range = length === undefined ? { hash, offset } : { hash, offset, length };
    expect((await client.getChunk(range)).equals(bytes.subarray(offset, length && offset + length))).toBe(true);
  });

  it("refuses bytes that it does not have", async () => {
    const { hash } = await stored(100);
    await expect(client.getChunk({ hash, offset: 50, length: 51 })).rejects.toEqual(failsWith("RANGE_NOT_SATISFIABLE"));
  });

  it("goes to the trash when it is deleted, and can be stored again", async () => {
    const chunk = await stored();
    expect(await client.deleteChunk({ hash: chunk.hash, epoch: 1 })).toEqual({ existed: true });
    expect(await client.deleteChunk({ hash: chunk.hash, epoch: 1 })).toEqual({ existed: false });
    expect(await client.statChunk(chunk)).toBeUndefined();
    await expect(client.getChunk(chunk)).rejects.toEqual(failsWith("CHUNK_NOT_FOUND"));
    expect(await filesIn(disk, "trash")).toContainEqual(expect.stringMatching(new RegExp(`^[0-9]+-${chunk.hash}$`)));
    expect(await client.putChunk({ ...chunk, epoch: 1 })).toEqual({ existed: false });
  });

  it("that has changed on the medium is never given as good, and makes room for a good one", async () => {
    const chunk = await stored(3 * MiB);
    await flipByte(chunkFile(disk, chunk.hash), 2 * MiB);
    await expect(client.getChunk(chunk)).rejects.toEqual(failsWith("CHUNK_CORRUPT"));
    await expect(client.getChunk(chunk)).rejects.toEqual(failsWith("CHUNK_NOT_FOUND"));
    expect(await filesIn(disk, "quarantine")).toContainEqual(expect.stringMatching(chunk.hash));
    expect(await client.putChunk({ ...chunk, epoch: 1 })).toEqual({ existed: false });
    expect((await client.getChunk(chunk)).equals(chunk.bytes)).toBe(true);
  });

  it("that is empty on the medium is not one", async () => {
    const chunk = await stored(5000);
    await writeFile(chunkFile(disk, chunk.hash), "");
    await expect(client.getChunk(chunk)).rejects.toEqual(failsWith("CHUNK_CORRUPT"));
    expect(await client.statChunk(chunk)).toBeUndefined();
  });

  it("that was cut short on the medium is not taken for the chunk", async () => {
    const chunk = await stored(5000);
    await writeFile(chunkFile(disk, chunk.hash), chunk.bytes.subarray(0, 4000));
    expect(await client.putChunk({ ...chunk, epoch: 1 })).toEqual({ existed: false });
    expect((await client.getChunk(chunk)).equals(chunk.bytes)).toBe(true);
  });
});

async function flipByte(path: string, position: number): Promise<void> {
  const file = await open(path, "r+");
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, position);
  byte[0]! ^= 1;
  await file.write(byte, 0, 1, position);
  await file.close();
}

type Part = PutChunkRequest["part"];
const header = (hash: string, size: number): Part => ({ $case: "header", value: { sha256: Buffer.from(hash, "hex"), size, epoch: 1 } });
const data = (value: Buffer): Part => ({ $case: "data", value });
const commit: Part = { $case: "commit", value: {} };

async function leavesNothingOf(hash: string): Promise<void> {
  expect(await client.statChunk({ hash })).toBeUndefined();
  await eventually(async () => (await draftsIn(disk)).length === 0, { what: "an empty tmp folder" });
}

describe("an upload that does not end as it should", () => {
  let raw: DiskServiceClient;
  let metadata: Metadata;

  beforeAll(() => {
    raw = new DiskConnection(disk.address, credentials.createInsecure());
    metadata = new Metadata();
    metadata.set("authorization", `Bearer ${started.secret}`);
  });
  afterAll(() => raw.close());

  /** Sends the messages as they are, and ends the stream unless told to leave it open. Answers with the gRPC status code. */
  function upload(parts: readonly Part[], end = true): { call: ClientWritableStream<PutChunkRequest>; code: Promise<number> } {
    const { promise: code, resolve } = Promise.withResolvers<number>();
    const call = raw.putChunk(metadata, { deadline: Date.now() + 20_000 }, (error) => resolve(error?.code ?? status.OK));
    for (const part of parts) call.write({ part });
    if (end) call.end();
    return { call, code };
  }

  it("stores nothing without a commit, although every byte came", async () => {
    const { hash, bytes } = randomChunk(1000);
    expect(await upload([header(hash, 1000), data(bytes)]).code).toBe(status.ABORTED);
    await leavesNothingOf(hash);
  });

  it("stores nothing when it is cancelled", async () => {
    const { hash, bytes } = randomChunk(1000);
    const { call, code } = upload([header(hash, 1000), data(bytes)], false);
    await eventually(async () => (await draftsIn(disk)).length === 1, { what: "the temporary file" });
    call.cancel();
    expect(await code).toBe(status.CANCELLED);
    await leavesNothingOf(hash);
  });

  it("stores nothing when its connection is gone", async () => {
    const { hash, bytes } = randomChunk(1000);
    const other = new DiskConnection(disk.address, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 });
    const call = other.putChunk(metadata, () => undefined);
    call.write({ part: header(hash, 1000) });
    call.write({ part: data(bytes) });
    await eventually(async () => (await draftsIn(disk)).length === 1, { what: "the temporary file" });
    call.cancel();
    other.close();
    await leavesNothingOf(hash);
    expect(await filesIn(disk, "chunks")).not.toContain(hash);
  });

  it("stores nothing under a name that is not its own", async () => {
    const { hash } = randomChunk(1000);
    const { bytes } = randomChunk(1000);
    expect(await upload([header(hash, 1000), data(bytes), commit]).code).toBe(status.DATA_LOSS);
    await leavesNothingOf(hash);
  });

  it.each([999, 1001])("stores nothing of 1000 bytes that were declared as %i", async (size) => {
    const { hash, bytes } = randomChunk(1000);
    expect(await upload([header(hash, size), data(bytes), commit]).code).toBe(status.INVALID_ARGUMENT);
    await leavesNothingOf(hash);
  });

  it("does no harm to the chunk that has its name", async () => {
    const { hash } = await stored(1000);
    expect(await upload([header(hash, 3), data(Buffer.from("bad")), commit]).code).toBe(status.DATA_LOSS);
    expect(await client.getChunk({ hash })).toHaveLength(1000);
  });

  it("is refused without a header", async () => {
    expect(await upload([data(Buffer.from("x")), commit]).code).toBe(status.INVALID_ARGUMENT);
  });

  it("is answered before its bytes when the chunk is there", async () => {
    const { hash } = await stored(1000);
    expect(await upload([header(hash, 1000)], false).code).toBe(status.OK);
  });
});

const nothing = () => Buffer.alloc(0);

describe("the secret", () => {
  it.each(Object.values(diskService).map(({ path }) => path))("is asked for by %s", async (path) => {
    const { promise: code, resolve } = Promise.withResolvers<number | undefined>();
    const connection = new DiskConnection(disk.address, credentials.createInsecure());
    const metadata = new Metadata();
    metadata.set("authorization", "Bearer wrong");
    connection.makeUnaryRequest(path, nothing, nothing, {}, metadata, {}, (error) => resolve(error?.code));
    expect(await code).toBe(status.UNAUTHENTICATED);
    connection.close();
  });

  it("makes a failure of its own, and is not needed to ask for health", async () => {
    const stranger = new DiskClient({ address: disk.address, secret: "not the secret of this disk" });
    await expect(stranger.getDisk()).rejects.toEqual(failsWith("DISK_UNAUTHENTICATED"));
    await expect(stranger.putChunk({ ...randomChunk(8 * MiB), epoch: 1 })).rejects.toEqual(failsWith("DISK_UNAUTHENTICATED"));
    expect(await stranger.isServing()).toBe(true);
    stranger.close();
  });
});

describe("a disk", () => {
  it("says who it is and how full", async () => {
    const { id, zone, capacityBytes, freeBytes, chunks } = await client.getDisk();
    expect({ id, zone }).toEqual({ id: disk.id, zone: "rack-1" });
    expect(chunks).toBe((await filesIn(disk, "chunks")).length);
    expect(capacityBytes).toBeGreaterThan(freeBytes);
  });

  it("gives uploads from afar wide windows", async () => {
    const [host, port] = disk.address.split(":");
    expect(await windowsAreWide(Number(port), host!)).toBe(true);
  });

  it.each([0, 8 * MiB + 1])("takes no chunk of %i bytes", async (size) => {
    await expect(client.putChunk({ ...randomChunk(size), epoch: 1 })).rejects.toEqual(failsWith("INVALID_REQUEST"));
  });
});
