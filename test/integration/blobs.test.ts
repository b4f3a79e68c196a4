import { randomBytes, randomUUID } from "node:crypto";
import type { ServiceBroker } from "moleculer";
import { openDatabase } from "../../mixins/database/connection.ts";
import { execute, rows, type Database } from "../../mixins/database/sql.ts";
import blobsService from "../../services/blobs/blobs.service.ts";
import { blobs } from "../../services/blobs/contract.ts";
import { errorType } from "../../services/kernel/errors.ts";
import { CHUNK_BYTES_MAX } from "../../services/kernel/limits.ts";
import { call } from "../../services/kernel/rpc.ts";
import { testDatabase, type TestDatabase } from "../support/postgres.ts";
import { startServices } from "../support/services.ts";

let database: TestDatabase;
let db: Database;
let broker: ServiceBroker;

beforeAll(async () => {
  database = await testDatabase();
  db = openDatabase(database.ownerUrl, { connectionsMax: 4 });
  broker = await startServices(database.url, blobsService);
});
afterAll(async () => {
  await broker.stop();
  await database.drop();
});
beforeEach(async () => {
  await execute(db, "truncate jobs, rings, blobs, chunks cascade");
  await makeRing(1);
});

const makeRing = async (epoch: number) =>
  await execute(db, "insert into rings (epoch, partition_bits, replicas, owners, disks) values ($1, 12, 1, $2, $3::uuid[])", [
    epoch,
    Buffer.alloc(8192),
    [randomUUID()],
  ]);
const hashes = (count: number) => new Uint8Array(randomBytes(32 * count));
const namesOf = (chunks: Uint8Array) =>
  Array.from({ length: chunks.length / 32 }, (_, n) => Buffer.from(chunks.subarray(n * 32, n * 32 + 32)).toString("hex"));
/** What a writer says to lease these chunks, all but the last of full length. */
const leaseOf = (size: number, chunks: Uint8Array) => ({
  chunks: namesOf(chunks).map((chunk, n) => ({ chunk, size: Math.min(CHUNK_BYTES_MAX, size - n * CHUNK_BYTES_MAX) })),
});
interface Draft {
  readonly size: number;
  readonly chunks: Uint8Array<ArrayBuffer>;
}
/** Chunks that are leased, and ready to be committed. */
const leased = async <T extends Draft>(draft: T) => ({
  epoch: 1,
  missing: [],
  ...draft,
  ...(await call(broker, blobs.lease, leaseOf(draft.size, draft.chunks))),
});
const commit = async (size: number, chunks: Uint8Array<ArrayBuffer>) => await call(broker, blobs.commit, await leased({ size, chunks }));
const refs = async () => (await rows<{ refs: number }>(db, "select refs from chunks order by refs, sha256")).map((row) => row.refs);
const now = () => new Date().toISOString();
const missingOf = (chunks: Uint8Array) => ({ chunk: Buffer.from(chunks.subarray(0, 32)).toString("hex"), size: 5, disk: randomUUID() });
const typeOf = async (attempt: Promise<unknown>): Promise<string | undefined> => errorType(await attempt.catch((error: unknown) => error));
const lacking = async () =>
  (await rows<{ disk: string }>(db, "select disk_id as disk, encode(sha256, 'hex') as chunk, size from missing_copies")).toSorted(
    (one, other) => one.disk.localeCompare(other.disk),
  );
const count = async () => (await rows(db, "select 1 from blobs")).length;

describe("the catalogue of blobs", () => {
  it("gives back what was committed", async () => {
    const chunks = hashes(3);
    const size = 2 * CHUNK_BYTES_MAX + 1;
    const { blob } = await commit(size, chunks);
    const manifest = await call(broker, blobs.get, { blob });
    expect({ ...manifest, chunks: Buffer.from(manifest.chunks) }).toEqual({ blob, size, chunks: Buffer.from(chunks) });
    // It is remembered, and the slab that it came in is not.
    expect(manifest.chunks.buffer.byteLength).toBe(chunks.length);
  });

  it("counts a chunk once for each of the blobs that are committed at once, and what one of them lacks is no fault of the others", async () => {
    const [shared, gone] = [hashes(1), hashes(1)];
    const drafts = await Promise.all(
      Array.from(
        { length: 12 },
        async () => await leased({ size: CHUNK_BYTES_MAX + 5, chunks: new Uint8Array([...shared, ...hashes(1)]) }),
      ),
    );
    const incomplete = { ...drafts[0]!, chunks: new Uint8Array([...shared, ...gone]) };
    const outcome = async (draft: (typeof drafts)[number]): Promise<string | undefined> => await typeOf(call(broker, blobs.commit, draft));
    const told = await Promise.all([...drafts, incomplete, drafts[1]!].map(outcome));
    expect(told.map((type) => type ?? "made")).toEqual([...drafts.map(() => "made"), "CHUNK_NOT_LEASED", "made"]);
    expect(await refs()).toEqual([...drafts.map(() => 1), drafts.length]);
  });

  it("makes one row of the same bytes, also when many commit them at once", async () => {
    const chunks = hashes(1);
    const draft = await leased({ size: 5, chunks, missing: [missingOf(chunks)] });
    const made = await Promise.all(Array.from({ length: 8 }, () => call(broker, blobs.commit, draft)));
    expect(new Set(made.map(({ blob }) => blob)).size).toBe(1);
    expect([await count(), (await lacking()).length, await refs()]).toEqual([1, 1, [1]]);
  });

  it("notes every missing copy in the same transaction", async () => {
    const chunks = hashes(1);
    const missing = [missingOf(chunks), missingOf(chunks)];
    await call(broker, blobs.commit, await leased({ size: 5, chunks, missing }));
    expect(await lacking()).toEqual(missing.toSorted((one, other) => one.disk.localeCompare(other.disk)));
  });

  it("refuses a writer that does not know the present ring, and keeps nothing of it", async () => {
    const chunks = hashes(1);
    const draft = await leased({ size: 5, chunks, missing: [missingOf(chunks)] });
    await makeRing(2);
    expect(await typeOf(call(broker, blobs.commit, draft))).toBe("DISK_STALE_EPOCH");
    expect([await count(), (await lacking()).length]).toEqual([0, 0]);
    await execute(db, "truncate rings");
    expect(await typeOf(call(broker, blobs.commit, draft))).toBe("RING_EMPTY");
  });

  it("refuses sizes that so many chunks cannot have", async () => {
    for (const [size, chunks] of [
      [5, 2],
      [CHUNK_BYTES_MAX + 1, 1],
      [2 * CHUNK_BYTES_MAX, 1],
    ] as const) {
      expect(await typeOf(call(broker, blobs.commit, { epoch: 1, size, chunks: hashes(chunks), leasedAt: now(), missing: [] }))).toBe(
        "INVALID_REQUEST",
      );
    }
    expect(await typeOf(call(broker, blobs.commit, { epoch: 1, size: 5, chunks: new Uint8Array(31), leasedAt: now(), missing: [] }))).toBe(
      "INVALID_REQUEST",
    );
  });

  it("notes a missing copy once, whoever reports it, and none of a chunk that nobody knows", async () => {
    const chunks = hashes(1);
    await commit(5, chunks);
    const copy = missingOf(chunks);
    for (let n = 0; n < 3; n++) await call(broker, blobs.reportMissing, { copies: [copy, copy, missingOf(hashes(1))] });
    expect(await lacking()).toEqual([copy]);
    await call(broker, blobs.repaired, { disk: copy.disk, chunks: [copy.chunk] });
    expect(await lacking()).toEqual([]);
  });

  it("counts a blob in each of its chunks once, however often the chunk is in it", async () => {
    const [one, other] = [hashes(1), hashes(1)];
    await commit(2 * CHUNK_BYTES_MAX + 1, Buffer.concat([one, one, other]));
    await commit(CHUNK_BYTES_MAX, one);
    expect(await refs()).toEqual([1, 2]);
  });

  it("refuses a blob with a chunk that was never leased, is on its way out, or was leased too long ago", async () => {
    const draft = { epoch: 1, size: 5, chunks: hashes(1), missing: [] };
    expect(await typeOf(call(broker, blobs.commit, { ...draft, leasedAt: now() }))).toBe("CHUNK_NOT_LEASED");
    const good = await leased(draft);
    const yesterday = new Date(Date.now() - 25 * 3600 * 1000).toISOString();
    expect(await typeOf(call(broker, blobs.commit, { ...good, leasedAt: yesterday }))).toBe("CHUNK_NOT_LEASED");
    await execute(db, "update chunks set state = 'leaving'");
    expect(await typeOf(call(broker, blobs.commit, good))).toBe("CHUNK_NOT_LEASED");
    expect(await count()).toBe(0);
  });

  it("leases no chunk that is on its way out", async () => {
    const [leaving, other] = [hashes(1), hashes(1)];
    await call(broker, blobs.lease, leaseOf(5, leaving));
    await execute(db, "update chunks set state = 'leaving'");
    const both = { chunks: [...leaseOf(5, leaving).chunks, ...leaseOf(5, other).chunks] };
    expect(await typeOf(call(broker, blobs.lease, both))).toBe("CHUNK_LEAVING");
  });

  it("takes writers of the same chunks in different orders without a deadlock", async () => {
    const [one, other] = [hashes(1), hashes(1)];
    const pairs = [
      [one, other],
      [other, one],
    ].map((pair) => Buffer.concat(pair));
    await Promise.all(Array.from({ length: 20 }, (_, n) => commit(CHUNK_BYTES_MAX + 1 + n, pairs[n % 2]!)));
    expect(await refs()).toEqual([20, 20]);
  });

  it("joins blobs to one without copying, and counts it in all of their chunks", async () => {
    const [head, tail] = [hashes(2), hashes(1)];
    const first = await commit(2 * CHUNK_BYTES_MAX, head);
    const last = await commit(7, tail);
    const whole = await call(broker, blobs.concat, { parts: [first.blob, first.blob, last.blob] });
    expect(whole.size).toBe(4 * CHUNK_BYTES_MAX + 7);
    const manifest = await call(broker, blobs.get, { blob: whole.blob });
    expect(Buffer.from(manifest.chunks)).toEqual(Buffer.concat([head, head, tail]));
    expect(await refs()).toEqual([2, 2, 2]);
    // The name that a writer of the same bytes gets.
    expect((await commit(whole.size, Buffer.concat([head, head, tail]))).blob).toBe(whole.blob);
    expect((await call(broker, blobs.concat, { parts: [whole.blob] })).blob).toBe(whole.blob);
    expect(await refs()).toEqual([2, 2, 2]);
  });

  it("joins nothing that would leave a hole, or that is not there", async () => {
    const [{ blob: short }, { blob: other }] = [await commit(7, hashes(1)), await commit(8, hashes(1))];
    expect(await typeOf(call(broker, blobs.concat, { parts: [short, other] }))).toBe("INVALID_REQUEST");
    expect(await typeOf(call(broker, blobs.concat, { parts: [short, "0".repeat(64)] }))).toBe("BLOB_NOT_FOUND");
  });

  it("knows no other blobs", async () => {
    expect(await typeOf(call(broker, blobs.get, { blob: "0".repeat(64) }))).toBe("BLOB_NOT_FOUND");
  });
});
