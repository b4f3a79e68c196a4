import { execute, rows } from "../../mixins/database/sql.ts";
import { call } from "../../services/kernel/rpc.ts";
import { ownersOf, ring } from "../../services/ring/contract.ts";
import { storage } from "../../services/storage/contract.ts";
import { bytesOf, chunksOn, startCluster, type Cluster } from "../support/cluster.ts";
import type { TestDisk } from "../support/disks.ts";

let cluster: Cluster;

beforeEach(async () => {
  // Nobody moves anything: these tests say what has arrived, and which ring a disk has seen.
  cluster = await startCluster({ count: 6, zones: ["a", "b", "c", "d", "e", "f"], services: [] });
});
afterEach(async () => {
  await cluster.stop();
});

/** A blob of one chunk, and the name of that chunk. */
async function writeOne(): Promise<{ blob: string; chunk: string; bytes: Buffer }> {
  const bytes = bytesOf(200_000);
  const { blob } = await cluster.write(bytes);
  const [row] = await rows<{ chunk: string }>(cluster.db, "select encode(chunks, 'hex') as chunk from blobs where id = decode($1, 'hex')", [
    blob,
  ]);
  return { blob, chunk: row!.chunk, bytes };
}

async function ownersNow(chunk: string): Promise<readonly string[]> {
  return ownersOf(await call(cluster.broker, ring.get, {}), chunk).map(({ id }) => id);
}

async function change(what: "add" | "drain" | "remove", disks: readonly string[]): Promise<void> {
  for (const disk of disks) await call(cluster.broker, ring.stage, { disk, change: what });
}

async function apply(): Promise<number> {
  const { epoch } = await call(cluster.broker, ring.get, {});
  return (await call(cluster.broker, ring.apply, { epoch })).epoch;
}

/** As if all that moves had arrived. */
async function finishMoves(): Promise<void> {
  await execute(cluster.db, "update partitions set state = 'verified', finished_at = now() where finished_at is null");
}

async function holders(chunk: string): Promise<string[]> {
  const held = await Promise.all(cluster.disks.map(async (disk: TestDisk) => ((await chunksOn(disk)).has(chunk) ? [disk.id] : [])));
  return held.flat();
}

describe("while partitions move", () => {
  it("reads from former owners what the new ones have not got yet, and finds no fault with them", async () => {
    const { blob, chunk, bytes } = await writeOne();
    const former = await ownersNow(chunk);
    await change("drain", former);
    await apply();
    expect((await ownersNow(chunk)).filter((id) => former.includes(id))).toEqual([]);
    expect(await cluster.read(blob)).toEqual(bytes);
    expect(await rows(cluster.db, "select * from missing_copies")).toEqual([]);
  });

  it("writes to the new owners at once", async () => {
    const first = await writeOne();
    await change("drain", await ownersNow(first.chunk));
    await apply();
    const second = await writeOne();
    expect((await holders(second.chunk)).toSorted()).toEqual([...(await ownersNow(second.chunk))].toSorted());
    expect(await cluster.read(second.blob)).toEqual(second.bytes);
  });

  it("looks for a newer ring before it believes that a chunk is gone", async () => {
    const newcomers = cluster.disks.slice(3).map(({ id }) => id);
    for (const what of ["drain", "remove"] as const) {
      await change(what, newcomers);
      await apply();
      await finishMoves();
    }
    const { blob, chunk, bytes } = await writeOne();
    const former = await ownersNow(chunk);
    await keepStorageInThePast();
    await change("drain", former);
    await change("add", newcomers);
    const epoch = await apply();
    await finishMoves();
    const there = new Map(cluster.disks.map((disk) => [disk.id, disk]));
    for (const disk of await ownersNow(chunk)) await call(cluster.broker, storage.copy, { chunk, size: bytes.length, disk });
    for (const disk of former) {
      const { version } = (await call(cluster.broker, storage.holds, { disk, chunk }))!;
      await call(cluster.broker, storage.erase, { disk, chunk, version, epoch });
      expect((await chunksOn(there.get(disk)!)).has(chunk)).toBe(false);
    }
    expect(await cluster.read(blob)).toEqual(bytes);
  });
});

/** From now on storage hears nothing of a new ring unless it asks. */
async function keepStorageInThePast(): Promise<void> {
  const service = cluster.broker.getLocalService("storage") as unknown as {
    round: { stop(): Promise<void> };
    lookAtRing: () => Promise<void>;
  };
  service.lookAtRing = async () => {};
  await service.round.stop();
}
