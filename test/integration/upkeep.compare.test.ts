import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { execute, one, rows } from "../../mixins/database/sql.ts";
import { blobs } from "../../services/blobs/contract.ts";
import { call } from "../../services/kernel/rpc.ts";
import { compare } from "../../services/upkeep/work/compare.ts";
import { Pace } from "../../services/upkeep/domain/pace.ts";
import type { Ports } from "../../services/upkeep/work/ports.ts";
import { repair } from "../../services/upkeep/work/repair.ts";
import { bytesOf, chunksOn } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { NEVER, startQuietCluster, type QuietCluster } from "../support/upkeep.ts";

let cluster: QuietCluster;

const diskOf = (id: string) => cluster.disks.find((disk) => disk.id === id)!;
const compareAll = async (graceSeconds = 0): Promise<void> => {
  for (const disk of cluster.disks)
    await compare(cluster.ports, { disk: disk.id, graceSeconds, pace: new Pace(2 ** 40), progress: () => {} }, NEVER);
};

describe("comparing disks with rows", () => {
  beforeAll(async () => {
    cluster = await startQuietCluster({ count: 4, zones: ["a", "b", "c", "d"] });
  });
  afterAll(async () => {
    await cluster.stop();
  });
  beforeEach(() => {
    cluster.told.length = 0;
  });
  it("finds nothing to do where everything is as it should be", async () => {
    await Promise.all(Array.from({ length: 20 }, async () => await cluster.write(bytesOf(1000))));
    await compareAll();
    expect([await cluster.isTidy(), await cluster.lacking(), cluster.told]).toEqual([true, 0, []]);
  });

  it("notes what a disk has lost without a word, which is then brought again", async () => {
    const { blob } = await cluster.write(bytesOf(1000));
    const [chunk] = await cluster.chunksOf(blob);
    const [loser] = await cluster.owners(chunk!);
    await rm((await chunksOn(diskOf(loser!))).get(chunk!)!);
    await compareAll();
    expect(await cluster.lacking()).toBe(1);
    await repair(cluster.ports, loser!, NEVER);
    expect([await cluster.isTidy(), await cluster.lacking()]).toEqual([true, 0]);
  });

  it("takes a copy from a disk that is no owner only when every owner has one", async () => {
    const { blob } = await cluster.write(bytesOf(1000));
    const [chunk] = await cluster.chunksOf(blob);
    const owners = await cluster.owners(chunk!);
    const stray = cluster.disks.find(({ id }) => !owners.includes(id))!;
    await cluster.ports.copy({ chunk: chunk!, size: 1000, disk: stray.id });
    const loser = diskOf(owners[0]!);
    await rm((await chunksOn(loser)).get(chunk!)!);
    await loser.kill();
    await compare(cluster.ports, { disk: stray.id, graceSeconds: 0, pace: new Pace(2 ** 40), progress: () => {} }, NEVER);
    expect(await cluster.holders(chunk!)).toContain(stray.id);
    await loser.restart();
    // Nothing is brought to a disk before it was heard of again.
    await eventually(async () => {
      await compare(cluster.ports, { disk: stray.id, graceSeconds: 0, pace: new Pace(2 ** 40), progress: () => {} }, NEVER);
      return (await cluster.holders(chunk!)).toSorted().join() === owners.toSorted().join();
    });
  });

  it("leaves what is leased and not yet part of a blob where it is", async () => {
    const bytes = bytesOf(1000);
    const { blob } = await cluster.write(bytes);
    await execute(cluster.db, "delete from blobs");
    await execute(cluster.db, "update chunks set refs = 0");
    await compareAll();
    await cluster.write(bytes);
    expect((await cluster.read(blob)).equals(bytes)).toBe(true);
  });
});

describe("copies that a disk lacks", () => {
  beforeAll(async () => {
    cluster = await startQuietCluster();
  });
  afterAll(async () => {
    await cluster.stop();
  });

  it("cost nothing while it is away, however many there are: a claim looks at what it takes", async () => {
    const [away, other] = cluster.disks;
    // A tenth at a time: the pool gives no statement more than five seconds.
    for (let tenth = 0; tenth < 10; tenth++) {
      await execute(
        cluster.db,
        `with made as (insert into chunks (sha256, size, refs)
           select sha256(n::text::bytea), 1000, 1 from generate_series($2::integer * 10000 + 1, $2::integer * 10000 + 10000) as n returning sha256, size)
         insert into missing_copies (disk_id, sha256, size) select $1, sha256, size from made`,
        [away!.id, tenth],
      );
    }
    await execute(cluster.db, "insert into missing_copies (disk_id, sha256, size) select $1, sha256, size from chunks limit 10", [
      other!.id,
    ]);
    await execute(cluster.db, "analyze missing_copies");
    const [plan] = await rows<{ "QUERY PLAN": readonly { readonly Plan: object }[] }>(
      cluster.db,
      `explain (analyze, buffers, format json)
       select sha256 from missing_copies where disk_id = $1 and run_at <= now() order by run_at limit 16 for update skip locked`,
      [other!.id],
    );
    const text = JSON.stringify(plan);
    expect(text).toContain("missing_copies_due");
    expect(text).not.toMatch(/"Node Type":"(?:Seq Scan|Sort)"/);
    const [{ Plan }] = plan!["QUERY PLAN"] as unknown as [{ Plan: Record<string, number> }];
    expect(Plan["Shared Hit Blocks"]! + Plan["Shared Read Blocks"]!).toBeLessThan(100);
    expect(await call(cluster.broker, blobs.disksDue, {})).toHaveLength(2);
    expect(await call(cluster.broker, blobs.dueRepairs, { disk: other!.id, limit: 16 })).toHaveLength(10);
    // Whoever asks next is not given what somebody is bringing.
    expect(await call(cluster.broker, blobs.dueRepairs, { disk: other!.id, limit: 16 })).toEqual([]);
    expect(await call(cluster.broker, blobs.disksDue, {})).toEqual([away!.id]);
    const backlog = await call(cluster.broker, blobs.backlog, {});
    expect(backlog.find(({ disk }) => disk === away!.id)).toMatchObject({ copies: 100_000, bytes: 100_000_000 });
  });

  it("come back after a pause that grows when they cannot be brought, and go when the disk is no owner any more", async () => {
    await execute(cluster.db, "truncate missing_copies, chunks cascade");
    const { blob } = await cluster.write(bytesOf(1000));
    const [chunk] = await cluster.chunksOf(blob);
    const [owner] = await cluster.owners(chunk!);
    const stranger = randomUUID();
    await cluster.ports.reportMissing([owner!, stranger].map((disk) => ({ disk, chunk: chunk!, size: 1000 })));
    await repair(cluster.ports, stranger, NEVER);
    expect(await cluster.lacking()).toBe(1);
    const failing: Ports = { ...cluster.ports, copy: async () => await Promise.reject(new Error("no")) };
    for (let attempt = 1; attempt < 12; attempt++) {
      await execute(cluster.db, "update missing_copies set run_at = now()");
      await repair(failing, owner!, NEVER);
    }
    const row = await one<{ attempts: number; later: boolean }>(cluster.db, "select attempts, run_at > now() as later from missing_copies");
    expect(row).toEqual({ attempts: 11, later: true });
    await execute(cluster.db, "update missing_copies set run_at = now()");
    await repair(cluster.ports, owner!, NEVER);
    expect(await cluster.lacking()).toBe(0);
  });
});
