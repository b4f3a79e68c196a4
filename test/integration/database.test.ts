import { Client } from "pg";
import { closeDatabase, openDatabase } from "../../mixins/database/connection.ts";
import { enqueue } from "../../mixins/database/enqueue.ts";
import { UNTIL_DONE } from "../../mixins/database/enqueue.ts";
import { migrate } from "../../mixins/database/migrate.ts";
import { migrations } from "../../mixins/database/migrations/index.ts";
import { execute, one, rows, transaction, type Database } from "../../mixins/database/sql.ts";
import { errorType } from "../../services/kernel/errors.ts";
import { eventually } from "../support/eventually.ts";
import { emptyDatabase, testDatabase, type TestDatabase } from "../support/postgres.ts";

/** Everything that a migration can leave behind, as text. */
async function catalogue(url: string): Promise<string> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const questions = [
      `select table_name, column_name, data_type, is_nullable, column_default, is_identity from information_schema.columns
       where table_schema = 'public' order by table_name, ordinal_position`,
      "select indexdef from pg_indexes where schemaname = 'public' order by indexname",
      `select conrelid::regclass::text as at, conname, pg_get_constraintdef(oid) as def from pg_constraint
       where connamespace = 'public'::regnamespace order by 1, 2`,
      "select relname, reloptions from pg_class where relnamespace = 'public'::regnamespace order by relname",
      "select proname from pg_proc where pronamespace = 'public'::regnamespace order by proname",
    ];
    const answers: unknown[] = [];
    for (const question of questions) answers.push((await client.query(question)).rows);
    return JSON.stringify(answers, null, 1);
  } finally {
    await client.end();
  }
}

async function withEmpty<T>(work: (url: string) => Promise<T>): Promise<T> {
  const database = await emptyDatabase();
  try {
    return await work(database.ownerUrl);
  } finally {
    await database.drop();
  }
}

describe("migrations", () => {
  it("leave the same schema after up, down and up again, and nothing but their record after down", async () => {
    await withEmpty(async (url) => {
      expect(await migrate(url)).toEqual(migrations.map(({ name }) => name));
      const first = await catalogue(url);
      expect(first).toContain("videos_newest");
      await migrate(url, { direction: "down" });
      expect(await catalogue(url)).not.toContain("videos");
      await migrate(url);
      expect(await catalogue(url)).toBe(first);
    });
  });

  it("refuse a database of another encoding than UTF8, and say how to make one", async () => {
    const database = await emptyDatabase("encoding 'SQL_ASCII' locale_provider libc locale 'C'");
    try {
      await expect(migrate(database.ownerUrl)).rejects.toMatchObject({
        type: "INVALID_REQUEST",
        message: expect.stringMatching(/has the encoding SQL_ASCII.*encoding 'UTF8'/),
      });
    } finally {
      await database.drop();
    }
  });

  it("go down also while an upload is on its way: a video without a source cannot stay", async () => {
    await withEmpty(async (url) => {
      await migrate(url);
      const db = openDatabase(url, { connectionsMax: 1 });
      await execute(db, "insert into blobs (id, size, chunks) values ($1, 5, $1)", [Buffer.alloc(32)]);
      await execute(
        db,
        "insert into videos (id, title, filename, source_size, status) values (gen_random_uuid(), 'A film', 'film.mp4', 5, 'uploading')",
      );
      await execute(
        db,
        `with made as (insert into uploads (id, kind, video_id, made_by, expires_at) select id, 'whole', id, 'test', now() from videos returning id)
         select id from made`,
      );
      await execute(db, "insert into upload_parts (upload_id, start, size, blob) select id, 0, 5, $1 from uploads", [Buffer.alloc(32)]);
      await closeDatabase(url);
      expect((await migrate(url, { direction: "down" })).at(0)).toBe(migrations.at(-1)?.name);
    });
  });

  it("give videos that are there what lists and searches need, and take only that from them again", async () => {
    await withEmpty(async (url) => {
      await migrate(url, { to: "0003-chunks" });
      const db = openDatabase(url, { connectionsMax: 1 });
      await execute(db, "insert into blobs (id, size, chunks) values ($1, 5, $1)", [Buffer.alloc(32)]);
      await execute(
        db,
        `insert into videos (id, title, description, tags, filename, source_blob, source_size, status, duration_s)
         select gen_random_uuid(), title, 'About it', array['Sommer'], 'film.mp4', $1, 5, 'ready', duration
         from (values ('Ein Résumé', 12.5::float8), ('my_day.mp4', null)) as film (title, duration)`,
        [Buffer.alloc(32)],
      );
      const all = async () => await rows(db, "select * from videos order by title");
      const before = await all();
      const found = async (q: string) => await rows(db, "select title from videos where search @@ search_query($1) order by title", [q]);
      for (const time of ["the first time", "again"]) {
        await migrate(url, { to: "0004-catalogue" });
        expect([time, await found("resum"), await found("day"), await found("sommer about")]).toEqual([
          time,
          [{ title: "Ein Résumé" }],
          [{ title: "my_day.mp4" }],
          [{ title: "Ein Résumé" }, { title: "my_day.mp4" }],
        ]);
        const given =
          "select title_sort, duration_sort, edition, views::integer from videos join video_views on video_id = id order by title";
        expect(await rows(db, given)).toEqual([
          { title_sort: "ein resume", duration_sort: 12.5, edition: 1, views: 0 },
          { title_sort: "my_day.mp4", duration_sort: 0, edition: 1, views: 0 },
        ]);
        expect(await rows(db, "select search_correction('somer') as corrected")).toEqual([{ corrected: "sommer" }]);
        await execute(db, "insert into captions (video_id, language, blob, size) select id, 'de', $1, 5 from videos", [Buffer.alloc(32)]);
        await execute(db, "insert into idempotency_keys (owner, key, digest, video_id) select 'a', title, $1, id from videos", [
          Buffer.alloc(32),
        ]);
        expect(await migrate(url, { direction: "down", to: "0004-catalogue" })).toEqual(["0004-catalogue"]);
        expect(await all()).toEqual(before);
      }
      await closeDatabase(url);
    });
  });

  it("begin the work anew on uploads that are whole and that were given up", async () => {
    await withEmpty(async (url) => {
      await migrate(url, { to: "0045-cpu" });
      const db = openDatabase(url, { connectionsMax: 1 });
      await execute(
        db,
        `insert into jobs (kind, payload, dedupe_key, state, attempts, finished_at, failure)
         select kind, '{}', kind || state, state, 5, now(), '{"type": "UPLOAD_ABORTED", "message": "It ended."}'
         from unnest(array['upload.finish', 'video.inspect']) as kind, unnest(array['failed', 'done']) as state`,
      );
      await migrate(url, { to: "0050-uploads-until-done" });
      expect(await rows(db, "select kind, attempts, max_attempts as most, failure from jobs where state = 'queued'")).toEqual([
        { kind: "upload.finish", attempts: 0, most: UNTIL_DONE, failure: null },
      ]);
      expect(await rows(db, "select count(*)::integer as kept from jobs where state <> 'queued' and attempts = 5")).toEqual([{ kept: 3 }]);
      await migrate(url, { direction: "down", to: "0050-uploads-until-done" });
      expect(await rows(db, "select distinct max_attempts as most from jobs")).toEqual([{ most: 5 }]);
      await closeDatabase(url);
    });
  });

  it("are made once when five processes start at the same time", async () => {
    await withEmpty(async (url) => {
      const made = await Promise.all(Array.from({ length: 5 }, () => migrate(url)));
      expect(made.flat()).toEqual(migrations.map(({ name }) => name));
    });
  });

  it("refuse a database that an edited migration made", async () => {
    await withEmpty(async (url) => {
      await migrate(url);
      await execute(openDatabase(url, { connectionsMax: 1 }), "update schema_migrations set checksum = 'other'");
      await expect(migrate(url)).rejects.toThrow("0001-main is not the one");
    });
  });

  it("say where the database should be when it does not answer", async () => {
    const error: unknown = await migrate("postgres://nobody@127.0.0.1:9/tube", { waitMs: 300 }).catch((thrown: unknown) => thrown);
    expect(errorType(error)).toBe("DATABASE_UNAVAILABLE");
    expect(String(error)).toContain("tube at 127.0.0.1:9");
  });
});

describe("sql", () => {
  let database: TestDatabase;
  let db: Database;

  beforeAll(async () => {
    database = await testDatabase();
    db = openDatabase(database.url, { connectionsMax: 4 });
  });
  afterAll(async () => {
    await closeDatabase();
    await database.drop();
  });

  it("carries bytes, arrays, nulls and large numbers both ways", async () => {
    const bytes = new Uint8Array([0, 255, 36, 49]);
    const found = await one(
      db,
      `select $1::bytea as bytes, $2::text[] as words, $3::bigint as large, $4::uuid[] as ids, $5::bytea[] as list,
         $6::jsonb as json, '$' as dollar`,
      [bytes, ['a "b"', "c,{d}", "$1"], "9007199254740993", [null], [bytes], '{"a": [1]}'],
    );
    expect(found).toEqual({
      bytes: Buffer.from(bytes),
      words: ['a "b"', "c,{d}", "$1"],
      large: "9007199254740993",
      ids: [null],
      list: [Buffer.from(bytes)],
      json: { a: [1] },
      dollar: "$",
    });
  });

  it("keeps nothing of a transaction that throws", async () => {
    const attempt = transaction(db, async (tx) => {
      await enqueue(tx, [{ kind: "video.span", payload: { from: 1 } }]);
      expect(await rows(tx, "select 1 from jobs")).toHaveLength(1);
      throw new RangeError("changed my mind");
    });
    await expect(attempt).rejects.toThrow(RangeError);
    expect(await rows(db, "select 1 from jobs")).toHaveLength(0);
  });

  it("makes one job of two with the same key while the first is not ended", async () => {
    const job = { kind: "video.picture", payload: {}, dedupeKey: "one" } as const;
    const kinds = await transaction(db, async (tx) => [...(await enqueue(tx, [job, job])), ...(await enqueue(tx, [job]))]);
    expect(kinds).toEqual(["video.picture"]);
    expect(await execute(db, "update jobs set state = 'done' where dedupe_key = 'one'")).toBe(1);
    expect(await transaction(db, async (tx) => await enqueue(tx, [job]))).toEqual(["video.picture"]);
  });

  it.each([
    ["a payload that is not of its kind", { kind: "disk.repair", payload: { disk: "x" } } as const],
    ["a payload that is too large", { kind: "video.span", payload: { text: "x".repeat(70_000) } } as const],
  ])("refuses %s", async (_what, job) => {
    const error: unknown = await transaction(db, async (tx) => await enqueue(tx, [job])).catch((thrown: unknown) => thrown);
    expect(errorType(error)).toBe("INVALID_REQUEST");
  });

  it.each([
    ["a wrong statement", "select secret from nowhere", "INTERNAL"],
    ["a statement that takes too long", "set local statement_timeout = 50; select pg_sleep(2)", "DATABASE_UNAVAILABLE"],
    ["a connection that is ended", "select pg_terminate_backend(pg_backend_pid())", "DATABASE_UNAVAILABLE"],
    ["a number that no column holds", "select 99999999999999999999::bigint", "INVALID_REQUEST"],
  ])("answers %s with a row of the error table and none of its SQL", async (_what, text, type) => {
    // Sequelize tells the console itself when it cannot even roll back.
    jest.spyOn(console, "warn").mockImplementation(() => {});
    const attempt = transaction(db, async (tx) => {
      for (const statement of text.split("; ")) await execute(tx, statement);
    });
    const error: unknown = await attempt.catch((thrown: unknown) => thrown);
    expect(errorType(error)).toBe(type);
    expect(JSON.stringify(error) + String(error)).not.toMatch(/select|nowhere/i);
  });

  it("works again after every connection was lost", async () => {
    await rows(db, "select 1");
    const other = openDatabase(`${database.url}?other`, { connectionsMax: 1 });
    await rows(
      other,
      "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
    );
    await other.query("select 1");
    expect(await eventually(async () => await rows(db, "select 1"))).toHaveLength(1);
  });

  it("answers that the database is not there when it is not", async () => {
    const nowhere = openDatabase("postgres://nobody@127.0.0.1:9/tube", { connectionsMax: 1 });
    const error: unknown = await rows(nowhere, "select 1").catch((thrown: unknown) => thrown);
    expect(errorType(error)).toBe("DATABASE_UNAVAILABLE");
  });

  it("gives every service of a process the same pool until that is closed", async () => {
    expect(openDatabase(database.url, { connectionsMax: 4 })).toBe(db);
    await closeDatabase();
    expect(openDatabase(database.url, { connectionsMax: 4 })).not.toBe(db);
  });
});
