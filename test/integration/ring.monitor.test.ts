import type { ServiceBroker } from "moleculer";
import { openDatabase } from "../../mixins/database/connection.ts";
import { execute, one, rows, type Database } from "../../mixins/database/sql.ts";
import { call } from "../../services/kernel/rpc.ts";
import { ring } from "../../services/ring/contract.ts";
import ringService from "../../services/ring/ring.service.ts";
import { startDisks, type TestDisks } from "../support/disks.ts";
import { eventually } from "../support/eventually.ts";
import { testDatabase, type TestDatabase } from "../support/postgres.ts";
import { startServices } from "../support/services.ts";

let disks: TestDisks;
let database: TestDatabase;
let db: Database;
const brokers: ServiceBroker[] = [];

beforeAll(async () => {
  [disks, database] = await Promise.all([startDisks(4, { zones: ["a", "b", "c", "d"] }), testDatabase()]);
  db = openDatabase(database.ownerUrl, { connectionsMax: 8 });
  process.env["DISK_SECRET"] = disks.secret;
});
beforeEach(async () => {
  await execute(db, "truncate rings, disks, ring_changes, partitions, jobs, chunks cascade");
});
afterEach(async () => {
  await Promise.all(brokers.splice(0).map((broker) => broker.stop()));
});
afterAll(async () => {
  delete process.env["DISK_OUT_SECONDS"];
  await Promise.all([database.drop(), disks.stop()]);
});

async function start({ outSeconds, count = 4 }: { outSeconds: number; count?: number }): Promise<ServiceBroker> {
  process.env["DISK_OUT_SECONDS"] = String(outSeconds);
  process.env["DISKS"] = disks.disks
    .slice(0, count)
    .map(({ address }) => address)
    .join(",");
  const broker = await startServices(database.url, ringService);
  brokers.push(broker);
  await eventually(() => call(broker, ring.get, {}));
  return broker;
}

const idOf = (n: number): string => disks.disks[n]!.id;
const epochOf = async (broker: ServiceBroker) => (await call(broker, ring.get, {})).epoch;
const diskOf = async (broker: ServiceBroker, n: number) => (await call(broker, ring.disks, {})).find(({ id }) => id === idOf(n))!;
const isDown = async (n: number) =>
  (await one<{ down: boolean }>(db, "select down_since is not null as down from disks where id = $1", [idOf(n)]))!.down;

describe("the monitor of the ring", () => {
  it("puts out a disk that is gone, makes its copies anew elsewhere, and takes it back when it returns", async () => {
    const all = await Promise.all([start({ outSeconds: 2 }), start({ outSeconds: 2 })]);
    const [broker] = all;
    await disks.disks[3]!.kill();
    await eventually(async () => (await epochOf(broker)) === 2, { timeoutMs: 90_000, what: "a ring without the disk" });
    expect(await diskOf(broker, 3)).toMatchObject({ state: "out", up: false });
    const moving = await call(broker, ring.moving, { first: 0, last: 4095 });
    expect(moving).toHaveLength(3072);
    expect(moving.flatMap(({ former }) => former)).not.toContain(idOf(3));
    expect((await call(broker, ring.get, {})).leaving).toEqual([]);

    await disks.disks[3]!.restart();
    await eventually(async () => (await epochOf(broker)) === 3, { timeoutMs: 90_000, what: "a ring with the disk" });
    expect(await diskOf(broker, 3)).toMatchObject({ state: "in", up: true, downSince: null });
    expect(await rows(db, "select epoch from rings order by epoch")).toHaveLength(3);
  });

  it("notes since when a disk is silent, and moves nothing for a short absence", async () => {
    const broker = await start({ outSeconds: 600 });
    await disks.disks[3]!.kill();
    await eventually(() => isDown(3));
    expect((await diskOf(broker, 3)).downSince).toMatch(/^\d{4}-/);
    await disks.disks[3]!.restart();
    await eventually(async () => !(await isDown(3)));
    expect(await epochOf(broker)).toBe(1);
  });

  it("does not put out a disk for what was noted before it began to look", async () => {
    const broker = await start({ outSeconds: 600 });
    await disks.disks[3]!.kill();
    await eventually(() => isDown(3));
    await execute(db, "update disks set down_since = now() - interval '1 day' where id = $1", [idOf(3)]);
    await roundsOf(broker, 2);
    expect(await epochOf(broker)).toBe(1);
    await disks.disks[3]!.restart();
  });

  it("keeps a ring of three although one of them is gone, and says why", async () => {
    const broker = await start({ outSeconds: 1, count: 3 });
    const said: unknown[] = [];
    (broker.getLocalService("ring") as unknown as { logger: { error: (...words: unknown[]) => void } }).logger.error = (...words) =>
      said.push(words);
    await disks.disks[2]!.kill();
    await eventually(() => JSON.stringify(said).includes("Only 2 disks would be left"), { timeoutMs: 90_000 });
    expect(await epochOf(broker)).toBe(1);
    expect(await diskOf(broker, 2)).toMatchObject({ state: "in", up: false });
    await disks.disks[2]!.restart();
  });

  it("makes jobs again for partitions that nobody moves", async () => {
    const broker = await start({ outSeconds: 600, count: 3 });
    await call(broker, ring.register, { address: disks.disks[3]!.address });
    await call(broker, ring.stage, { disk: idOf(3), change: "add" });
    await call(broker, ring.apply, { epoch: 1 });
    await execute(db, "update jobs set state = 'failed', finished_at = now()");
    const queued = async () => (await rows(db, "select id from jobs where state = 'queued'")).length;
    expect(await eventually(queued)).toBe(64);
  });

  it("forgets the copies that a disk lacks which owns nothing any more, also those that somebody misses late", async () => {
    const broker = await start({ outSeconds: 600 });
    await execute(db, "insert into chunks (sha256, size) select sha256(n::text::bytea), 1 from generate_series(1, 3000) as n");
    await execute(
      db,
      "insert into missing_copies (disk_id, sha256, size) select id, sha256, 1 from disks, chunks where id = any($1::uuid[])",
      [[idOf(0), idOf(3)]],
    );
    await call(broker, ring.stage, { disk: idOf(3), change: "drain" });
    await call(broker, ring.apply, { epoch: 1 });
    const copies = async () => await rows(db, `select disk_id as disk, count(*)::int as copies from missing_copies group by 1`);
    await eventually(async () => (await copies()).length === 1);
    expect(await copies()).toEqual([{ disk: idOf(0), copies: 3000 }]);
    await execute(db, "insert into missing_copies (disk_id, sha256, size) select $1, sha256, 1 from chunks limit 2", [idOf(3)]);
    await eventually(async () => (await copies()).length === 1);
    expect(await copies()).toEqual([{ disk: idOf(0), copies: 3000 }]);
  });
});

/** Lets the monitor look some times. */
async function roundsOf(broker: ServiceBroker, count: number): Promise<void> {
  const { monitor } = broker.getLocalService("ring") as unknown as { monitor: { round(): Promise<void> } };
  for (let n = 0; n < count; n++) await monitor.round();
}
