import { randomUUID } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { backup, restore } from "../../mixins/database/backup.ts";
import { closeDatabase, openDatabase } from "../../mixins/database/connection.ts";
import { enqueue } from "../../mixins/database/enqueue.ts";
import { execute, one, rows, transaction, type Database } from "../../mixins/database/sql.ts";
import { errorType } from "../../services/kernel/errors.ts";
import { fillLibrary } from "../support/library.ts";
import { emptyDatabase, testDatabase, type TestDatabase } from "../support/postgres.ts";
import { removeFolder, temporaryFolder } from "../support/tritontube.ts";

let source: TestDatabase;
let db: Database;
let folder: string;
let file: string;

beforeAll(async () => {
  folder = await temporaryFolder("tritontube-backup-");
  file = join(folder, "day.backup");
  source = await testDatabase();
  await fillLibrary(source.ownerUrl, 2000);
  db = openDatabase(source.ownerUrl, { connectionsMax: 4 });
  await execute(db, "insert into captions (video_id, language, blob, size) select id, 'de', source_blob, 5 from videos limit 3");
  await execute(db, `update videos set description = E'"quotes" \\\\ {"sums"} \\n ü 語 \\t' where id in (select id from videos limit 10)`);
  await transaction(db, async (tx) => await enqueue(tx, [{ kind: "video.picture", payload: { deep: [1.5, "x", null] } }]));
}, 240_000);
afterAll(async () => {
  await source.drop();
  await removeFolder(folder);
});

async function withRestored<T>(from: string, work: (restored: Database) => Promise<T>): Promise<T> {
  const target = await emptyDatabase();
  try {
    await restore(target.ownerUrl, from);
    return await work(openDatabase(target.ownerUrl, { connectionsMax: 2 }));
  } finally {
    await target.drop();
  }
}

async function refusal(from: string): Promise<{ type: string | undefined; tables: number }> {
  const target = await emptyDatabase();
  try {
    const type = await restore(target.ownerUrl, from).then(() => undefined, errorType);
    const found = await one<{ count: number }>(
      openDatabase(target.ownerUrl, { connectionsMax: 1 }),
      "select coalesce(sum(n_live_tup), 0)::integer as count from pg_stat_user_tables where relname in ('videos', 'blobs')",
    );
    return { type, tables: found?.count ?? -1 };
  } finally {
    await target.drop();
  }
}

describe("a backup", () => {
  it("is one moment of everything, also while rows are written", async () => {
    const over = new AbortController();
    const writer = (async () => {
      while (!over.signal.aborted) await execute(db, "update videos set edition = edition + 1");
    })();
    const sums = await backup(source.ownerUrl, file);
    over.abort();
    await writer;
    expect(sums["videos"]?.rows).toBe(2000);
    await withRestored(file, async (restored) => {
      expect(await rows(restored, "select distinct edition from videos")).toHaveLength(1);
    });
  });

  it("comes back row by row, with what the database computes itself, and counts on", async () => {
    await backup(source.ownerUrl, file);
    await withRestored(file, async (restored) => {
      for (const text of [
        "select md5(string_agg(v::text, '' order by id)) from videos v",
        "select md5(string_agg(j::text, '' order by id)) from jobs j",
        "select md5(string_agg(c::text, '' order by video_id)) from captions c",
        "select count(*) from video_views",
        "select count(*) from videos where search @@ search_query('cebana')",
      ]) {
        expect(await rows(restored, text)).toEqual(await rows(db, text));
      }
      const highest = Number((await one<{ id: string }>(db, "select max(id) as id from jobs"))?.id);
      await transaction(restored, async (tx) => await enqueue(tx, [{ kind: "video.picture", payload: {} }]));
      expect(Number((await one<{ id: string }>(restored, "select max(id) as id from jobs"))?.id)).toBe(highest + 1);
      // Triggers are on again.
      await execute(restored, "update videos set title = 'Zyzzyva' where id = (select id from videos limit 1)");
      expect(await rows(restored, "select word from search_vocabulary where word = 'zyzzyva'")).toHaveLength(1);
    });
  });

  it("goes into an empty database only", async () => {
    expect(await restore(source.ownerUrl, file).then(() => undefined, errorType)).toBe("INVALID_REQUEST");
    expect(await rows(db, "select 1 from videos")).toHaveLength(2000);
  });

  it.each<[string, (text: string) => string]>([
    ["a row that is missing", (text) => text.replace(/\n\{"id": "[^\n]*film\.mp4[^\n]*/, "")],
    ["a row that is other", (text) => text.replace('"edition": 1', '"edition": 9').replace(/"duration_s": ([0-9])/, '"duration_s": 1$1')],
    ["no end", (text) => text.slice(0, text.length / 2)],
    ["a schema that this code does not know", (text) => text.replace("0001-main", "9999-newer")],
    ["nothing of it", () => "hello\n"],
  ])("with %s is refused, and leaves no rows", async (_what, change) => {
    const damaged = join(folder, `${randomUUID()}.backup`);
    await writeFile(damaged, gzipSync(change(gunzipSync(await readFile(file)).toString())));
    expect(await refusal(damaged)).toEqual({ type: "INVALID_REQUEST", tables: 0 });
  });

  it("that was cut off by a full disk is refused", async () => {
    const cut = join(folder, "cut.backup");
    const whole = await readFile(file);
    await writeFile(cut, whole.subarray(0, whole.length - 1000));
    expect(await refusal(cut)).toEqual({ type: "INVALID_REQUEST", tables: 0 });
    await closeDatabase();
    db = openDatabase(source.ownerUrl, { connectionsMax: 4 });
  });
});
