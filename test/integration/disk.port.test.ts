/** What a disk promises, whatever keeps the chunks: one suite over a process with a folder, and over a bucket behind a server that speaks S3. */
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DeleteObjectCommand, GetObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { DiskClient } from "../../mixins/disks/client.ts";
import type { Disk } from "../../mixins/disks/port.ts";
import { S3Disk } from "../../mixins/disks/s3/disk.ts";
import { addToDigests, emptyDigests } from "../../services/kernel/digests.ts";
import { errorType } from "../../services/kernel/errors.ts";
import { CHUNK_BYTES_MAX } from "../../services/kernel/limits.ts";
import { chunkFile, randomChunk, startDisk, type TestDisk } from "../support/disks.ts";
import { describeWith } from "../support/neighbours.ts";
import { startS3, type TestS3 } from "../support/s3.ts";

const typeOf = async (attempt: Promise<unknown>): Promise<string | undefined> => errorType(await attempt.catch((error: unknown) => error));

interface Kept {
  readonly disk: Disk;
  /** Changes a byte of what is stored, behind the disk's back. */
  spoil(hash: string, at: number): Promise<void>;
}

/** What every disk does. */
function keepsChunks(kept: () => Kept): void {
  const epoch = 1;
  const stored = async (size: number) => {
    const chunk = randomChunk(size);
    await kept().disk.putChunk({ ...chunk, epoch });
    return chunk;
  };

  it.each([1, 1000, 65_536, 65_537, CHUNK_BYTES_MAX])("gives back a chunk of %i bytes, whole and in parts", async (size) => {
    const { hash, bytes } = await stored(size);
    const { disk } = kept();
    expect((await disk.getChunk({ hash })).equals(bytes)).toBe(true);
    const middle = Math.floor(size / 2);
    for (const [offset, length] of [
      [0, 1],
      [middle, size - middle],
      [middle, Math.min(100_000, size - middle)],
      [size - 1, 1],
    ] as const) {
      expect((await disk.getChunk({ hash, offset, length })).equals(bytes.subarray(offset, offset + length))).toBe(true);
    }
    expect(await disk.statChunk({ hash })).toMatchObject({ size });
  });

  it("says what it does not hold, and what lies outside of a chunk", async () => {
    const { disk } = kept();
    const { hash } = randomChunk(5);
    expect(await disk.statChunk({ hash })).toBeUndefined();
    expect(await typeOf(disk.getChunk({ hash }))).toBe("CHUNK_NOT_FOUND");
    expect(await typeOf(disk.getChunk({ hash, offset: 1, length: 2 }))).toBe("CHUNK_NOT_FOUND");
    const short = await stored(10);
    expect(await typeOf(disk.getChunk({ hash: short.hash, offset: 10, length: 1 }))).toBe("RANGE_NOT_SATISFIABLE");
    expect(await typeOf(disk.getChunk({ hash: short.hash, offset: 5, length: 6 }))).toBe("RANGE_NOT_SATISFIABLE");
  });

  it("takes only the bytes that the name says", async () => {
    const { hash } = randomChunk(2000);
    expect(await typeOf(kept().disk.putChunk({ hash, bytes: randomBytes(2000), epoch }))).toBe("CHUNK_CORRUPT");
    expect(await kept().disk.statChunk({ hash })).toBeUndefined();
  });

  it("keeps a chunk once, however many store it at the same time", async () => {
    const { disk } = kept();
    const chunk = randomChunk(300_000);
    const answers = await Promise.all(Array.from({ length: 6 }, () => disk.putChunk({ ...chunk, epoch })));
    expect(answers.filter(({ existed }) => !existed).length).toBeLessThanOrEqual(1);
    expect((await disk.getChunk({ hash: chunk.hash })).equals(chunk.bytes)).toBe(true);
    expect(await disk.putChunk({ ...chunk, epoch })).toEqual({ existed: true });
  });

  it("passes by, with a delete that was sent before, what was touched since", async () => {
    const { disk } = kept();
    const { hash, bytes } = await stored(5000);
    const seen = await disk.statChunk({ hash });
    const touched = await disk.statChunk({ hash, touch: true });
    expect(touched).toMatchObject({ size: 5000 });
    expect(await disk.statChunk({ hash })).toEqual(touched);
    expect(await typeOf(disk.deleteChunk({ hash, epoch, version: seen!.version }))).toBe("CHUNK_CHANGED");
    expect((await disk.getChunk({ hash })).equals(bytes)).toBe(true);
    expect(await disk.statChunk({ hash: randomChunk(5).hash, touch: true })).toBeUndefined();
  });

  it("is read before the answer where that is asked for: what is bad, or not there, is not found", async () => {
    const { disk } = kept();
    const { hash } = await stored(5000);
    expect(await disk.statChunk({ hash, verify: true })).toEqual(await disk.statChunk({ hash }));
    expect(await disk.statChunk({ hash: randomChunk(5).hash, verify: true })).toBeUndefined();
    await kept().spoil(hash, 2500);
    expect(await disk.statChunk({ hash })).toMatchObject({ size: 5000 });
    expect(await disk.statChunk({ hash, verify: true })).toBeUndefined();
  });

  it("deletes the very copy that was looked at, and none that was stored since", async () => {
    const { disk } = kept();
    const { hash, bytes } = await stored(5000);
    const seen = await disk.statChunk({ hash });
    await disk.putChunk({ hash, bytes, epoch });
    expect(await typeOf(disk.deleteChunk({ hash, epoch, version: seen!.version }))).toBe("CHUNK_CHANGED");
    expect((await disk.getChunk({ hash })).equals(bytes)).toBe(true);
    const now = await disk.statChunk({ hash });
    expect(await disk.deleteChunk({ hash, epoch, version: now!.version })).toEqual({ existed: true });
    expect(await disk.statChunk({ hash })).toBeUndefined();
    expect(await disk.deleteChunk({ hash, epoch, version: now!.version })).toEqual({ existed: false });
    expect(await disk.putChunk({ hash, bytes, epoch })).toEqual({ existed: false });
  });

  it("lists a partition in the order of the names, in pages, with the versions that a delete needs", async () => {
    const { disk } = kept();
    for (let n = 0; n < 20; n++) await stored(10 + n);
    const everything = await disk.listChunks({ bits: 0, partition: 0, limit: 10_000 });
    expect(everything.map(({ hash }) => hash)).toEqual(everything.map(({ hash }) => hash).toSorted());
    const collected: string[] = [];
    for (let partition = 0; partition < 8; partition++) {
      for (let after: string | undefined; ;) {
        const page = await disk.listChunks({ bits: 3, partition, after, limit: 2 });
        collected.push(...page.map(({ hash }) => hash));
        if (page.length < 2) break;
        after = page.at(-1)!.hash;
      }
    }
    expect(collected).toEqual(everything.map(({ hash }) => hash));
    for (const { hash, size, version, ageSeconds } of everything.slice(0, 3)) {
      expect(await disk.statChunk({ hash })).toEqual({ size, version });
      expect(ageSeconds).toBeLessThan(3600);
    }
  });

  it("has digests that say what it holds", async () => {
    const { disk } = kept();
    const expected = emptyDigests(4);
    for (const { hash } of await disk.listChunks({ bits: 0, partition: 0, limit: 10_000 }))
      addToDigests(expected, 4, Buffer.from(hash, "hex"));
    expect((await disk.getDigests({ bits: 4 })).equals(expected)).toBe(true);
  });

  it("never hands out bytes that have changed, neither whole nor in parts, and takes the chunk again", async () => {
    const place = kept();
    const { disk } = place;
    for (const range of [{}, { offset: 100_000, length: 1000 }]) {
      const { hash, bytes } = await stored(500_000);
      await place.spoil(hash, 100_500);
      expect(await typeOf(disk.getChunk({ hash, ...range }))).toBe("CHUNK_CORRUPT");
      await disk.putChunk({ hash, bytes, epoch });
      expect((await disk.getChunk({ hash })).equals(bytes)).toBe(true);
    }
  });

  it("is the disk that it was, and nobody else", async () => {
    const { disk } = kept();
    const { id } = await disk.getDisk();
    expect(await disk.meaning(id).getDisk()).toMatchObject({ id });
    await disk.meaning(id).greet();
    const other = disk.meaning("00000000-0000-4000-8000-000000000000");
    expect([await typeOf(other.getDisk()), await typeOf(other.greet())]).toEqual(["DISK_MISTAKEN", "DISK_MISTAKEN"]);
  });

  it("ends a call when its caller wants no more", async () => {
    const reason = new Error("nobody reads any more");
    const { hash } = await stored(1000);
    await expect(kept().disk.getChunk({ hash }, AbortSignal.abort(reason))).rejects.toBe(reason);
  });
}

describe("a disk in a folder", () => {
  let process: TestDisk;
  let disk: DiskClient;
  let root: string;

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "tritontube-port-"));
    process = await startDisk({ dir: join(root, "disk"), secret: "a secret of sixteen" });
    disk = new DiskClient({ address: process.address, secret: "a secret of sixteen" });
  });
  afterAll(async () => {
    disk.close();
    await process.kill();
    await rm(root, { recursive: true, force: true });
  });

  keepsChunks(() => ({
    disk,
    async spoil(hash, at) {
      const content = await readFile(chunkFile(process, hash));
      content[at]! ^= 1;
      await writeFile(chunkFile(process, hash), content);
    },
  }));
});

describeWith("moto", "a disk that is a bucket of S3", () => {
  let s3: TestS3;
  let disk: S3Disk;

  beforeAll(async () => {
    s3 = await startS3();
    disk = new S3Disk({ address: `s3://${await s3.bucket("chunks")}/a-prefix`, access: s3.access });
  }, 240_000);
  afterAll(async () => {
    disk?.close();
    await s3?.stop();
  });

  keepsChunks(() => ({
    disk,
    async spoil(hash, at) {
      const object = { Bucket: "chunks", Key: `a-prefix/chunks/${hash}` };
      const { Body, Metadata } = await s3.client.send(new GetObjectCommand(object));
      const content = Buffer.from(await Body!.transformToByteArray());
      content[at]! ^= 1;
      await s3.client.send(new PutObjectCommand({ ...object, Body: content, ...(Metadata ? { Metadata } : {}) }));
    },
  }));

  it("shares a bucket with another one under another prefix, and neither sees what is the other's", async () => {
    const other = new S3Disk({ address: "s3://chunks/other", access: s3.access });
    expect((await other.getDisk()).id).not.toBe((await disk.getDisk()).id);
    expect(await other.listChunks({ bits: 0, partition: 0, limit: 10 })).toEqual([]);
    other.close();
  });

  it("is asked anew each time that somebody greets it", async () => {
    const other = new S3Disk({ address: "s3://chunks/greeted", access: s3.access });
    await other.greet();
    await s3.client.send(new DeleteObjectCommand({ Bucket: "chunks", Key: "greeted/disk.json" }));
    await expect(other.greet()).rejects.toMatchObject({ type: "DISK_UNAVAILABLE" });
    other.close();
  });

  it("refuses a bucket that keeps no versions, and says what to do", async () => {
    const plain = new S3Disk({ address: `s3://${await s3.bucket("plain", false)}`, access: s3.access });
    await expect(plain.getDisk()).rejects.toThrow("enable them");
    plain.close();
  });

  it("is silent, and says so, when nobody is there", async () => {
    const nobody = new S3Disk({ address: "s3://chunks", access: { ...s3.access, endpoint: "http://127.0.0.1:9" } });
    expect(await typeOf(nobody.getDisk())).toBe("DISK_UNAVAILABLE");
    nobody.close();
  });
});
