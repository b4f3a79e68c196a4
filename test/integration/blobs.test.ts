import { randomBytes, randomUUID } from "node:crypto";
import type { ServiceBroker } from "moleculer";
import { openDatabase } from "../../mixins/database/connection.ts";
import { execute, rows, type Database } from "../../mixins/database/sql.ts";
import blobsService from "../../services/blobs/blobs.service.ts";
import { blobs } from "../../services/blobs/contract.ts";
import { jobsWaiting } from "../../services/jobs/contract.ts";
import { errorType } from "../../services/kernel/errors.ts";
import { CHUNK_BYTES_MAX } from "../../services/kernel/limits.ts";
import { call } from "../../services/kernel/rpc.ts";
import { eventually } from "../support/eventually.ts";
import { testDatabase, type TestDatabase } from "../support/postgres.ts";
import { startServices } from "../support/services.ts";

let database: TestDatabase;
let db: Database;
let broker: ServiceBroker;
const told: unknown[] = [];

beforeAll(async () => {
  database = await testDatabase();
  db = openDatabase(database.url, { connectionsMax: 4 });
  const listener = { name: "listener", events: { [jobsWaiting.name]: (ctx: { params: unknown }) => void told.push(ctx.params) } };
  broker = await startServices(database.url, blobsService, listener);
});
afterAll(async () => {
  await broker.stop();
  await database.drop();
});
beforeEach(async () => {
  await execute(db, "truncate jobs, rings, blobs cascade");
  await makeRing(1);
});

const makeRing = async (epoch: number) =>
  await execute(db, "insert into rings (epoch, partition_bits, replicas, owners, disks) values ($1, 12, 1, $2, $3::uuid[])", [
    epoch,
    Buffer.alloc(8192),
    [randomUUID()],
  ]);
const hashes = (count: number) => new Uint8Array(randomBytes(32 * count));
const missingOf = (chunk = randomBytes(32).toString("hex")) => ({ chunk, size: 7, disk: randomUUID() });
const typeOf = async (attempt: Promise<unknown>): Promise<string | undefined> => errorType(await attempt.catch((error: unknown) => error));
const repairs = async () =>
  await rows<{ payload: object; state: string }>(db, "select payload, state from jobs where kind = 'chunk.repair'");
const count = async () => (await rows(db, "select 1 from blobs")).length;

describe("the catalogue of blobs", () => {
  it("gives back what was committed", async () => {
    const chunks = hashes(3);
    const size = 2 * CHUNK_BYTES_MAX + 1;
    const { blob } = await call(broker, blobs.commit, { epoch: 1, size, chunks, missing: [] });
    const manifest = await call(broker, blobs.get, { blob });
    expect({ ...manifest, chunks: Buffer.from(manifest.chunks) }).toEqual({ blob, size, chunks: Buffer.from(chunks) });
  });

  it("makes one row of the same bytes, also when many commit them at once", async () => {
    const commit = { epoch: 1, size: 5, chunks: hashes(1), missing: [missingOf()] };
    const made = await Promise.all(Array.from({ length: 8 }, () => call(broker, blobs.commit, commit)));
    expect(new Set(made.map(({ blob }) => blob)).size).toBe(1);
    expect([await count(), (await repairs()).length]).toEqual([1, 1]);
  });

  it("orders the repair of every missing copy in the same transaction, and wakes the workers", async () => {
    const missing = [missingOf(), missingOf(), missingOf()];
    told.length = 0;
    await call(broker, blobs.commit, { epoch: 1, size: 5, chunks: hashes(1), missing });
    expect((await repairs()).map(({ payload }) => payload)).toEqual(expect.arrayContaining(missing));
    await eventually(() => told.length > 0);
    expect(told).toEqual([{ kinds: ["chunk.repair"] }]);
  });

  it("refuses a writer that does not know the present ring, and keeps nothing of it", async () => {
    await makeRing(2);
    expect(await typeOf(call(broker, blobs.commit, { epoch: 1, size: 5, chunks: hashes(1), missing: [missingOf()] }))).toBe(
      "DISK_STALE_EPOCH",
    );
    expect([await count(), (await repairs()).length]).toEqual([0, 0]);
    await execute(db, "truncate rings");
    expect(await typeOf(call(broker, blobs.commit, { epoch: 1, size: 5, chunks: hashes(1), missing: [] }))).toBe("RING_EMPTY");
  });

  it("refuses sizes that so many chunks cannot have", async () => {
    for (const [size, chunks] of [
      [5, 2],
      [CHUNK_BYTES_MAX + 1, 1],
      [2 * CHUNK_BYTES_MAX, 1],
    ] as const) {
      expect(await typeOf(call(broker, blobs.commit, { epoch: 1, size, chunks: hashes(chunks), missing: [] }))).toBe("INVALID_REQUEST");
    }
    expect(await typeOf(call(broker, blobs.commit, { epoch: 1, size: 5, chunks: new Uint8Array(31), missing: [] }))).toBe(
      "INVALID_REQUEST",
    );
  });

  it("makes one job of a missing copy, whoever reports it, until it is mended", async () => {
    const copy = missingOf();
    for (let n = 0; n < 3; n++) await call(broker, blobs.reportMissing, copy);
    await call(broker, blobs.reportMissing, missingOf(copy.chunk));
    expect(await repairs()).toHaveLength(2);
    await execute(db, "update jobs set state = 'done'");
    await call(broker, blobs.reportMissing, copy);
    expect(await repairs()).toHaveLength(3);
  });

  it("knows no other blobs", async () => {
    expect(await typeOf(call(broker, blobs.get, { blob: "0".repeat(64) }))).toBe("BLOB_NOT_FOUND");
  });
});
