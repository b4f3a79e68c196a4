import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmod, chown, mkdir, mkdtemp, readFile, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Writable } from "node:stream";
import { Client } from "pg";
import { startPostgres, type EmbeddedPostgres } from "../../deploy/local/postgres.ts";
import { eventually } from "../support/eventually.ts";
import { describeAsRoot, NOBODY } from "../support/root.ts";

const project = join(import.meta.dirname, "../..");

/** What else may be alive at the end of a test, to be ended by its number. */
let leftOver: ChildProcess[];
let folder: string;

beforeEach(async () => {
  leftOver = [];
  folder = await mkdtemp(join(tmpdir(), "tritontube-postgres-"));
  await chmod(folder, 0o755);
});
afterEach(async () => {
  for (const child of leftOver) if (child.exitCode === null) child.kill("SIGKILL");
  await eventually(async () => (await serversIn(folder)).length === 0, { what: "the end of the server" });
  await rm(folder, { recursive: true, force: true });
});

/** Processes that name the folder: a server, or the shell that keeps it. */
async function serversIn(dir: string): Promise<number[]> {
  const ids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(ids.map(async (id) => await readFile(`/proc/${id}/cmdline`, "utf8").catch(() => "")));
  return ids.filter((_, at) => lines[at]?.includes(`${dir}/`) && lines[at].includes("postgres\0-D")).map(Number);
}

async function start(dataDir = folder, said: string[] = []): Promise<EmbeddedPostgres> {
  return await startPostgres({ dataDir, log: (message) => said.push(message) });
}

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  client.on("error", () => {});
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

interface Holder {
  readonly child: ChildProcess;
  readonly url: string;
  readonly pid: number;
}

/** Another process that starts the database, like `npm start`. */
async function holder(user: { uid?: number; gid?: number } = {}): Promise<Holder> {
  const code = `import { startPostgres } from ${JSON.stringify(join(project, "deploy/local/postgres.ts"))};
    const { url, pid } = await startPostgres({ dataDir: ${JSON.stringify(folder)}, log() {} });
    process.on("SIGINT", () => {});
    setInterval(() => {}, 1000);
    console.log(JSON.stringify({ url, pid }));`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], {
    ...user,
    cwd: "/",
    env: { PATH: process.env["PATH"] },
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  leftOver.push(child);
  const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
  return { child, ...(JSON.parse(line) as { url: string; pid: number }) };
}

async function killed(child: ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  await once(child, "exit");
}

function killNow(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    // The end of one may have been the end of another already.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** Writes until the server is gone; answers the numbers whose commit was acknowledged. */
async function write(url: string, writer: number, acknowledged: number[]): Promise<void> {
  const client = new Client({ connectionString: url });
  client.on("error", () => {});
  await client.connect();
  try {
    for (let n = writer; ; n += 4) {
      await client.query("insert into kept values ($1)", [n]);
      acknowledged.push(n);
    }
  } catch {
    await client.end().catch(() => {});
  }
}

async function missing(url: string, acknowledged: readonly number[]): Promise<number[]> {
  const kept = new Set((await query(url, "select n from kept")).map((row) => (row as { n: number }).n));
  return acknowledged.filter((n) => !kept.has(n));
}

/** A process that has ended and that its parent does not ask for. */
async function zombie(): Promise<number> {
  const parent = spawn("/bin/sh", ["-c", "cat <&3 & echo $!; exec sleep 60"], { stdio: ["ignore", "pipe", "inherit", "pipe"] });
  leftOver.push(parent);
  const [line] = (await once(createInterface({ input: parent.stdout! }), "line")) as [string];
  // A shell would ask for it.
  await eventually(async () => (await readFile(`/proc/${parent.pid}/comm`, "utf8")).startsWith("sleep"));
  (parent.stdio[3] as Writable).end();
  await eventually(async () => / Z /.test(await readFile(`/proc/${line}/stat`, "utf8")));
  return Number(line);
}

describe("the embedded PostgreSQL", () => {
  it("starts in an empty folder, ends without a trace in the process table, and knows everything at the next start", async () => {
    const first = await start();
    await query(first.url, "create table kept (n int)");
    await query(first.url, "insert into kept values (7)");
    expect(await query(first.url, "show fsync")).toEqual([{ fsync: "on" }]);
    expect((await stat(join(folder, "postgres/password"))).mode & 0o777).toBe(0o600);
    await first.stop();
    expect(await serversIn(folder)).toEqual([]);
    const second = await start();
    expect(await query(second.url, "select n from kept")).toEqual([{ n: 7 }]);
    expect(await query(second.url, "select count(*)::int as n from pg_stat_database where datname = 'tritontube'")).toEqual([{ n: 1 }]);
    await second.stop();
  });

  it("ends with the process that started it, however that ended, and has lost no committed row", async () => {
    const killing = await holder();
    await query(killing.url, "create table kept (n int)");
    const acknowledged: number[] = [];
    const writers = [0, 1, 2, 3].map((writer) => write(killing.url, writer, acknowledged));
    await eventually(() => acknowledged.length > 200);
    await killed(killing.child);
    await Promise.all(writers);
    await eventually(async () => (await serversIn(folder)).length === 0, { what: "the end of the orphan" });

    const next = await start();
    expect(await missing(next.url, acknowledged)).toEqual([]);
    await next.stop();
  });

  it("starts again after everything was killed at once, and has lost no committed row", async () => {
    const killing = await holder();
    await query(killing.url, "create table kept (n int)");
    const acknowledged: number[] = [];
    const writers = [0, 1, 2, 3].map((writer) => write(killing.url, writer, acknowledged));
    await eventually(() => acknowledged.length > 200);
    const ids = await serversIn(folder);
    expect(ids).toContain(killing.pid);
    for (const id of [killing.pid, ...ids, killing.child.pid!]) killNow(id);
    await Promise.all(writers);

    const next = await start();
    expect(await missing(next.url, acknowledged)).toEqual([]);
    await next.stop();
  });

  it("serves several processes that start at once as one, and ends with the one that started it", async () => {
    const holders = await Promise.all([holder(), holder(), holder()]);
    expect(new Set(holders.map(({ pid, url }) => `${pid} ${url}`)).size).toBe(1);
    const attached = await start();
    expect(attached.pid).toBe(holders[0].pid);
    await attached.stop();
    expect(await query(attached.url, "select 1 as n")).toEqual([{ n: 1 }]);
    for (const { child } of holders) await killed(child);
  });

  it("goes on when ctrl-C reaches the whole process group, since services are still finishing", async () => {
    const { child, url } = await holder();
    process.kill(-child.pid!, "SIGINT");
    expect(await query(url, "select pg_sleep(0.2), 1 as n")).toEqual([{ pg_sleep: "", n: 1 }]);
    await killed(child);
  });

  it("tells when it ends although nobody stopped it", async () => {
    const postgres = await start();
    const told = new Promise<void>((resolve) => postgres.onExit(resolve));
    process.kill(postgres.pid, "SIGKILL");
    await told;
    const next = await start();
    next.onExit(() => leftOver.push(new Error("told of a stop that was wanted") as never));
    await next.stop();
    expect(leftOver).toEqual([]);
  });

  it.each([
    ["another program", async () => await Promise.resolve(process.pid)],
    ["a zombie", zombie],
  ])("takes the lock of a dead server over although its number belongs to %s now", async (_what, makePid) => {
    await (await start()).stop();
    const pid = await makePid();
    const data = join(folder, "postgres/data");
    await writeFile(join(data, "postmaster.pid"), `${pid}\n${data}\n1\n1\n\n127.0.0.1\n  1 1\nready\n`);
    const said: string[] = [];
    const next = await start(folder, said);
    expect(said).toEqual([`PostgreSQL had ended without saying so (process ${pid}): it recovers now`]);
    await next.stop();
  });

  it("says what is wrong when the data is another version's, or the password another cluster's", async () => {
    await (await start()).stop();
    const secret = join(folder, "postgres/password");
    const password = await readFile(secret, "utf8");
    await writeFile(secret, "something else");
    await expect(start()).rejects.toThrow("does not hold the password of that database");
    expect(await serversIn(folder)).toEqual([]);
    await writeFile(secret, password);
    await writeFile(join(folder, "postgres/data/PG_VERSION"), "12\n");
    await expect(start()).rejects.toThrow(/made by PostgreSQL 12, and 18 is installed: dump it/);
  });
});

describeAsRoot("started by root", () => {
  it("runs as another user, who owns its data", async () => {
    const postgres = await start();
    expect((await stat(`/proc/${postgres.pid}`)).uid).not.toBe(0);
    expect((await stat(join(folder, "postgres/data"))).uid).toBe((await stat(`/proc/${postgres.pid}`)).uid);
    await postgres.stop();
  });

  it("keeps its data where that user may go when the folder is root's alone, and finds it again when the folder is moved", async () => {
    const closed = join(folder, "closed");
    await mkdir(closed, { mode: 0o700 });
    const said: string[] = [];
    const first = await start(join(closed, "data"), said);
    const location = (await readFile(join(closed, "data/postgres.location"), "utf8")).trim();
    try {
      expect(said[0]).toContain(`the database is kept in ${location}`);
      expect(location).toMatch(/^\/var\/lib\/tritontube\/[0-9a-f]{12}$/);
      await query(first.url, "create table kept (n int)");
      await first.stop();
      await rename(join(closed, "data"), join(closed, "moved"));
      const again = await start(join(closed, "moved"));
      expect(await query(again.url, "select n from kept")).toEqual([]);
      await again.stop();
    } finally {
      await rm(location, { recursive: true });
    }
    await expect(start(join(closed, "moved"))).rejects.toThrow(`The database is kept in ${location}`);
  });

  it("works the same for a normal user", async () => {
    await chown(folder, NOBODY, NOBODY);
    const { child, url, pid } = await holder({ uid: NOBODY, gid: NOBODY });
    expect(await query(url, "select 1 as n")).toEqual([{ n: 1 }]);
    expect((await stat(`/proc/${pid}`)).uid).toBe(NOBODY);
    await killed(child);
    await eventually(async () => (await serversIn(folder)).length === 0);
    // Root takes over what a user began, as that user.
    const next = await start();
    expect((await stat(`/proc/${next.pid}`)).uid).toBe(NOBODY);
    await next.stop();
  });

  it("refuses a normal user the database of another one", async () => {
    await (await start()).stop();
    await chown(join(folder, "postgres/data"), 12_345, 12_345);
    const code = `import { startPostgres } from ${JSON.stringify(join(project, "deploy/local/postgres.ts"))};
      await startPostgres({ dataDir: ${JSON.stringify(folder)}, log() {} });`;
    const refused = spawnSync(process.execPath, ["--input-type=module", "-e", code], {
      uid: NOBODY,
      gid: NOBODY,
      cwd: "/",
      encoding: "utf8",
    });
    expect(refused.stderr).toContain("belongs to user id 12345: start TritonTube as that user, or as root");
  });
});
