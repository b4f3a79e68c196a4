import { randomUUID } from "node:crypto";
import { execute } from "../../mixins/database/sql.ts";
import { blobs } from "../../services/blobs/contract.ts";
import { errorType } from "../../services/kernel/errors.ts";
import { call } from "../../services/kernel/rpc.ts";
import { storage } from "../../services/storage/contract.ts";
import { collect } from "../../services/upkeep/work/collect.ts";
import { compare } from "../../services/upkeep/work/compare.ts";
import { Pace } from "../../services/upkeep/domain/pace.ts";
import type { Ports } from "../../services/upkeep/work/ports.ts";
import { bytesOf } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { dying, NAME_BLOB, NEVER, startQuietCluster, type QuietCluster } from "../support/upkeep.ts";

const MiB = 1024 * 1024;

let cluster: QuietCluster;

const typeOf = async (attempt: Promise<unknown>): Promise<string | undefined> => errorType(await attempt.catch((error: unknown) => error));

/** Runs `work` with ports that die at the first call, then at the second, and so on, until it comes to its end; answers how often it died. */
async function killedEverywhere(work: (dyingPorts: Ports) => Promise<void>, between: () => Promise<void>): Promise<number> {
  let deaths = 0;
  for (let nth = 1; ; nth++) {
    for (const moment of ["before", "after"] as const) {
      const lives = dying(cluster.ports, nth, moment);
      await work(lives.ports).catch(() => undefined);
      if (lives.calls < nth) return deaths;
      deaths += 1;
      await between();
    }
  }
}

describe("the collector", () => {
  beforeAll(async () => {
    cluster = await startQuietCluster();
  });
  afterAll(async () => {
    await cluster.stop();
  });
  beforeEach(() => {
    cluster.told.length = 0;
  });

  it("deletes what no row has named for the time of grace, and nothing else", async () => {
    const shared = bytesOf(8 * MiB);
    const kept = await cluster.write(Buffer.concat([shared, bytesOf(10)]));
    const gone = await cluster.write(Buffer.concat([shared, bytesOf(11)]));
    await cluster.name(kept.blob);
    const [sharedChunk, tail] = await cluster.chunksOf(gone.blob);
    await collect(cluster.ports, NEVER);
    expect(await cluster.blobs()).toEqual(expect.arrayContaining([kept.blob, gone.blob]));
    await cluster.collectAll();
    expect(await cluster.blobs()).toEqual([kept.blob]);
    expect(await cluster.holders(tail!)).toEqual([]);
    expect(await cluster.holders(sharedChunk!)).toHaveLength(3);
    expect((await cluster.read(kept.blob)).subarray(0, shared.length).equals(shared)).toBe(true);
    await execute(cluster.db, "delete from videos");
    await collect(cluster.ports, NEVER);
    expect(await cluster.blobs()).toEqual([kept.blob]);
    await cluster.collectAll();
    expect([await cluster.blobs(), await cluster.chunks(), await cluster.holders(sharedChunk!)]).toEqual([[], [], []]);
    expect(cluster.told).toEqual([]);
  });

  it("keeps a blob that is written again just before its time is up", async () => {
    const bytes = bytesOf(1000);
    const { blob } = await cluster.write(bytes);
    await cluster.age();
    await cluster.write(bytes);
    await collect(cluster.ports, NEVER);
    expect((await cluster.read(blob)).equals(bytes)).toBe(true);
    await cluster.collectAll();
  });

  it("leaves a blob alone that somebody is about to name", async () => {
    const { blob } = await cluster.write(bytesOf(1000));
    await cluster.age();
    const naming = cluster.db.transaction();
    const opened = await naming;
    const tx = { db: cluster.db, transaction: opened };
    await execute(tx, NAME_BLOB, [randomUUID(), Buffer.from(blob, "hex")]);
    await collect(cluster.ports, NEVER);
    await opened.commit();
    await collect(cluster.ports, NEVER);
    expect(await cluster.blobs()).toEqual([blob]);
    await execute(cluster.db, "delete from videos");
    await cluster.collectAll();
  });

  it("may run twice at once", async () => {
    const written = await Promise.all(Array.from({ length: 20 }, async () => await cluster.write(bytesOf(1000))));
    await cluster.name(written[0]!.blob);
    await cluster.age();
    const outcomes = await Promise.all([collect(cluster.ports, NEVER), collect(cluster.ports, NEVER)]);
    await cluster.age();
    await Promise.all([collect(cluster.ports, NEVER), collect(cluster.ports, NEVER), collect(cluster.ports, NEVER)]);
    expect(outcomes).toHaveLength(2);
    expect(await cluster.blobs()).toEqual([written[0]!.blob]);
    expect(await cluster.isTidy()).toBe(true);
    expect(cluster.told).toEqual([]);
    await execute(cluster.db, "delete from videos");
    await cluster.collectAll();
  });

  it("may be killed between any two of its steps, and the next one goes on", async () => {
    const bytes = bytesOf(5000);
    const { blob } = await cluster.write(bytes);
    await cluster.name(blob);
    const deaths = await killedEverywhere(
      async (dyingPorts) => {
        await cluster.write(bytesOf(1000));
        await cluster.age();
        await call(cluster.broker, blobs.collect, {});
        await cluster.age();
        await collect(dyingPorts, NEVER);
      },
      async () => {
        expect((await cluster.read(blob)).equals(bytes)).toBe(true);
        await cluster.collectAll();
        expect([await cluster.blobs(), await cluster.isTidy()]).toEqual([[blob], true]);
      },
    );
    expect(deaths).toBeGreaterThan(20);
    await execute(cluster.db, "delete from videos");
    await cluster.collectAll();
  });

  it("lets a writer wait who brings a chunk that is leaving, and takes nothing of what that one stores", async () => {
    const bytes = bytesOf(1000);
    const { blob } = await cluster.write(bytes);
    const [chunk] = await cluster.chunksOf(blob);
    await cluster.age();
    await call(cluster.broker, blobs.collect, {});
    await cluster.age();
    let writing: Promise<unknown> = Promise.resolve();
    const meanwhile: Ports = {
      ...cluster.ports,
      async areLeaving(chunks) {
        const leaving = await cluster.ports.areLeaving(chunks);
        writing = cluster.write(bytes);
        expect(await typeOf(call(cluster.broker, blobs.lease, { chunks: [{ chunk: chunk!, size: 1000 }] }))).toBe("CHUNK_LEAVING");
        return leaving;
      },
    };
    await collect(meanwhile, NEVER);
    await writing;
    expect((await cluster.read(blob)).equals(bytes)).toBe(true);
    expect(await cluster.holders(chunk!)).toHaveLength(3);
    await cluster.collectAll();
  });

  it("deletes nothing that was stored again since it looked, however late it comes", async () => {
    const bytes = bytesOf(1000);
    const { blob } = await cluster.write(bytes);
    const [chunk] = await cluster.chunksOf(blob);
    await cluster.age();
    await call(cluster.broker, blobs.collect, {});
    await cluster.age();
    const late: Ports = {
      ...cluster.ports,
      async areLeaving(chunks) {
        const leaving = await cluster.ports.areLeaving(chunks);
        // Another collector does all of it, and a writer stores the same bytes, before this one goes on.
        await collect(cluster.ports, NEVER);
        expect(await cluster.holders(chunk!)).toEqual([]);
        await cluster.write(bytes);
        return leaving;
      },
    };
    await collect(late, NEVER);
    expect(await cluster.holders(chunk!)).toHaveLength(3);
    expect(cluster.told.filter((message) => message.includes("could not be deleted"))).not.toEqual([]);
    expect((await cluster.read(blob)).equals(bytes)).toBe(true);
    await cluster.collectAll();
  });

  it("does not wait for a disk that is away, and what that one still has is deleted when it is compared", async () => {
    const { blob } = await cluster.write(bytesOf(1000));
    const [chunk] = await cluster.chunksOf(blob);
    const away = cluster.disks[0]!;
    await away.kill();
    await cluster.collectAll();
    expect(cluster.told).toEqual([expect.stringContaining("did not answer")]);
    expect(await cluster.chunks()).toEqual([]);
    await away.restart();
    expect(await cluster.holders(chunk!)).toEqual([away.id]);
    await eventually(async () => await call(cluster.broker, storage.holds, { disk: away.id, chunk: chunk! }));
    const young = { disk: away.id, graceSeconds: 3600, pace: new Pace(2 ** 40), progress: () => {} };
    await compare(cluster.ports, young, NEVER);
    expect(await cluster.holders(chunk!)).toEqual([away.id]);
    await compare(cluster.ports, { ...young, graceSeconds: 0 }, NEVER);
    expect(await cluster.holders(chunk!)).toEqual([]);
  });
});
