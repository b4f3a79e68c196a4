import { randomBytes, randomUUID } from "node:crypto";
import { openDatabase } from "../../mixins/database/connection.ts";
import { migrate } from "../../mixins/database/migrate.ts";
import { execute, one, rows, transaction, type Database } from "../../mixins/database/sql.ts";
import { emptyDatabase, testDatabase, type TestDatabase } from "../support/postgres.ts";

let database: TestDatabase;
let db: Database;

beforeAll(async () => {
  database = await testDatabase();
  db = openDatabase(database.url, { connectionsMax: 4 });
});
afterAll(async () => {
  await database.drop();
});

/** A blob that was looked at and found to be named. */
async function neededBlob(): Promise<Buffer> {
  const id = randomBytes(32);
  await execute(db, "insert into blobs (id, size, chunks, touched_at) values ($1, 1, $2, null)", [id, randomBytes(32)]);
  return id;
}

async function videoOf(blob: Uint8Array): Promise<string> {
  const id = randomUUID();
  const text = "insert into videos (id, title, filename, source_blob, source_size, status) values ($1, 't', 'f', $2, 1, 'queued')";
  await execute(db, text, [id, blob]);
  return id;
}

async function segmentsOf(video: string, list: readonly Uint8Array[]): Promise<void> {
  await execute(
    db,
    "insert into renditions (video_id, revision, name, kind, width, height, segments_total) values ($1, 1, '720p', 'video', 1, 1, 1) on conflict do nothing",
    [video],
  );
  await execute(
    db,
    `insert into segments (video_id, revision, rendition, number, blob, size, start, duration)
     select $1, 1, '720p', n, blob, 1, 0, 1 from unnest($2::bytea[]) with ordinality as told (blob, n)`,
    [video, [...list]],
  );
}

const isReleased = async (blob: Uint8Array) =>
  (await one<{ released: boolean }>(db, "select touched_at is not null as released from blobs where id = $1", [blob]))!.released;

describe("rows that name blobs", () => {
  it("are found by an index and tell when they go, in every table that references blobs", async () => {
    const references = await rows<{ at: string; named: string; indexed: boolean; told: string[] | null }>(
      db,
      `select conrelid::regclass::text as at, attname as named,
         exists (select from pg_index where indrelid = conrelid and indkey[0] = attnum and indpred is null) as indexed,
         (select array_agg(case tgtype & 24 when 8 then 'delete' when 16 then 'update' end order by tgtype) from pg_trigger
          where tgrelid = conrelid and tgfoid = 'release_blobs'::regproc and not tgisinternal
            and attname = any(string_to_array(encode(tgargs, 'escape'), '\\000'))) as told
       from pg_constraint join pg_attribute on attrelid = conrelid and attnum = any(conkey)
       where contype = 'f' and confrelid = 'blobs'::regclass order by 1, 2`,
    );
    expect(references.map(({ at, named }) => `${at}.${named}`)).toEqual(
      expect.arrayContaining(["renditions.init_blob", "segments.blob", "videos.source_blob", "videos.thumbnail_blob"]),
    );
    // A migration that adds one calls reference_blobs for it.
    expect(references.filter(({ indexed, told }) => !indexed || told?.join() !== "delete,update")).toEqual([]);
  });

  it("release a blob when the last of them goes, by cascade too, and only then", async () => {
    const [source, segment, other] = [await neededBlob(), await neededBlob(), await neededBlob()];
    const [video, twin] = [await videoOf(source), await videoOf(source)];
    await segmentsOf(video, [segment, segment, other]);
    // As the owner: services may not change a segment that is published.
    const owner = openDatabase(database.ownerUrl, { connectionsMax: 1 });
    await execute(owner, "update segments set number = number + 10");
    await execute(db, "update videos set title = 'other'");
    expect(await Promise.all([source, segment, other].map(isReleased))).toEqual([false, false, false]);
    await execute(db, "delete from videos where id = $1", [video]);
    expect(await Promise.all([segment, other].map(isReleased))).toEqual([true, true]);
    await execute(db, "update blobs set touched_at = null");
    const thumbnail = await neededBlob();
    await execute(db, "update videos set thumbnail_blob = $2 where id = $1", [twin, thumbnail]);
    expect(await Promise.all([source, thumbnail].map(isReleased))).toEqual([false, false]);
    await execute(db, "update videos set thumbnail_blob = null, source_blob = $2 where id = $1", [twin, other]);
    expect(await Promise.all([source, thumbnail, other].map(isReleased))).toEqual([true, true, false]);
  });

  it("release nothing when the transaction that takes them away does not commit", async () => {
    const blob = await neededBlob();
    const video = await videoOf(blob);
    const attempt = transaction(db, async (tx) => {
      await execute(tx, "delete from videos where id = $1", [video]);
      throw new RangeError("changed my mind");
    });
    await expect(attempt).rejects.toThrow(RangeError);
    expect(await isReleased(blob)).toBe(false);
  });
});

describe("the migration to chunks with rows", () => {
  it("counts the blobs of every chunk, once each, and turns jobs of repair into missing copies", async () => {
    const old = await emptyDatabase();
    try {
      await migrate(old.ownerUrl, { to: "0002-plan" });
      const before = openDatabase(old.ownerUrl, { connectionsMax: 2 });
      const [shared, last] = [randomBytes(32), randomBytes(32)];
      const insert = "insert into blobs (id, size, chunks) values ($1, $2, $3)";
      await execute(before, insert, [randomBytes(32), 2 * 8_388_608 + 5, Buffer.concat([shared, shared, last])]);
      await execute(before, insert, [randomBytes(32), 8_388_608, shared]);
      const disk = randomUUID();
      for (const chunk of [shared.toString("hex"), "0".repeat(64)]) {
        await execute(before, "insert into jobs (kind, payload) values ('chunk.repair', $1::jsonb)", [
          JSON.stringify({ chunk, size: 8_388_608, disk }),
        ]);
      }
      await migrate(old.ownerUrl);
      const found = await rows<{ sha256: Buffer }>(before, "select sha256, size, refs, state from chunks order by size");
      expect(found).toEqual([
        { sha256: last, size: 5, refs: 1, state: "live" },
        { sha256: shared, size: 8_388_608, refs: 2, state: "live" },
      ]);
      expect(await rows(before, "select disk_id, sha256, size from missing_copies")).toEqual([
        { disk_id: disk, sha256: shared, size: 8_388_608 },
      ]);
      expect(await rows(before, "select 1 from jobs")).toEqual([]);
    } finally {
      await old.drop();
    }
  });
});
