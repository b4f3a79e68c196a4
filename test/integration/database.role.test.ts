/** The role that the services use, on a database of its own: what it may not, how it comes to be, and how an older installation gets it. */
import { spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { Client } from "pg";
import { prepare, migrate } from "../../mixins/database/migrate.ts";
import { migrations } from "../../mixins/database/migrations/index.ts";
import { RIGHTS } from "../../mixins/database/rights.ts";
import { errorType } from "../../services/kernel/errors.ts";
import { emptyDatabase, testDatabase, type TestDatabase } from "../support/postgres.ts";

const names = migrations.map(({ name }) => name);

async function connected<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** The SQLSTATE with which a statement is refused; "done" when it is not. */
async function refusal(client: Client, statement: string): Promise<string> {
  await client.query("begin");
  const state = await client.query(statement).then(
    () => "done",
    ({ code, message }: Error & { code?: string }) => code ?? message,
  );
  await client.query("rollback");
  return state;
}

const as = (url: string, role: string, password: string): string => Object.assign(new URL(url), { username: role, password }).href;

describe("the role of the services", () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await emptyDatabase();
    await prepare({ DATABASE_URL: database.url, DATABASE_OWNER_URL: database.ownerUrl });
  });
  afterAll(async () => await database.drop());

  const DENIED = "42501";
  it.each([
    ["make a table", "create table mine (n integer)"],
    ["make a temporary table", "create temporary table mine (n integer)"],
    ["make a schema", "create schema mine"],
    ["make a function", "create function mine() returns integer language sql return 1"],
    ["make an extension", "create extension pg_trgm"],
    ["make a role", "create role mine superuser"],
    ["become the owner", "set role postgres"],
    ["become a superuser", "alter role current_user superuser"],
    ["drop a table", "drop table audit"],
    ["change a table", "alter table videos add column mine integer"],
    ["switch a trigger off", "alter table segments disable trigger user"],
    ["switch the foreign keys off", "set session_replication_role = replica"],
    ["empty a table", "truncate segments"],
    ["change what was done", "update audit set user_id = null"],
    ["forget what was done", "delete from audit"],
    ["forget a user", "delete from users"],
    ["forget a ring", "delete from rings"],
    ["pretend that a migration was made", "insert into schema_migrations (name, checksum) values ('x', 'x')"],
    ["read a file", "select pg_read_file('/etc/passwd')"],
    ["list a folder", "select pg_ls_dir('.')"],
    ["copy a file into a table", "copy search_vocabulary (word) from '/etc/passwd'"],
    ["copy a table into a file", "copy users to '/tmp/users'"],
    ["run a program", "copy users to program 'cat'"],
    ["take a file as a large object", "select lo_import('/etc/passwd')"],
    ["read the passwords of roles", "select rolpassword from pg_authid"],
    ["change the server's settings", "set log_statement = 'none'"],
  ])("may not %s", async (_, statement) => {
    await connected(database.url, async (client) => expect(await refusal(client, statement)).toBe(DENIED));
    // What is refused to everybody would prove nothing.
    if (!/^(?:create table mine|drop|truncate|delete)/.test(statement)) return;
    await connected(database.ownerUrl, async (client) => expect(await refusal(client, statement)).toBe("done"));
  });

  it("reads every table, writes as many as its statements need, and owns nothing", async () => {
    await connected(database.url, async (client) => {
      const { rows } = await client.query<{ name: string; rights: string[] }>(
        `select relname as name, array(select right_ from unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger', 'maintain']) as right_
           where has_table_privilege(c.oid, right_)) as rights
         from pg_class c where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') order by relname`,
      );
      expect(Object.fromEntries(rows.map(({ name, rights }) => [name, rights]))).toEqual(
        Object.fromEntries(Object.entries(RIGHTS).map(([name, rights]) => [name, ["select", ...rights]])),
      );
      const owned = await client.query("select 1 from pg_shdepend where refobjid = current_user::regrole and deptype = 'o'");
      expect(owned.rowCount).toBe(0);
      expect(
        (
          await client.query(
            "select rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls as any from pg_roles where rolname = current_user",
          )
        ).rows,
      ).toEqual([{ any: false }]);
    });
  });
});

describe("an installation", () => {
  let database: TestDatabase;
  const made: string[] = [];

  beforeEach(async () => {
    database = await emptyDatabase();
  });
  afterEach(async () => {
    await database.drop();
    await connected(Object.assign(new URL(database.ownerUrl), { pathname: "/postgres" }).href, async (client) => {
      for (const role of made.splice(0)) await client.query(`drop role if exists ${role}`);
    });
  });

  function newRole(): string {
    const role = `role_${randomUUID().replaceAll("-", "")}`;
    made.push(role);
    return role;
  }

  it("that had one role for everything gets the lesser one when its owner is named, with its password, and keeps its rows", async () => {
    const role = newRole();
    await migrate(database.ownerUrl, { to: names.at(-2)! });
    await connected(
      database.ownerUrl,
      async (client) => await client.query("insert into users (id, name, role) values (gen_random_uuid(), 'ann', 'admin')"),
    );
    const url = as(database.ownerUrl, role, "it's a secret %40");
    expect(await prepare({ DATABASE_URL: url, DATABASE_OWNER_URL: database.ownerUrl })).toEqual([names.at(-1)]);
    await connected(url, async (client) => expect((await client.query("select name from users")).rows).toEqual([{ name: "ann" }]));
    const other = as(database.ownerUrl, role, "another one");
    await prepare({ DATABASE_URL: other, DATABASE_OWNER_URL: database.ownerUrl });
    await connected(other, async (client) => expect(await refusal(client, "drop table users")).toBe("42501"));
  });

  it("works with an owner that is no superuser, and that does not make the role if it may not", async () => {
    const [owner, role] = [newRole(), newRole()];
    await connected(database.ownerUrl, async (client) => {
      await client.query(`create role ${owner} login password 'x'`);
      await client.query(`alter database ${new URL(database.ownerUrl).pathname.slice(1)} owner to ${owner}`);
    });
    const urls = { DATABASE_URL: as(database.ownerUrl, role, "y"), DATABASE_OWNER_URL: as(database.ownerUrl, owner, "x") };
    const refused: unknown = await prepare(urls).catch((error: unknown) => error);
    expect([errorType(refused), String(refused)]).toEqual(["INVALID_REQUEST", expect.stringContaining(`The role ${role} is not there`)]);
    await connected(database.ownerUrl, async (client) => await client.query(`create role ${role} login password 'y'`));
    expect(await prepare(urls)).toEqual([]);
    await connected(urls.DATABASE_URL, async (client) => {
      expect(await refusal(client, "insert into rings select 1, 1::smallint, 1::smallint, '', '{}'")).toBe("done");
      expect(await refusal(client, "drop table rings")).toBe("42501");
    });
  });

  it("whose services do not know the owner waits until the owner has made the schema, and says so when nobody does", async () => {
    const role = newRole();
    const url = as(database.ownerUrl, role, "y");
    await connected(
      database.ownerUrl,
      async (client) => await client.query(`create role ${role} login password 'y'; revoke create on schema public from public`),
    );
    const refused: unknown = await migrate(url, { waitMs: 300 }).catch((error: unknown) => error);
    expect([errorType(refused), String(refused)]).toEqual(["DATABASE_UNAVAILABLE", expect.stringContaining("npm run db:migrate")]);
    const waiting = migrate(url);
    const env = { ...process.env, NODE_OPTIONS: "", DATABASE_URL: url, DATABASE_OWNER_URL: database.ownerUrl };
    const { status, stdout } = spawnSync(process.execPath, [join(import.meta.dirname, "../../mixins/database/main.ts")], {
      env,
      encoding: "utf8",
    });
    expect([status, stdout]).toEqual([0, `migrated: ${names.join(", ")}\n`]);
    expect(await waiting).toEqual([]);
  });
});

it("serves all tests: the database that they get is used as that role", async () => {
  const database = await testDatabase();
  try {
    await connected(database.url, async (client) => expect(await refusal(client, "create table mine (n integer)")).toBe("42501"));
  } finally {
    await database.drop();
  }
});
