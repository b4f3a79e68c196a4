import { open } from "node:fs/promises";
import { DiskClient } from "../../mixins/disks/client.ts";
import { execute, one, rows } from "../../mixins/database/sql.ts";
import { blobs } from "../../services/blobs/contract.ts";
import { errorType } from "../../services/kernel/errors.ts";
import { call } from "../../services/kernel/rpc.ts";
import { ring } from "../../services/ring/contract.ts";
import { upkeep } from "../../services/upkeep/contract.ts";
import upkeepService from "../../services/upkeep/upkeep.service.ts";
import { bytesOf, chunksOn } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { startQuietCluster, type QuietCluster } from "../support/upkeep.ts";

let cluster: QuietCluster;

const written = new Map<string, Buffer>();
const write = async (length: number): Promise<string> => {
  const bytes = bytesOf(length);
  const { blob } = await cluster.write(bytes);
  await cluster.name(blob);
  written.set(blob, bytes);
  return blob;
};
const eachReads = async (): Promise<void> => {
  for (const [blob, bytes] of written) expect((await cluster.read(blob)).equals(bytes)).toBe(true);
};
const soon = { timeoutMs: 90_000 };

/** Everything by itself, as in an installation; only with a time of grace of two seconds. */
describe("upkeep", () => {
  beforeAll(async () => {
    cluster = await startQuietCluster({
      count: 4,
      zones: ["a", "b", "c", "d"],
      services: [upkeepService],
      settings: { COLLECT_GRACE_SECONDS: "2" },
      through: async (addresses) => addresses.slice(0, 3),
    });
    await Promise.all(Array.from({ length: 12 }, async (_, n) => await write(1000 + n)));
  });
  afterAll(async () => {
    await cluster.stop();
  });

  it("repairs what a scrub finds, without a reader", async () => {
    const [chunk] = await cluster.chunks();
    const [disk] = cluster.disks;
    const path = (await chunksOn(disk!)).get(chunk!)!;
    const file = await open(path, "r+");
    await file.write(Buffer.from("rot"), 0, 3, 100);
    await file.close();
    const client = new DiskClient({ address: disk!.address, secret: process.env["DISK_SECRET"]! });
    await client.scrubDisk({ now: true });
    await eventually(async () => (await client.getDisk()).faults === 1, soon);
    client.close();
    await eventually(async () => (await cluster.lacking()) === 0 && (await cluster.isTidy()), soon);
    expect(await cluster.holders(chunk!)).toHaveLength(3);
  });

  it("moves what a change of the ring wants moved, while content is written and read", async () => {
    const added = cluster.disks[3]!;
    await call(cluster.broker, ring.register, { address: added.address });
    await call(cluster.broker, ring.stage, { disk: added.id, change: "add" });
    const { epoch } = await call(cluster.broker, ring.get, {});
    await call(cluster.broker, ring.apply, { epoch });
    await eventually(async () => {
      await write(500);
      await eachReads();
      return (await call(cluster.broker, ring.moves, {})).secondsLeft === 0;
    }, soon);
    await eventually(async () => await cluster.isTidy(), soon);
    expect((await chunksOn(added)).size).toBeGreaterThan(0);
  });

  it("deletes what nobody names any more, from a disk that was away meanwhile too", async () => {
    const [disk] = cluster.disks;
    await disk!.kill();
    const gone = await write(700);
    written.delete(gone);
    await execute(cluster.db, "delete from videos where source_blob = $1", [Buffer.from(gone, "hex")]);
    const kept = (await cluster.blobs()).filter((blob) => blob !== gone);
    await eventually(async () => (await cluster.blobs()).length === kept.length, soon);
    await disk!.restart();
    await eventually(async () => (await cluster.lacking()) === 0 && (await cluster.isTidy()), soon);
    expect(await cluster.blobs()).toHaveLength(kept.length);
    await eachReads();
  });

  it("does at once what it is asked for, and refuses disks that nobody knows", async () => {
    // The disk that has just come back is asked as soon as it counts as back.
    await eventually(async () => (await call(cluster.broker, upkeep.compare, {})).disks.length === 4, soon);
    const stranger = upkeep.compare.params.parse({ disk: "00000000-0000-4000-8000-000000000000" });
    const refused: unknown = await call(cluster.broker, upkeep.compare, stranger).catch((error: unknown) => error);
    expect(errorType(refused)).toBe("DISK_NOT_FOUND");
    await call(cluster.broker, upkeep.collect, {});
    const planned = await rows<{ kind: string; count: string }>(
      cluster.db,
      "select kind, count(*) from jobs where state in ('queued', 'running') and kind in ('disk.compare', 'chunks.collect') group by kind",
    );
    expect(planned.every(({ kind, count }) => Number(count) <= (kind === "disk.compare" ? 4 : 1))).toBe(true);
  });

  it("counts what is stored in every way", async () => {
    const bytes = bytesOf(8 * 1024 * 1024 + 10);
    const once = await cluster.write(bytes);
    await cluster.write(Buffer.concat([bytes.subarray(0, 8 * 1024 * 1024), bytesOf(20)]));
    const usage = await call(cluster.broker, blobs.usage, {});
    const stored = await one<{ count: string; bytes: string }>(cluster.db, "select count(*), sum(size) as bytes from blobs");
    expect(usage.logical).toEqual({ count: Number(stored!.count), bytes: Number(stored!.bytes) });
    expect(usage.deduplicated).toEqual({ count: 1, bytes: 8 * 1024 * 1024 });
    expect(usage.unique.bytes).toBe(usage.logical.bytes - usage.deduplicated.bytes);
    expect(usage.physical).toEqual({ count: 3 * usage.unique.count, bytes: 3 * usage.unique.bytes });
    await eventually(async () => !(await cluster.blobs()).includes(once.blob), soon);
    await eventually(async () => (await call(cluster.broker, blobs.usage, {})).pending.count === 0, soon);
  });
});
