/**
 * A database for each test file, on a real PostgreSQL that needs nothing on this machine. One server serves all files that a Jest worker runs;
 * each file gets a copy of a migrated template, which takes some 40 ms.
 */
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { chmod, mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { startPostgres, type EmbeddedPostgres } from "../../deploy/local/postgres.ts";
import { closeDatabase } from "../../mixins/database/connection.ts";
import { migrate } from "../../mixins/database/migrate.ts";

export interface TestDatabase {
  /** As the role of the services, for what is tested. */
  readonly url: string;
  /** As the owner of the schema, for what a test prepares. */
  readonly ownerUrl: string;
  /** Closes this file's connections to it, and removes it. */
  drop(): Promise<void>;
}

/** A fresh database with the whole schema. */
export async function testDatabase(): Promise<TestDatabase> {
  const template = await migrated();
  return await createDatabase(template, `template ${new URL(template.url).pathname.slice(1)}`);
}

/** A fresh database with nothing in it, for tests of the migrations themselves. */
export async function emptyDatabase(options = ""): Promise<TestDatabase> {
  return await createDatabase(await migrated(), `template template0 ${options}`);
}

let preparing: Promise<EmbeddedPostgres> | undefined;

async function migrated(): Promise<EmbeddedPostgres> {
  preparing ??= server().then(async (postgres) => {
    await migrate(postgres.url, { service: postgres.serviceUrl });
    return postgres;
  });
  return await preparing;
}

async function createDatabase(on: EmbeddedPostgres, options: string): Promise<TestDatabase> {
  const name = `test_${randomUUID().replaceAll("-", "")}`;
  await administer(on.url, `create database ${name} ${options}`);
  const [url, ownerUrl] = [on.serviceUrl, on.url].map((to) => Object.assign(new URL(to), { pathname: `/${name}` }).href) as [
    string,
    string,
  ];
  return {
    url,
    ownerUrl,
    async drop() {
      await Promise.all([closeDatabase(url), closeDatabase(ownerUrl)]);
      await administer(on.url, `drop database ${name} with (force)`);
    },
  };
}

async function administer(url: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: Object.assign(new URL(url), { pathname: "/postgres" }).href });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

/**
 * Jest gives each test file new modules but the same process: the first file starts the server, the others find it by the process id and attach.
 * The server ends with the process, however that ends (deploy/local/postgres/server.ts).
 */
async function server(): Promise<EmbeddedPostgres> {
  const folder = join(tmpdir(), `tritontube-test-${process.pid}`);
  if ((await mkdir(folder, { recursive: true })) !== undefined) {
    await chmod(folder, 0o755);
    removeAfterUs(folder);
  }
  return await startPostgres({ dataDir: folder, log: () => {}, durable: false });
}

/** Waits for the end of this process, which closes the pipe, and then of the server; then removes the folder, and what stands in for it (see findHome). */
const SWEEPER = `
trap "" INT TERM HUP QUIT
cat >/dev/null
tries=0
home="$1/postgres"
[ -f "$1/postgres.location" ] && home=$(cat "$1/postgres.location")
while [ -e "$home/data/postmaster.pid" ] && [ $tries -lt 150 ]; do sleep 0.1; tries=$((tries+1)); done
rm -rf -- "$home" "$1"`;

function removeAfterUs(folder: string): void {
  const sweeper = spawn("/bin/sh", ["-c", SWEEPER, "sh", folder], { detached: true, stdio: ["pipe", "ignore", "ignore"] });
  sweeper.unref();
  (sweeper.stdin as unknown as { unref(): void }).unref();
}
