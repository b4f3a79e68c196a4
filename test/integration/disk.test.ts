/** A disk and its client, over a real socket and a real folder. */
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type ClientWritableStream, credentials, Metadata, status } from "@grpc/grpc-js";
import { DiskClient } from "../../mixins/disks/client.ts";
import type { ListedChunk } from "../../mixins/disks/facts.ts";
import { DiskConnection, diskService } from "../../proto/disk.ts";
import type { DiskServiceClient, PutChunkRequest } from "../../proto/gen/tritontube/disk/v1/disk.ts";
import { windowsAreWide } from "../../services/disk/grpc/windows.ts";
import { addToDigests, DIGEST_BYTES, emptyDigests, partitionOf } from "../../services/kernel/digests.ts";
import {
  chunkFile,
  draftsIn,
  filesIn,
  flipByte,
  randomChunk,
  startDisks,
  stopScrub,
  type TestDisk,
  type TestDisks,
} from "../support/disks.ts";
import { eventually } from "../support/eventually.ts";

const MiB = 1024 * 1024;

let started: TestDisks;
let disk: TestDisk;
let client: DiskClient;

beforeAll(async () => {
  started = await startDisks(1, { zones: ["rack-1"] });
  disk = started.disks[0]!;
  await stopScrub(disk, started.secret);
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

async function versionOf(chunk: { readonly hash: string }): Promise<string> {
  const there = await client.statChunk(chunk);
  if (!there) throw new Error(`The disk does not hold ${chunk.hash}.`);
  return there.version;
}

describe("a chunk", () => {
  it.each([1, 1000, 256 * 1024, 256 * 1024 + 1, 8 * MiB])("of %i bytes comes back as it went in", async (size) => {
    const { hash, bytes } = await stored(size);
    const read = await client.getChunk({ hash });
    expect(read.equals(bytes)).toBe(true);
    expect((await client.statChunk({ hash }))?.size).toBe(size);
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

  it.each([
    ["that lies within one block", 70_000, 10],
    ["that cuts its first and its last block", 65_000, 3 * 65_536],
    ["of whole blocks", 65_536, 2 * 65_536],
    ["that ends where the chunk ends", 600_000 - 100_000, 100_000],
    ["of everything", 0, 600_000],
  ])("gives no part %s when that has changed on the medium", async (_what, offset, length) => {
    for (const position of [offset, offset + length - 1]) {
      const chunk = await stored(600_000);
      await flipByte(chunkFile(disk, chunk.hash), position);
      await expect(client.getChunk({ ...chunk, offset, length })).rejects.toEqual(failsWith("CHUNK_CORRUPT"));
      await expect(client.getChunk({ ...chunk, offset, length })).rejects.toEqual(failsWith("CHUNK_NOT_FOUND"));
    }
  });

  it("gives a part that is good without reading the others", async () => {
    const chunk = await stored(2 * MiB);
    await flipByte(chunkFile(disk, chunk.hash), MiB);
    const part = await client.getChunk({ ...chunk, offset: 10, length: 100_000 });
    expect(part.equals(chunk.bytes.subarray(10, 100_010))).toBe(true);
  });

  it("refuses bytes that it does not have", async () => {
    const { hash } = await stored(100);
    await expect(client.getChunk({ hash, offset: 50, length: 51 })).rejects.toEqual(failsWith("RANGE_NOT_SATISFIABLE"));
  });

  it("goes to the trash when it is deleted, and can be stored again", async () => {
    const chunk = await stored();
    const deletion = { hash: chunk.hash, epoch: 1, version: await versionOf(chunk) };
    expect(await client.deleteChunk(deletion)).toEqual({ existed: true });
    expect(await client.deleteChunk(deletion)).toEqual({ existed: false });
    expect(await client.statChunk(chunk)).toBeUndefined();
    await expect(client.getChunk(chunk)).rejects.toEqual(failsWith("CHUNK_NOT_FOUND"));
    expect(await filesIn(disk, "trash")).toContainEqual(expect.stringMatching(new RegExp(`^[0-9]+-${chunk.hash}$`)));
    expect(await client.putChunk({ ...chunk, epoch: 1 })).toEqual({ existed: false });
  });

  it("stays when it was stored again after somebody decided to delete it", async () => {
    const chunk = await stored();
    const version = await versionOf(chunk);
    expect(await versionOf(chunk)).toBe(version);
    await client.putChunk({ ...chunk, epoch: 1 });
    await expect(client.deleteChunk({ ...chunk, epoch: 1, version })).rejects.toEqual(failsWith("CHUNK_CHANGED"));
    expect((await client.getChunk(chunk)).equals(chunk.bytes)).toBe(true);
    expect(await client.deleteChunk({ ...chunk, epoch: 1, version: await versionOf(chunk) })).toEqual({ existed: true });
  });

  it("stays when a delete does not say which file it means", async () => {
    const chunk = await stored();
    await expect(client.deleteChunk({ ...chunk, epoch: 1, version: "" })).rejects.toEqual(failsWith("INVALID_REQUEST"));
    expect(await versionOf(chunk)).not.toBe("");
  });

  it("gets another version with each of many stores of the same bytes", async () => {
    const chunk = await stored();
    const versions = [await versionOf(chunk)];
    for (let time = 0; time < 100; time += 1) {
      await client.putChunk({ ...chunk, epoch: 1 });
      versions.push(await versionOf(chunk));
    }
    expect(new Set(versions).size).toBe(versions.length);
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

  it("that has changed on the medium does not stand for good bytes that are offered again", async () => {
    const chunk = await stored(3 * MiB);
    await flipByte(chunkFile(disk, chunk.hash), 2 * MiB);
    expect(await client.putChunk({ ...chunk, epoch: 1 })).toEqual({ existed: false });
    expect((await client.getChunk(chunk)).equals(chunk.bytes)).toBe(true);
    expect(await filesIn(disk, "quarantine")).toContainEqual(expect.stringMatching(chunk.hash));
  });

  it("that has changed on the medium is not there for whoever deletes other copies on that word", async () => {
    const chunk = await stored(3 * MiB);
    await flipByte(chunkFile(disk, chunk.hash), 2 * MiB);
    expect(await client.statChunk({ hash: chunk.hash })).toMatchObject({ size: 3 * MiB });
    expect(await client.statChunk({ hash: chunk.hash, verify: true })).toBeUndefined();
    expect(await filesIn(disk, "quarantine")).toContainEqual(expect.stringMatching(chunk.hash));
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

describe("a list of chunks", () => {
  it("has those of one partition in the order of their names, page by page, as they can be asked for one by one", async () => {
    for (let count = 0; count < 40; count += 1) await stored(count + 1);
    const bits = 2;
    const here = (await filesIn(disk, "chunks")).toSorted();
    for (const partition of [0, 1, 2, 3]) {
      const pages: ListedChunk[][] = [];
      do pages.push(await client.listChunks({ bits, partition, after: pages.at(-1)?.at(-1)?.hash, limit: 7 }));
      while (pages.at(-1)!.length > 0);
      const listed = pages.flat();
      expect(listed.map(({ hash }) => hash)).toEqual(here.filter((hash) => partitionOf(Buffer.from(hash, "hex"), bits) === partition));
      expect(await Promise.all(listed.map((chunk) => client.statChunk(chunk)))).toEqual(
        listed.map(({ size, version }) => ({ size, version })),
      );
      expect(listed.every(({ ageSeconds }) => ageSeconds < 600)).toBe(true);
    }
  });

  it("of 16 bits is a single folder", async () => {
    const { hash } = await stored();
    const partition = Number.parseInt(hash.slice(0, 4), 16);
    expect((await client.listChunks({ bits: 16, partition, limit: 100 })).map((chunk) => chunk.hash)).toEqual([hash]);
  });

  it.each([
    { bits: 17, partition: 0, limit: 1 },
    { bits: 2, partition: 4, limit: 1 },
    { bits: 2, partition: 0, limit: 0 },
    { bits: 2, partition: 0, limit: 10_001 },
    { bits: 2, partition: 0, limit: 1, after: "abcd" },
  ])("is refused for %j", async (page) => {
    await expect(client.listChunks(page)).rejects.toEqual(failsWith("INVALID_REQUEST"));
  });
});

describe("digests", () => {
  it.each([0, 3, 8, 12, 16])("of %i bits are those of the names that lie on the medium", async (bits) => {
    await stored();
    const expected = emptyDigests(bits);
    for (const hash of await filesIn(disk, "chunks")) addToDigests(expected, bits, Buffer.from(hash, "hex"));
    expect((await client.getDigests({ bits })).equals(expected)).toBe(true);
  });

  it("tell of a chunk that somebody removed by hand", async () => {
    const { hash } = await stored();
    const before = await client.getDigests({ bits: 12 });
    await rename(chunkFile(disk, hash), join(disk.dir, "removed"));
    const after = await client.getDigests({ bits: 12 });
    await rename(join(disk.dir, "removed"), chunkFile(disk, hash));
    const differing = Array.from({ length: 4096 }, (_, partition) => partition).filter(
      (partition) => !sliceOf(before, partition).equals(sliceOf(after, partition)),
    );
    expect(differing).toEqual([partitionOf(Buffer.from(hash, "hex"), 12)]);
  });

  it("of more than 16 bits are refused", async () => {
    await expect(client.getDigests({ bits: 17 })).rejects.toEqual(failsWith("INVALID_REQUEST"));
  });
});

const sliceOf = (digests: Buffer, partition: number) => digests.subarray(partition * DIGEST_BYTES, (partition + 1) * DIGEST_BYTES);

describe("a call that means another disk", () => {
  it("is refused, whatever it wants", async () => {
    const chunk = await stored();
    const mistaken = client.meaning("00000000-0000-4000-8000-000000000000");
    const calls = [
      mistaken.putChunk({ ...randomChunk(MiB), epoch: 1 }),
      mistaken.getChunk(chunk),
      mistaken.statChunk(chunk),
      mistaken.deleteChunk({ ...chunk, epoch: 1, version: await versionOf(chunk) }),
      mistaken.listChunks({ bits: 0, partition: 0, limit: 1 }),
      mistaken.getDigests({ bits: 0 }),
      mistaken.getDisk(),
    ];
    await Promise.all(calls.map((call) => expect(call).rejects.toEqual(failsWith("DISK_MISTAKEN"))));
    expect((await client.getChunk(chunk)).equals(chunk.bytes)).toBe(true);
  });

  it("is answered by the disk that is meant", async () => {
    expect((await client.meaning(disk.id).getDisk()).id).toBe(disk.id);
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

const raw = (bytes: Buffer) => bytes;

describe("reflection", () => {
  /** ServerReflectionRequest {list_services: ""}. */
  const listServices = Buffer.from([(7 << 3) | 2, 0]);

  async function reflect(secret: string): Promise<string> {
    const connection = new DiskConnection(disk.address, credentials.createInsecure());
    const metadata = new Metadata();
    metadata.set("authorization", `Bearer ${secret}`);
    const call = connection.makeBidiStreamRequest("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", raw, raw, metadata, {});
    call.end(listServices);
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    call.on("data", (answer: Buffer) => resolve(answer.toString("latin1")));
    call.on("error", reject);
    return await promise.finally(() => connection.close());
  }

  it("tells who has the secret what can be asked", async () => {
    expect(await reflect(started.secret)).toContain("tritontube.disk.v1.DiskService");
  });

  it("tells nobody else", async () => {
    await expect(reflect("not the secret of this disk")).rejects.toEqual(expect.objectContaining({ code: status.UNAUTHENTICATED }));
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
