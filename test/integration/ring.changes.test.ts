import { createHash } from "node:crypto";
import type { ServiceBroker } from "moleculer";
import { openDatabase } from "../../mixins/database/connection.ts";
import { execute, rows, type Database } from "../../mixins/database/sql.ts";
import { errorType } from "../../services/kernel/errors.ts";
import { call } from "../../services/kernel/rpc.ts";
import { formerOwnersOf, ownersOf, ring } from "../../services/ring/contract.ts";
import { check } from "../../services/ring/domain/placement.ts";
import ringService from "../../services/ring/ring.service.ts";
import { randomChunk, startDisks, type TestDisks } from "../support/disks.ts";
import { DiskClient } from "../../mixins/disks/client.ts";
import { eventually } from "../support/eventually.ts";
import { testDatabase, type TestDatabase } from "../support/postgres.ts";
import { startServices } from "../support/services.ts";

let disks: TestDisks;
let database: TestDatabase;
let db: Database;
let broker: ServiceBroker;

beforeAll(async () => {
  [disks, database] = await Promise.all([startDisks(5, { zones: ["a", "b", "c", "d", "e"] }), testDatabase()]);
  db = openDatabase(database.ownerUrl, { connectionsMax: 8 });
  process.env["DISK_SECRET"] = disks.secret;
  process.env["DISKS"] = disks.disks
    .slice(0, 3)
    .map(({ address }) => address)
    .join(",");
});
beforeEach(async () => {
  await execute(db, "truncate rings, disks, ring_changes, partitions, jobs, chunks cascade");
  broker = await startServices(database.url, ringService);
  await eventually(() => call(broker, ring.get, {}));
  for (const { address } of disks.disks.slice(3)) await call(broker, ring.register, { address });
});
afterEach(async () => {
  await broker.stop();
});
afterAll(async () => {
  await Promise.all([database.drop(), disks.stop()]);
});

const idOf = (n: number): string => disks.disks[n]!.id;
const ids = (list: readonly { id: string }[]) => list.map(({ id }) => id).toSorted();
const sha256 = (n: number): string => createHash("sha256").update(String(n)).digest("hex");
const typeOf = async (attempt: Promise<unknown>): Promise<string | undefined> => errorType(await attempt.catch((error: unknown) => error));
const stage = async (n: number, change: "add" | "drain" | "remove" | "weight", more: { weight?: number; force?: boolean } = {}) =>
  await call(broker, ring.stage, { disk: idOf(n), change, ...more });
const stateOf = async (n: number) => (await call(broker, ring.disks, {})).find(({ id }) => id === idOf(n))?.state;
const apply = async () => await call(broker, ring.apply, { epoch: (await call(broker, ring.get, {})).epoch });

/** As many chunks as one says, of `size` bytes each, in rows only. */
async function chunks(count: number, size: number): Promise<string[]> {
  const names = Array.from({ length: count }, (_, n) => sha256(n));
  await execute(db, "insert into chunks (sha256, size) select decode(name, 'hex'), $2 from unnest($1::text[]) as name", [names, size]);
  return names;
}

describe("a change of the ring", () => {
  it("says what it would move before it moves anything, and moves it when it is applied", async () => {
    const names = await chunks(2000, 100);
    await stage(3, "add");
    const plan = await call(broker, ring.plan, {});
    expect(plan).toMatchObject({ epoch: 1, copies: 3072, minimum: 3072, partitions: 3072, warnings: [] });
    expect(plan.changes).toEqual([{ disk: idOf(3), change: "add", weight: null }]);
    expect(plan.bytes).toBe(100 * plan.chunks);
    expect(await call(broker, ring.get, {})).toMatchObject({ epoch: 1, former: new Uint8Array(0) });

    const before = await call(broker, ring.get, {});
    expect(await apply()).toEqual({ epoch: 2 });
    const after = await call(broker, ring.get, {});
    expect(check(after)).toEqual([]);
    expect(after.disks).toHaveLength(4);
    const gained = names.filter((name) => ownersOf(after, name).some(({ id }) => id === idOf(3)));
    expect(gained).toHaveLength(plan.chunks);
    for (const name of names) expect(ids(formerOwnersOf(after, name))).toEqual(gained.includes(name) ? ids(ownersOf(before, name)) : []);
    expect(await call(broker, ring.moves, {})).toMatchObject({
      epoch: 2,
      partitions: { total: 3072, done: 0 },
      chunks: { total: plan.chunks, done: 0 },
      bytes: { total: plan.bytes, done: 0 },
      secondsLeft: null,
    });
    const jobs = await rows<{ kind: string; payload: { first: number; last: number } }>(db, "select kind, payload from jobs order by id");
    expect(jobs).toHaveLength(64);
    expect(new Set(jobs.map(({ kind }) => kind))).toEqual(new Set(["partition.move"]));
    expect(await typeOf(call(broker, ring.plan, {}))).toBe("RING_CHANGE_REFUSED");
  });

  it("is refused when the ring is another one than the one that was planned for", async () => {
    await stage(3, "add");
    expect(await typeOf(call(broker, ring.apply, { epoch: 7 }))).toBe("RING_CHANGED");
    const both = await Promise.allSettled([apply(), apply()]);
    expect(both.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(["RING_CHANGED", "RING_CHANGE_REFUSED"]).toContain(errorType(both.find((one) => one.status === "rejected")?.reason));
    expect(await rows(db, "select epoch from rings order by epoch")).toEqual([{ epoch: 1 }, { epoch: 2 }]);
  });

  it("gives a disk another weight, and its capacity back", async () => {
    const { weight } = (await call(broker, ring.disks, {})).find(({ id }) => id === idOf(0))!;
    await stage(3, "add", { weight: Math.round(weight / 2) });
    const plan = await call(broker, ring.plan, {});
    const [added, others] = [plan.disks.find(({ id }) => id === idOf(3))!, plan.disks.filter(({ before }) => before.partitions > 0)];
    expect(added.after.partitions / others[0]!.after.partitions).toBeCloseTo(0.5, 1);
    await apply();
    await stage(3, "weight");
    expect((await call(broker, ring.plan, {})).disks.map(({ after }) => after.partitions)).toEqual(
      plan.disks.map(({ id }) => (id === idOf(4) ? 0 : 3072)),
    );
  });

  it("takes a disk that is added once more for what it is: nothing changes but the weight that is said", async () => {
    await stage(0, "add");
    expect(await call(broker, ring.staged, {})).toEqual([]);
    await stage(0, "add", { weight: 5000 });
    expect(await call(broker, ring.staged, {})).toEqual([{ disk: idOf(0), change: "weight", weight: 5000 }]);
    await stage(0, "drain");
    await stage(0, "add");
    expect(await call(broker, ring.staged, {})).toEqual([]);
  });

  it("forgets what is staged when it is told to", async () => {
    await stage(3, "add");
    await stage(4, "add");
    await call(broker, ring.unstage, { disk: idOf(3) });
    expect((await call(broker, ring.plan, {})).changes).toEqual([{ disk: idOf(4), change: "add", weight: null }]);
    await call(broker, ring.unstage, {});
    expect(await typeOf(call(broker, ring.plan, {}))).toBe("RING_CHANGE_REFUSED");
  });

  it("drains a disk that goes on to serve, and forgets it when it holds nothing", async () => {
    await stage(3, "add");
    await stage(0, "drain");
    await apply();
    const view = await call(broker, ring.get, {});
    expect(view.disks.map(({ id }) => id)).not.toContain(idOf(0));
    expect(view.leaving.map(({ id }) => id)).toEqual([idOf(0)]);
    expect(await stateOf(0)).toBe("draining");

    const client = new DiskClient({ address: disks.disks[0]!.address, secret: disks.secret });
    const chunk = randomChunk(1000);
    expect(await typeOf(stage(0, "remove"))).toBe("RING_CHANGE_REFUSED");
    await client.putChunk({ ...chunk, epoch: 1 });
    await finishMoves();
    expect(await typeOf(stage(0, "remove"))).toBe("RING_CHANGE_REFUSED");
    const { version } = (await client.statChunk(chunk))!;
    await client.deleteChunk({ hash: chunk.hash, version, epoch: 1 });
    client.close();
    await stage(0, "remove");
    await apply();
    expect(await stateOf(0)).toBeUndefined();
    expect((await call(broker, ring.get, {})).leaving).toEqual([]);
    await call(broker, ring.register, { address: disks.disks[0]!.address });
    expect(await stateOf(0)).toBe("spare");
  });

  it("removes a disk that does not answer by force alone, and counts its content as lost", async () => {
    await stage(3, "add");
    await apply();
    await finishMoves();
    expect(await typeOf(stage(1, "remove", { force: true }))).toBe("RING_CHANGE_REFUSED");
    await disks.disks[1]!.kill();
    expect(await typeOf(stage(1, "remove"))).toBe("RING_CHANGE_REFUSED");
    await stage(1, "remove", { force: true });
    await disks.disks[1]!.restart();
    await eventually(async () => (await call(broker, ring.disks, {})).every(({ up }) => up));
    expect(await typeOf(apply())).toBe("RING_CHANGE_REFUSED");
    await disks.disks[1]!.kill();
    await apply();
    const moving = await call(broker, ring.moving, { first: 0, last: 4095 });
    expect(moving).toHaveLength(3072);
    expect(moving.flatMap(({ former }) => former)).not.toContain(idOf(1));
    await disks.disks[1]!.restart();
  });

  it("does not lead to fewer copies, and knows only disks that there are", async () => {
    await stage(0, "drain");
    expect(await typeOf(call(broker, ring.plan, {}))).toBe("RING_CHANGE_REFUSED");
    expect(await typeOf(stage(3, "drain"))).toBe("RING_CHANGE_REFUSED");
    expect(await typeOf(call(broker, ring.stage, { disk: crypto.randomUUID(), change: "add" }))).toBe("DISK_NOT_FOUND");
  });

  it("goes on from where the one before has come to", async () => {
    await stage(3, "add");
    await apply();
    const [first] = await call(broker, ring.moving, { first: 0, last: 4095 });
    expect(await tell(first!.partition, 2, "verified")).toBe(true);
    await stage(4, "add");
    await apply();
    const moving = new Map((await call(broker, ring.moving, { first: 0, last: 4095 })).map((one) => [one.partition, one]));
    const again = moving.get(first!.partition)!;
    expect(again).toMatchObject({ epoch: 3, verified: false });
    expect(again.former.slice(0, 3).toSorted()).toEqual(first!.owners.toSorted());
    expect(again.former).toEqual(expect.arrayContaining([...first!.former]));
    expect(await tell(first!.partition, 2, "cleared")).toBe(false);
    expect(await rows(db, "select 1 from jobs where state = 'cancelled'")).toHaveLength(64);
    // How many ranges that makes hangs on how many partitions move, and so on the names of the disks.
    const ranges = await rows<{ first: number; last: number }>(
      db,
      "select (payload->>'first')::integer as first, (payload->>'last')::integer as last from jobs where state = 'queued'",
    );
    expect(await rows(db, "select 1 from jobs")).toHaveLength(64 + ranges.length);
    for (const partition of moving.keys())
      expect(ranges.filter((range) => range.first <= partition && partition <= range.last)).toHaveLength(1);
  });

  it("tells how far it is, and when it has ended", async () => {
    await stage(3, "add");
    await apply();
    const [first, second] = await call(broker, ring.moving, { first: 0, last: 4095 });
    const figures = { chunksTotal: 4, chunksDone: 3, chunksLost: 1, bytesTotal: 4000, bytesDone: 3000, bytesCopied: 2000 };
    expect(await tell(first!.partition, 2, "copying", figures)).toBe(true);
    expect(await call(broker, ring.moves, {})).toMatchObject({
      chunks: { total: 4, done: 3 },
      bytes: { total: 4000, done: 3000 },
      lostChunks: 1,
      copiedBytes: 2000,
    });
    await tell(first!.partition, 2, "verified");
    await tell(first!.partition, 2, "copying");
    expect((await call(broker, ring.moves, {})).partitions).toEqual({ total: 3072, done: 1 });
    expect((await call(broker, ring.moving, { first: 0, last: second!.partition })).map(({ verified }) => verified)).toEqual([true, false]);
    await tell(first!.partition, 2, "cleared");
    expect(await call(broker, ring.moving, { first: 0, last: second!.partition })).toHaveLength(1);
    await finishMoves();
    expect(await call(broker, ring.moves, {})).toMatchObject({ partitions: { total: 3072, done: 3072 }, secondsLeft: 0 });
    await eventually(async () => (await call(broker, ring.get, {})).former.length === 0);
  });
});

const NOTHING = { chunksTotal: 0, chunksDone: 0, bytesTotal: 0, bytesDone: 0, bytesCopied: 0 };

async function tell(partition: number, epoch: number, state: "copying" | "verified" | "cleared", figures = NOTHING): Promise<boolean> {
  return await call(broker, ring.moved, { partition, epoch, state, ...figures });
}

async function finishMoves(): Promise<void> {
  await execute(db, "update partitions set state = 'verified', started_at = now(), finished_at = now() where finished_at is null");
}
