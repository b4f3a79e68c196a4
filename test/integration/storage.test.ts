import { createHash, randomUUID } from "node:crypto";
import { open, readFile } from "node:fs/promises";
import { Readable } from "node:stream";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { execute, one, rows } from "../../mixins/database/sql.ts";
import { blobs } from "../../services/blobs/contract.ts";
import { errorType } from "../../services/kernel/errors.ts";
import { CHUNK_BYTES_MAX } from "../../services/kernel/limits.ts";
import { call } from "../../services/kernel/rpc.ts";
import { ownersOf, ring } from "../../services/ring/contract.ts";
import { storage } from "../../services/storage/contract.ts";
import { videos } from "../../services/videos/contract.ts";
import { bytesOf, chunksOn, slicesOf, startCluster, type Cluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";

const MiB = 1024 * 1024;
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

let cluster: Cluster;

/** Bytes of buffers that are alive: garbage waits for long in a process in which much is alive, so it is collected first. */
const alive = (): number => {
  collect();
  return process.memoryUsage().arrayBuffers;
};
/** The least of what is alive, once three turns of the event loop have freed nothing more. */
const leastHeld = async (): Promise<number> => {
  let least = alive();
  for (let same = 0; same < 3; same++) {
    await new Promise(setImmediate);
    const now = alive();
    if (now < least) [least, same] = [now, -1];
  }
  return least;
};

const typeOf = async (attempt: Promise<unknown>): Promise<string | undefined> => errorType(await attempt.catch((error: unknown) => error));
const blobCount = async () => Number((await one<{ count: string }>(cluster.db, "select count(*) from blobs"))!.count);
const hashesOf = async (blob: string): Promise<string[]> => {
  const { chunks } = await call(cluster.broker, blobs.get, { blob });
  return Array.from({ length: chunks.length / 32 }, (_, n) => Buffer.from(chunks.subarray(n * 32, n * 32 + 32)).toString("hex"));
};
const repairsLeft = async () => (await rows(cluster.db, "select 1 from missing_copies")).length;
const eachOnEveryDisk = async (hashes: readonly string[]): Promise<boolean> => {
  const held = await Promise.all(cluster.disks.map(chunksOn));
  return held.every((chunks) => hashes.every((hash) => chunks.has(hash)));
};

describe("storage on three disks", () => {
  beforeAll(async () => {
    cluster = await startCluster({ settings: { WRITE_BUFFERS: "4" } });
  });
  afterAll(async () => {
    await cluster.stop();
  });

  const source = bytesOf(30 * MiB + 12_345);

  it("gives back 30 MB as they came, whole and in ranges, and keeps three copies", async () => {
    const { blob, size } = await cluster.write(source);
    expect(size).toBe(source.length);
    expect((await cluster.read(blob)).equals(source)).toBe(true);
    const ranges = [
      [0, 1],
      [0, CHUNK_BYTES_MAX],
      [CHUNK_BYTES_MAX - 1, CHUNK_BYTES_MAX + 1],
      [CHUNK_BYTES_MAX, 2 * CHUNK_BYTES_MAX],
      [5_000_000, 29_000_000],
      [size - 1, size],
    ] as const;
    for (const [start, end] of ranges) {
      expect((await cluster.read(blob, { start, end })).equals(source.subarray(start, end))).toBe(true);
    }
    expect(await call(cluster.broker, storage.stat, { blob })).toEqual({ blob, size });
    expect(await eachOnEveryDisk(await hashesOf(blob))).toBe(true);
    expect(await repairsLeft()).toBe(0);
  });

  it("names a blob by its size and its chunks, and keeps the same bytes once", async () => {
    const before = [await blobCount(), ...(await Promise.all(cluster.disks.map(chunksOn))).map(({ size }) => size)];
    const { blob } = await cluster.write(source);
    const size = Buffer.alloc(8);
    size.writeBigUInt64BE(BigInt(source.length));
    const name = createHash("sha256").update(size);
    for (let at = 0; at < source.length; at += CHUNK_BYTES_MAX) {
      name.update(
        createHash("sha256")
          .update(source.subarray(at, at + CHUNK_BYTES_MAX))
          .digest(),
      );
    }
    expect(blob).toBe(name.digest("hex"));
    expect([await blobCount(), ...(await Promise.all(cluster.disks.map(chunksOn))).map((chunks) => chunks.size)]).toEqual(before);
  });

  it("keeps bytes from memory with the same promise, and hands them out whole", async () => {
    const bytes = bytesOf(9 * MiB);
    const { blob, size } = await call(cluster.broker, storage.put, { bytes });
    expect(size).toBe(bytes.length);
    expect((await cluster.write(bytes)).blob).toBe(blob);
    const fetched = await Promise.all(Array.from({ length: 20 }, () => call(cluster.broker, storage.fetch, { blob })));
    expect(bytes.equals(fetched[0]!)).toBe(true);
    // One read for all of them: they share its memory.
    expect(new Set(fetched).size).toBe(1);
  });

  it("refuses ranges that a blob has not, and blobs that are not", async () => {
    const { blob } = await cluster.write(bytesOf(100));
    for (const [start, end] of [
      [100, 101],
      [0, 101],
      [5, 5],
      [7, 3],
    ] as const) {
      expect(await typeOf(call(cluster.broker, storage.read, { blob, start, end }))).toBe("RANGE_NOT_SATISFIABLE");
    }
    expect(await typeOf(call(cluster.broker, storage.read, { blob: "0".repeat(64) }))).toBe("BLOB_NOT_FOUND");
    expect(await typeOf(call(cluster.broker, storage.fetch, { blob: "0".repeat(64) }))).toBe("BLOB_NOT_FOUND");
  });

  it("leaves no blob and no buffer taken when uploads end early, are empty, or too large", async () => {
    const before = await blobCount();
    const broken = () =>
      Readable.from(
        (function* () {
          yield bytesOf(12 * MiB);
          throw new Error("the connection broke");
        })(),
        { objectMode: false },
      );
    for (let n = 0; n < 6; n++) expect(await typeOf(cluster.write(broken()))).toBe("UPLOAD_ABORTED");
    const tooLarge = Readable.from(slicesOf(bytesOf(10 * MiB)), { objectMode: false });
    expect(await typeOf(cluster.write(tooLarge, 9 * MiB))).toBe("UPLOAD_TOO_LARGE");
    expect(tooLarge.destroyed).toBe(true);
    expect(await typeOf(cluster.write(Readable.from([])))).toBe("UPLOAD_EMPTY");
    const silent = new Readable({ read() {} });
    silent.push(bytesOf(9 * MiB));
    const waiting = cluster.write(silent);
    silent.destroy(new Error("gone"));
    expect(await typeOf(waiting)).toBe("UPLOAD_ABORTED");
    expect(await blobCount()).toBe(before);
    // Each of these would wait for ever had one of the four buffers been lost.
    await Promise.all(Array.from({ length: 4 }, () => cluster.write(bytesOf(17 * MiB))));
  });

  it("says of a stream that ends as a service is not there that this is none of its sender's doing", async () => {
    const pieces = async function* (): AsyncGenerator<Buffer> {
      yield bytesOf(1000);
      await call(cluster.broker, videos.arrived, { id: randomUUID() });
    };
    expect(await typeOf(cluster.write(Readable.from(pieces(), { objectMode: false })))).toBe("SERVICE_UNAVAILABLE");
  });

  it("holds no more memory than its buffers however much is uploaded at once", async () => {
    const piece = bytesOf(MiB);
    const uploads = Array.from({ length: 6 }, (_, upload) =>
      Readable.from(
        (function* () {
          for (let n = 0; n < 48; n++) {
            piece.writeUInt32LE(upload * 1000 + n);
            yield Buffer.from(piece);
          }
        })(),
        { objectMode: false },
      ),
    );
    // What earlier tests left in flight would be counted as if it were there before, and hide as much of what comes.
    const before = await leastHeld();
    const looks: number[] = [];
    const watch = setInterval(() => looks.push(alive() - before), 100);
    await Promise.all(uploads.map((upload) => cluster.write(upload)));
    clearInterval(watch);
    expect(looks.length).toBeGreaterThan(2);
    // 288 MiB went through four buffers of 8 MiB; the rest is what three connections have in flight.
    expect(Math.max(...looks)).toBeLessThan(128 * MiB);
  });

  it("never hands out a corrupt chunk, and mends it", async () => {
    const bytes = bytesOf(CHUNK_BYTES_MAX + 77);
    const { blob } = await cluster.write(bytes);
    const [hash] = await hashesOf(blob);
    const preferred = ownersOf(await call(cluster.broker, ring.get, {}), hash!).slice(0, 2);
    const paths = await Promise.all(
      preferred.map(async ({ id }) => (await chunksOn(cluster.disks.find((disk) => disk.id === id)!)).get(hash!)!),
    );
    for (const path of paths) await flipByte(path, 1_234_567);
    const handedOut: boolean[] = [];
    await eventually(
      async () => {
        // The least busy owner is read: which of the three that is may be another one each time.
        handedOut.push(
          await cluster.read(blob).then(
            (read) => read.equals(bytes),
            () => false,
          ),
        );
        const contents = await Promise.all(paths.map(async (path) => await readFile(path)));
        return contents.every((content) => createHash("sha256").update(content).digest("hex") === hash);
      },
      { what: "the repair of both copies" },
    );
    expect(handedOut).not.toContain(false);
    await eventually(async () => (await repairsLeft()) === 0);
  });

  it("goes on reading when a disk is killed in the middle", async () => {
    const { blob } = await cluster.write(source);
    const stream = await call(cluster.broker, storage.read, { blob });
    const received: Buffer[] = [];
    let killed: Promise<unknown> | undefined;
    for await (const piece of stream) {
      received.push(piece as Buffer);
      killed ??= cluster.disks[0]!.kill();
    }
    await killed;
    expect(Buffer.concat(received).equals(source)).toBe(true);
    // Every chunk of it is still read when the disk has been gone for a while.
    expect((await cluster.read(blob)).equals(source)).toBe(true);
  });

  it("takes writes while a disk is down, and brings it its copies when it is back", async () => {
    const bytes = bytesOf(20 * MiB);
    const { blob } = await cluster.write(bytes);
    expect(await repairsLeft()).toBe(3);
    expect((await cluster.read(blob)).equals(bytes)).toBe(true);
    await cluster.disks[0]!.restart();
    const hashes = await hashesOf(blob);
    await eventually(async () => await eachOnEveryDisk(hashes), { timeoutMs: 90_000, what: "the third copy of each chunk" });
    await eventually(async () => (await repairsLeft()) === 0);
  });

  it("stops asking disks when its reader is gone", async () => {
    const { blob } = await cluster.write(source);
    const stream = await call(cluster.broker, storage.read, { blob });
    await new Promise((resolve) => stream.once("readable", resolve));
    stream.destroy();
    await new Promise((resolve) => stream.once("close", resolve));
    expect(stream.errored).toBeNull();
  });

  it("acknowledges nothing when two of three disks are down, and says so soon", async () => {
    const before = await blobCount();
    await Promise.all([cluster.disks[1]!.kill(), cluster.disks[2]!.kill()]);
    const began = Date.now();
    expect(await typeOf(cluster.write(bytesOf(20 * MiB)))).toBe("NOT_ENOUGH_DISKS");
    expect(await typeOf(call(cluster.broker, storage.put, { bytes: bytesOf(1000) }))).toBe("NOT_ENOUGH_DISKS");
    expect(Date.now() - began).toBeLessThan(30_000);
    expect(await blobCount()).toBe(before);
    await Promise.all([cluster.disks[1]!.restart(), cluster.disks[2]!.restart()]);
    await eventually(() => cluster.write(bytesOf(1000)), { what: "a write after the disks are back" });
  });

  it("goes on when a disk hangs: writes go to others, reads too, and the disk is used again when it answers", async () => {
    const bytes = bytesOf(20 * MiB);
    const hung = cluster.disks[1]!;
    await hung.kill("SIGSTOP");
    const began = Date.now();
    const { blob } = await cluster.write(bytes);
    expect((await cluster.read(blob)).equals(bytes)).toBe(true);
    expect(Date.now() - began).toBeLessThan(30_000);
    await hung.kill("SIGCONT");
    const hashes = await hashesOf(blob);
    await eventually(async () => await eachOnEveryDisk(hashes), { timeoutMs: 90_000, what: "the third copies" });
  });

  it("follows a ring that changes under a write", async () => {
    const warm = await cluster.write(bytesOf(10));
    await execute(
      cluster.db,
      "insert into rings (epoch, partition_bits, replicas, owners, disks) select epoch + 1, partition_bits, replicas, owners, disks from rings",
    );
    const bytes = bytesOf(MiB);
    // The epoch of the ring that storage still has in memory is refused at the commit.
    const { blob } = await cluster.write(bytes);
    expect((await cluster.read(blob)).equals(bytes)).toBe(true);
    expect(
      await typeOf(
        call(cluster.broker, blobs.commit, {
          epoch: 1,
          size: 1,
          chunks: new Uint8Array(32),
          leasedAt: new Date().toISOString(),
          missing: [],
        }),
      ),
    ).toBe("DISK_STALE_EPOCH");
    expect((await cluster.read(warm.blob)).length).toBe(10);
  });

  it("waits with a chunk that is just being deleted until it is gone, and then writes it", async () => {
    const bytes = bytesOf(1000);
    const hash = createHash("sha256").update(bytes).digest();
    await execute(cluster.db, "insert into chunks (sha256, size, state) values ($1, 1000, 'leaving')", [hash]);
    const writing = cluster.write(bytes);
    expect(await Promise.race([writing, cluster.write(bytesOf(10)).then(() => "still waiting")])).toBe("still waiting");
    await execute(cluster.db, "delete from chunks where sha256 = $1", [hash]);
    expect((await cluster.read((await writing).blob)).equals(bytes)).toBe(true);
  });

  it("works on while the ring service is away", async () => {
    await cluster.broker.destroyService("ring");
    const bytes = bytesOf(1000);
    const { blob } = await cluster.write(bytes);
    expect((await cluster.read(blob)).equals(bytes)).toBe(true);
  });
});

describe("storage on four disks in two zones", () => {
  beforeAll(async () => {
    cluster = await startCluster({ count: 4, zones: ["left", "right"] });
  });
  afterAll(async () => {
    await cluster.stop();
  });

  it("lets another disk stand in for owners that are down, and moves the copies to them when they are back", async () => {
    const [left] = cluster.disks;
    const right = cluster.disks[1]!;
    await left!.kill();
    const written = await Promise.all(Array.from({ length: 12 }, async () => await cluster.write(bytesOf(1000))));
    await right.kill();
    for (let n = 0; n < 12; n++) written.push(await cluster.write(bytesOf(1000)));
    for (const { blob } of written) expect((await cluster.read(blob)).length).toBe(1000);
    await Promise.all([left!.restart(), right.restart()]);
    await eventually(async () => (await repairsLeft()) === 0, { timeoutMs: 90_000, what: "the end of all repairs" });
  });

  it("acknowledges nothing that only one zone has", async () => {
    await Promise.all([cluster.disks[1]!.kill(), cluster.disks[3]!.kill()]);
    expect(await typeOf(cluster.write(bytesOf(1000)))).toBe("NOT_ENOUGH_DISKS");
  });
});

describe("storage on one disk", () => {
  it("needs only that disk: a ring of one has a quorum of one", async () => {
    cluster = await startCluster({ count: 1 });
    try {
      const bytes = bytesOf(1000);
      const { blob } = await cluster.write(bytes);
      expect((await cluster.read(blob)).equals(bytes)).toBe(true);
      expect(await repairsLeft()).toBe(0);
    } finally {
      await cluster.stop();
    }
  });
});

async function flipByte(path: string, at: number): Promise<void> {
  const file = await open(path, "r+");
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, at);
  byte[0]! ^= 0xff;
  await file.write(byte, 0, 1, at);
  await file.close();
}
