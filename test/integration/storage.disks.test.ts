import { readFile, rm } from "node:fs/promises";
import { blobs } from "../../services/blobs/contract.ts";
import { DIGEST_BYTES } from "../../services/kernel/digests.ts";
import { errorType } from "../../services/kernel/errors.ts";
import { call } from "../../services/kernel/rpc.ts";
import { ring } from "../../services/ring/contract.ts";
import { storage } from "../../services/storage/contract.ts";
import { bytesOf, chunksOn, startCluster, type Cluster } from "../support/cluster.ts";
import { chunkFile } from "../support/disks.ts";
import { eventually } from "../support/eventually.ts";

const MiB = 1024 * 1024;

let cluster: Cluster;

const typeOf = async (attempt: Promise<unknown>): Promise<string | undefined> => errorType(await attempt.catch((error: unknown) => error));

/** A blob of one chunk: its bytes and the chunk's name. */
async function oneChunk(size: number) {
  const bytes = bytesOf(size);
  const { blob } = await cluster.write(bytes);
  const { chunks } = await call(cluster.broker, blobs.get, { blob });
  return { blob, bytes, chunk: Buffer.from(chunks).toString("hex") };
}

describe("one disk of the ring", () => {
  beforeAll(async () => {
    cluster = await startCluster();
  });
  afterAll(async () => {
    await cluster.stop();
  });

  it("is asked for what it holds, by its id", async () => {
    const { chunk } = await oneChunk(1000);
    for (const { id: disk } of cluster.disks) {
      expect(await call(cluster.broker, storage.holds, { disk, chunk })).toMatchObject({ size: 1000 });
      expect(await call(cluster.broker, storage.holds, { disk, chunk: "0".repeat(64) })).toBeNull();
    }
    const nobody = "00000000-0000-4000-8000-000000000000";
    expect(await typeOf(call(cluster.broker, storage.holds, { disk: nobody, chunk }))).toBe("DISK_NOT_FOUND");
  });

  it("lists a partition in pages, and has the digest of it that the other owners have", async () => {
    for (let n = 0; n < 12; n++) await oneChunk(100 + n);
    const [first, second] = cluster.disks.map(({ id }) => id);
    const held = [...(await chunksOn(cluster.disks[0]!)).keys()].toSorted();
    const listed: string[] = [];
    for (let after: string | undefined; ;) {
      const page = await call(cluster.broker, storage.list, { disk: first!, bits: 0, partition: 0, after, limit: 5 });
      listed.push(...page.map(({ chunk }) => chunk));
      if (page.length < 5) break;
      after = listed.at(-1);
    }
    expect(listed).toEqual(held);
    const digests = await Promise.all([first, second].map((disk) => call(cluster.broker, storage.digests, { disk: disk!, bits: 4 })));
    expect(digests[0]).toHaveLength(DIGEST_BYTES * 16);
    expect(digests[1]).toEqual(digests[0]);
  });

  it("gets a copy that it lacks, once", async () => {
    const { chunk, bytes } = await oneChunk(3 * MiB);
    const [lacking] = cluster.disks;
    await rm(chunkFile(lacking!, chunk));
    const copy = () => call(cluster.broker, storage.copy, { chunk, size: bytes.length, disk: lacking!.id });
    expect(await copy()).toEqual({ copied: true });
    expect(bytes.equals((await readFile(chunkFile(lacking!, chunk))).subarray(0, bytes.length))).toBe(true);
    expect(await copy()).toEqual({ copied: false });
    const nowhere = call(cluster.broker, storage.copy, { chunk: "0".repeat(64), size: 5, disk: lacking!.id });
    expect(await typeOf(nowhere)).toBe("NOT_ENOUGH_DISKS");
  });

  it("erases the very copy that was looked at, and no other", async () => {
    const { chunk, bytes } = await oneChunk(2000);
    const disk = cluster.disks[2]!.id;
    const { epoch } = await call(cluster.broker, ring.get, {});
    const seen = await call(cluster.broker, storage.holds, { disk, chunk });
    // Stored again: the same bytes, and yet another copy.
    await cluster.write(bytes);
    expect(await typeOf(call(cluster.broker, storage.erase, { disk, chunk, version: seen!.version, epoch }))).toBe("CHUNK_CHANGED");
    const now = await call(cluster.broker, storage.holds, { disk, chunk });
    expect(await call(cluster.broker, storage.erase, { disk, chunk, version: now!.version, epoch })).toBe(true);
    expect(await call(cluster.broker, storage.erase, { disk, chunk, version: now!.version, epoch })).toBe(false);
  });

  it("costs its readers little when it hangs, is asked last soon, and is asked again when it wakes up", async () => {
    const hung = cluster.disks[1]!;
    const written = await Promise.all(Array.from({ length: 16 }, async () => await oneChunk(200_000)));
    await hung.kill("SIGSTOP");
    try {
      const slowest = Math.max(...(await Promise.all(written.map(async ({ blob, bytes }) => await timeOf(blob, bytes)))));
      // A call to a disk that hangs ends after 5 s; another disk is asked after one at most.
      expect(slowest).toBeLessThan(4500);
      // As soon as it is known to hang nobody waits for it: a write would, for its third copy.
      await eventually(
        async () => (await call(cluster.broker, storage.holds, { disk: hung.id, chunk: written[0]!.chunk }).catch(() => null)) === null,
      );
      expect((await oneChunk(1000)).bytes).toHaveLength(1000);
    } finally {
      await hung.kill("SIGCONT");
    }
    await eventually(async () => (await call(cluster.broker, storage.holds, { disk: hung.id, chunk: written[0]!.chunk })) !== null);
  });
});

async function timeOf(blob: string, bytes: Buffer): Promise<number> {
  const began = performance.now();
  expect((await cluster.read(blob)).equals(bytes)).toBe(true);
  return performance.now() - began;
}
