import { randomUUID } from "node:crypto";
import { cp, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import type { ServiceBroker } from "moleculer";
import { loadConfig } from "../../config/index.ts";
import { freePort } from "../../deploy/local/free-port.ts";
import { openDatabase } from "../../mixins/database/connection.ts";
import { execute, rows, type Database } from "../../mixins/database/sql.ts";
import { errorType } from "../../services/kernel/errors.ts";
import { call } from "../../services/kernel/rpc.ts";
import { ring, ringChanged } from "../../services/ring/contract.ts";
import { check } from "../../services/ring/domain/placement.ts";
import ringService from "../../services/ring/ring.service.ts";
import { startDisk, startDisks, type TestDisks } from "../support/disks.ts";
import { eventually } from "../support/eventually.ts";
import { testDatabase, type TestDatabase } from "../support/postgres.ts";
import { startServices } from "../support/services.ts";

let disks: TestDisks;
let database: TestDatabase;
let db: Database;
const brokers: ServiceBroker[] = [];

beforeAll(async () => {
  [disks, database] = await Promise.all([startDisks(3, { zones: ["a", "b", "c"] }), testDatabase()]);
  db = openDatabase(database.ownerUrl, { connectionsMax: 8 });
  process.env["DISK_SECRET"] = disks.secret;
});
beforeEach(async () => {
  await execute(db, "truncate rings, disks, ring_changes, partitions, jobs");
});
afterEach(async () => {
  await Promise.all(brokers.splice(0).map((broker) => broker.stop()));
});
afterAll(async () => {
  await Promise.all([database.drop(), disks.stop()]);
});

async function start(addresses: readonly string[] = disks.disks.map(({ address }) => address)): Promise<ServiceBroker> {
  process.env["DISKS"] = addresses.join(",");
  const broker = await startServices(database.url, ringService);
  brokers.push(broker);
  return broker;
}

const typeOf = async (attempt: Promise<unknown>): Promise<string | undefined> => errorType(await attempt.catch((error: unknown) => error));
const statesOf = async (broker: ServiceBroker) =>
  (await call(broker, ring.disks, {})).map(({ state, up }) => `${state}, ${up ? "up" : "down"}`).toSorted();

describe("the ring service", () => {
  it("makes the first ring of the disks that it is told of", async () => {
    const broker = await start();
    const view = await eventually(() => call(broker, ring.get, {}));
    expect(view).toMatchObject({ epoch: 1, partitionBits: 12, replicas: 3 });
    expect(view.disks.map(({ id }) => id)).toEqual(disks.disks.map(({ id }) => id).toSorted());
    expect(check(view)).toEqual([]);
    expect(await statesOf(broker)).toEqual(["in, up", "in, up", "in, up"]);
  });

  it("makes no ring of fewer disks than it keeps copies, however long the others are silent", async () => {
    const broker = await start([disks.disks[0]!.address, await silentAddress(), await silentAddress()]);
    const { founding } = broker.getLocalService("ring") as unknown as {
      founding: { attempt(of: { patience: boolean }): Promise<boolean> };
    };
    await eventually(async () => (await call(broker, ring.disks, {})).length === 1);
    expect(await founding.attempt({ patience: false })).toBe(false);
    expect(await typeOf(call(broker, ring.get, {}))).toBe("RING_EMPTY");
  });

  it("makes one ring, however many instances start at once", async () => {
    const all = await Promise.all(Array.from({ length: 4 }, () => start()));
    const views = await Promise.all(all.map((broker) => eventually(() => call(broker, ring.get, {}))));
    expect(new Set(views.map(({ owners }) => Buffer.from(owners).toString("hex"))).size).toBe(1);
    expect(await rows(db, "select epoch from rings")).toEqual([{ epoch: 1 }]);
  });

  it("starts although a disk does not answer, has no ring yet, and makes it without that disk after a while", async () => {
    const { address, close } = await hole();
    const broker = await start([...disks.disks.map((disk) => disk.address), address]);
    expect(await typeOf(call(broker, ring.get, {}))).toBe("RING_EMPTY");
    const view = await eventually(() => call(broker, ring.get, {}), { timeoutMs: 90_000 });
    expect(view.disks).toHaveLength(3);
    close();
  });

  it("waits for a disk that comes a little later", async () => {
    const late = join(disks.disks[0]!.dir, "..", "late");
    const reserved = await hole();
    reserved.close();
    const broker = await start([...disks.disks.map((disk) => disk.address), reserved.address]);
    const disk = await startDisk({ dir: late, secret: disks.secret, settings: { DISK_PORT: reserved.address.split(":")[1]! } });
    const view = await eventually(() => call(broker, ring.get, {}), { timeoutMs: 90_000 });
    expect(view.disks.map(({ id }) => id)).toContain(disk.id);
    await disk.kill();
  });

  it("knows a disk by its UUID: another address is the same disk, and the ring stays as it is", async () => {
    const broker = await start();
    const before = await eventually(() => call(broker, ring.get, {}));
    const told: object[] = [];
    broker.createService({ name: "listener", events: { [ringChanged.name]: (ctx: { params: object }) => void told.push(ctx.params) } });
    const disk = disks.disks[0]!;
    await disk.kill();
    const moved = await startDisk({ dir: disk.dir, secret: disks.secret, settings: { ZONE: "a" } });
    expect(moved.address).not.toBe(disk.address);
    expect(await call(broker, ring.register, { address: moved.address })).toEqual({ id: disk.id });
    const after = await call(broker, ring.get, {});
    expect(after.epoch).toBe(1);
    expect(after.owners).toEqual(before.owners);
    expect(after.disks.find(({ id }) => id === disk.id)?.address).toBe(moved.address);
    await eventually(() => told.length > 0);
    await moved.kill();
    await disk.restart();
  });

  it("keeps a new disk as a spare, and tells which disks are down and why", async () => {
    const broker = await start(disks.disks.slice(0, 2).map(({ address }) => address));
    await eventually(() => call(broker, ring.get, {}));
    await call(broker, ring.register, { address: disks.disks[2]!.address });
    expect(await statesOf(broker)).toEqual(["in, up", "in, up", "spare, up"]);
    expect((await call(broker, ring.get, {})).disks).toHaveLength(2);
    await disks.disks[1]!.kill();
    const down = (await call(broker, ring.disks, {})).find(({ up }) => !up);
    expect(down).toMatchObject({
      id: disks.disks[1]!.id,
      freeBytes: 0,
      reason: expect.stringContaining(disks.disks[1]!.address) as string,
    });
    await disks.disks[1]!.restart();
  });

  it("does not take a copied folder for another disk", async () => {
    const broker = await start();
    await eventually(() => call(broker, ring.get, {}));
    const original = disks.disks[0]!;
    const folder = `${original.dir}-copy`;
    await cp(original.dir, folder, { recursive: true });
    const twin = await startDisk({ dir: folder, secret: disks.secret });
    expect(await typeOf(call(broker, ring.register, { address: twin.address }))).toBe("INVALID_REQUEST");
    expect((await call(broker, ring.get, {})).disks.find(({ id }) => id === original.id)?.address).toBe(original.address);
    await twin.kill();
    await rm(folder, { recursive: true });
  });

  it("does not take another disk at an address for the one that was there", async () => {
    const broker = await start();
    await eventually(() => call(broker, ring.get, {}));
    await execute(db, "update disks set address = $1 where id = $2", [disks.disks[0]!.address, disks.disks[1]!.id]);
    const found = (await call(broker, ring.disks, {})).find(({ id }) => id === disks.disks[1]!.id);
    expect(found).toMatchObject({ up: false, reason: expect.stringContaining(disks.disks[0]!.id) as string });
  });

  it("refuses what is not an address, and says when nobody answers at one", async () => {
    const broker = await start();
    expect(await typeOf(call(broker, ring.register, { address: `not/${randomUUID()}` }))).toBe("INVALID_REQUEST");
    expect(await typeOf(call(broker, ring.register, { address: "127.0.0.1:1" }))).toBe("DISK_UNAVAILABLE");
    expect(loadConfig().DISKS).toHaveLength(3);
  });
});

/** Takes connections and never says a word. */
async function hole(): Promise<{ address: string; close: () => void }> {
  const open = new Set<Socket>();
  const server = createServer((socket) => open.add(socket.on("error", () => undefined)));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return {
    address: `127.0.0.1:${port}`,
    close: () => {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}

/** Where nobody listens: a port that was free a moment ago. */
async function silentAddress(): Promise<string> {
  return `127.0.0.1:${await freePort()}`;
}
