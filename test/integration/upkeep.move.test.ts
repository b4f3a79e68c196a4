import { createHash } from "node:crypto";
import { readFile, rm } from "node:fs/promises";
import { execute } from "../../mixins/database/sql.ts";
import { DiskClient } from "../../mixins/disks/client.ts";
import { failure } from "../../services/kernel/errors.ts";
import { call } from "../../services/kernel/rpc.ts";
import { ring } from "../../services/ring/contract.ts";
import { Pace } from "../../services/upkeep/domain/pace.ts";
import { move } from "../../services/upkeep/work/move.ts";
import type { Ports } from "../../services/upkeep/work/ports.ts";
import { repair } from "../../services/upkeep/work/repair.ts";
import { bytesOf, chunksOn } from "../support/cluster.ts";
import { chunkFile, flipByte } from "../support/disks.ts";
import { eventually } from "../support/eventually.ts";
import { dying, NEVER, startQuietCluster, type QuietCluster } from "../support/upkeep.ts";

let cluster: QuietCluster;

const change = async (disk: string, what: "add" | "drain"): Promise<void> => {
  await call(cluster.broker, ring.stage, { disk, change: what });
  const { epoch } = await call(cluster.broker, ring.get, {});
  await call(cluster.broker, ring.apply, { epoch });
  await eventually(async () => (await call(cluster.broker, ring.get, {})).epoch === epoch + 1);
};
const range = (first: number, last: number) => ({ first, last, pace: new Pace(2 ** 40), graceSeconds: 0, progress: () => {} });

describe("moving partitions", () => {
  beforeAll(async () => {
    // The fourth disk comes later, the fifth never gets a share.
    cluster = await startQuietCluster({ count: 5, zones: ["a", "b", "c", "d", "e"], through: async (addresses) => addresses.slice(0, 3) });
  });
  afterAll(async () => {
    await cluster.stop();
  });
  const written = new Map<string, Buffer>();
  const eachReads = async (): Promise<void> => {
    for (const [blob, bytes] of written) expect((await cluster.read(blob)).equals(bytes)).toBe(true);
  };
  const write = async (length: number): Promise<string> => {
    const bytes = bytesOf(length);
    const { blob } = await cluster.write(bytes);
    written.set(blob, bytes);
    return blob;
  };

  it("brings the content to a new disk, and takes it from those who had it when every owner has it", async () => {
    await Promise.all(Array.from({ length: 30 }, async (_, n) => await write(1000 + n)));
    const added = cluster.disks[3]!;
    await call(cluster.broker, ring.register, { address: added.address });
    await change(added.id, "add");
    await write(2000);
    await eachReads();
    const before = await call(cluster.broker, ring.moves, {});
    expect(before.partitions).toMatchObject({ done: 0 });
    await move(cluster.ports, range(0, 2047), NEVER);
    await eachReads();
    await move(cluster.ports, range(2048, 4095), NEVER);
    const { partitions, chunks, bytes, copiedBytes, secondsLeft } = await call(cluster.broker, ring.moves, {});
    expect([partitions.done, chunks.done, bytes.done, secondsLeft]).toEqual([partitions.total, chunks.total, bytes.total, 0]);
    expect(copiedBytes).toBeLessThanOrEqual(bytes.total);
    expect(await cluster.isTidy()).toBe(true);
    expect((await chunksOn(added)).size).toBeGreaterThan(10);
    await eachReads();
  });

  it("goes on wherever it was killed, and every chunk is there at any moment", async () => {
    const drained = cluster.disks[0]!;
    await change(drained.id, "drain");
    const moving = await call(cluster.broker, ring.moving, { first: 0, last: 4095 });
    const chunks = await cluster.chunks();
    const inside = (partition: number) => chunks.filter((chunk) => Number.parseInt(chunk.slice(0, 3), 16) === partition);
    const full = moving.filter(({ partition }) => inside(partition).length > 0);
    expect(full.length).toBeGreaterThan(5);
    let deaths = 0;
    for (const { partition } of full.slice(0, 3)) {
      for (let nth = 1; ; nth++) {
        const lives = dying(cluster.ports, nth, nth % 2 === 0 ? "before" : "after");
        await move(lives.ports, range(partition, partition), NEVER).catch(() => undefined);
        for (const chunk of inside(partition)) expect((await cluster.holders(chunk)).length).toBeGreaterThanOrEqual(3);
        if (lives.calls < nth) break;
        deaths += 1;
      }
    }
    expect(deaths).toBeGreaterThan(12);
    await eachReads();
    await move(cluster.ports, range(0, 4095), NEVER);
    expect([await cluster.isTidy(), (await chunksOn(drained)).size]).toEqual([true, 0]);
    await eachReads();
  });

  it("stops when the ring changes again, and leaves the rest to the job of that change", async () => {
    await change(cluster.disks[0]!.id, "add");
    const moving = await call(cluster.broker, ring.moving, { first: 0, last: 4095 });
    const full = new Set((await cluster.chunks()).map((chunk) => Number.parseInt(chunk.slice(0, 3), 16)));
    const { partition } = moving.find((one) => full.has(one.partition))!;
    const changing: Ports = {
      ...cluster.ports,
      async moved(moved) {
        await execute(cluster.db, "update partitions set epoch = epoch + 1 where partition = $1", [moved.partition]);
        return await cluster.ports.moved(moved);
      },
    };
    await move(changing, range(partition, partition), NEVER);
    expect(await call(cluster.broker, ring.moving, { first: partition, last: partition })).toHaveLength(1);
    await execute(cluster.db, "update partitions set epoch = (select max(epoch) from rings)");
    await move(cluster.ports, range(0, 4095), NEVER);
    expect(await cluster.isTidy()).toBe(true);
  });

  it("takes no copy away on the word of owners whose own have rotted: each is read first, and mended from what was to be deleted", async () => {
    const from = cluster.disks[2]!;
    await change(from.id, "drain");
    const keeping: Ports = {
      ...cluster.ports,
      erase: async () => await Promise.reject(failure("DISK_UNAVAILABLE", "It does not answer.")),
    };
    await expect(move(keeping, range(0, 4095), NEVER)).rejects.toMatchObject({ type: "DISK_UNAVAILABLE" });
    const [chunk] = [...(await chunksOn(from)).keys()] as [string];
    const owners = await cluster.owners(chunk);
    const rotten = cluster.disks.filter(({ id }) => owners.includes(id));
    expect([rotten.length, rotten.includes(from)]).toEqual([3, false]);
    for (const disk of rotten) await flipByte(chunkFile(disk, chunk), 5);
    await move(cluster.ports, range(0, 4095), NEVER);
    expect((await chunksOn(from)).size).toBe(0);
    const good = await readFile(chunkFile(rotten[0]!, chunk));
    expect(createHash("sha256").update(good).digest("hex")).toBe(chunk);
    for (const disk of rotten) expect((await readFile(chunkFile(disk, chunk))).equals(good)).toBe(true);
    await eachReads();
    await change(from.id, "add");
    await move(cluster.ports, range(0, 4095), NEVER);
    expect(await cluster.isTidy()).toBe(true);
  });

  it("passes over chunks of which no disk has a good copy, tells how many, and looks for them again", async () => {
    const drained = cluster.disks[1]!;
    const [gone, bad] = [...(await chunksOn(drained)).keys()] as [string, string];
    const bytes = await readFile(chunkFile(drained, gone));
    for (const disk of cluster.disks) {
      await rm(chunkFile(disk, gone), { force: true });
      if (disk !== drained) await rm(chunkFile(disk, bad), { force: true });
    }
    await flipByte(chunkFile(drained, bad), 5);
    await change(drained.id, "drain");
    await move(cluster.ports, range(0, 4095), NEVER);
    const { partitions, chunks, lostChunks } = await call(cluster.broker, ring.moves, {});
    expect([partitions.done, chunks.done, lostChunks]).toEqual([partitions.total, chunks.total, 2]);
    expect(await call(cluster.broker, ring.moving, { first: 0, last: 4095 })).toEqual([]);
    expect(cluster.told).toContain("chunks are lost: no disk that is known has a good copy");
    expect([(await chunksOn(drained)).size, await cluster.lacking()]).toEqual([0, 6]);

    const outside = cluster.disks[4]!;
    await call(cluster.broker, ring.register, { address: outside.address });
    const client = new DiskClient({ address: outside.address, secret: process.env["DISK_SECRET"]! });
    await client.putChunk({ hash: gone, bytes, epoch: (await call(cluster.broker, ring.get, {})).epoch });
    client.close();
    await execute(cluster.db, "update missing_copies set run_at = now()");
    for (const disk of await cluster.owners(gone)) await repair(cluster.ports, disk, NEVER);
    expect(await cluster.holders(gone)).toEqual(expect.arrayContaining(await cluster.owners(gone)));
    expect(await cluster.lacking()).toBe(3);
  });

  it("brings everything else of a partition when one copy cannot be brought", async () => {
    await change(cluster.disks[1]!.id, "add");
    const moving = await call(cluster.broker, ring.moving, { first: 0, last: 4095 });
    const full = new Set((await cluster.chunks()).map((chunk) => Number.parseInt(chunk.slice(0, 3), 16)));
    const { partition, epoch, owners } = moving.find((one) => full.has(one.partition))!;
    const size = 10;
    const two = ["00", "11"].map((end) => partition.toString(16).padStart(3, "0").padEnd(62, "0") + end);
    const brought: string[] = [];
    const failing: Ports = {
      ...cluster.ports,
      chunksIn: async () => two.map((chunk) => ({ chunk, size, needed: true, leaving: false })),
      async copy({ chunk }) {
        if (chunk === two[0]) throw failure("DISK_FULL", "There is no room.");
        brought.push(chunk);
        return true;
      },
    };
    await expect(move(failing, range(partition, partition), NEVER)).rejects.toMatchObject({ type: "DISK_FULL" });
    expect(brought).toEqual(owners.map(() => two[1]));
    expect(await call(cluster.broker, ring.moving, { first: partition, last: partition })).toMatchObject([{ epoch, verified: false }]);
  });
});
