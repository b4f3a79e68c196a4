/** The running server: attached to when there is one, started when there is none, and never left behind. */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFile, rename, rm, stat, open } from "node:fs/promises";
import type { Socket } from "node:net";
import { totalmem } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { Client } from "pg";
import { environment, type Binaries } from "./binaries.ts";
import { SUPERUSER, type Cluster } from "./cluster.ts";
import { freePort } from "../free-port.ts";
import { kept } from "../keeper.ts";
import type { ProcessUser } from "./home.ts";

/** Recovery after a crash replays at most max_wal_size: seconds here, more on a slow disk. */
const START_MS = 60_000;
const POLL_MS = 40;
/** How long a lock of a dead process must lie there unchanged before it is removed: another starter may be replacing it. */
const STALE_MS = 300;
const LOG_BYTES_MAX = 4 * 1024 * 1024;
const LOG_TAIL_BYTES = 600;
/** A server that did not come up as it should. */
const GIVE_UP_MS = 5000;
/** What another try may not meet: somebody else's server, or the rest of a killed one, or a port that was taken just now. */
const passing = /lock file "postmaster\.pid" already exists|shared memory block|could not bind/;
/** SQLSTATE "invalid_password". */
const WRONG_PASSWORD = "28P01";

const MB = 1024 * 1024;
/** An eighth of the machine's memory, for disks and conversions need the rest; a page that is not found here costs three times what it costs here. Taken as it is used. */
const BUFFERS_MB = Math.min(1024, Math.max(128, Math.floor(Math.min(process.constrainedMemory() || Infinity, totalmem()) / 8 / MB)));

const settings = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  // POSIX shared memory is 64 MB in a container.
  dynamic_shared_memory_type: "mmap",
  max_connections: "60",
  shared_buffers: `${BUFFERS_MB}MB`,
  max_wal_size: "512MB",
  jit: "off",
  timezone: "UTC",
  log_timezone: "UTC",
  logging_collector: "off",
  log_min_messages: "warning",
};
const careless = { fsync: "off", synchronous_commit: "off", full_page_writes: "off" };

export interface ServerOptions {
  readonly cluster: Cluster;
  readonly binaries: Binaries;
  readonly user: ProcessUser;
  readonly durable: boolean;
  readonly log: (message: string) => void;
  /** To listen on when it is started; a free one when not given. */
  readonly port?: number | undefined;
}

export interface Server {
  readonly pid: number;
  readonly port: number;
  /** The keeper of the server, when this process started it. */
  readonly child?: ChildProcess;
}

interface Lock {
  readonly pid: number;
  readonly port: number;
  readonly ready: boolean;
}

/** Several processes may call this for one cluster at once: one becomes the owner, the others attach. */
export async function attachOrStart(options: ServerOptions): Promise<Server> {
  const deadline = Date.now() + START_MS;
  for (;;) {
    const lock = await readLock(options.cluster);
    const server = lock && (await isAlive(lock.pid)) ? await attach(options, lock, deadline) : await startFresh(options, lock, deadline);
    if (server) return server;
  }
}

/** undefined: not ready yet, look again. */
async function attach({ cluster, log }: ServerOptions, lock: Lock, deadline: number): Promise<Server | undefined> {
  const problem = lock.ready ? await refusal(cluster, lock.port) : "it is still starting";
  if (problem === undefined) {
    log(`PostgreSQL is running already (process ${lock.pid}): using it`);
    return { pid: lock.pid, port: lock.port };
  }
  if (Date.now() > deadline) {
    throw new Error(`PostgreSQL (process ${lock.pid}) holds ${cluster.data} but does not answer: ${problem}. See ${logFile(cluster)}.`);
  }
  await sleep(POLL_MS * 4);
  return undefined;
}

/** undefined: another starter was quicker, or the processes of a killed server are not all gone yet. */
async function startFresh(options: ServerOptions, stale: Lock | undefined, deadline: number): Promise<Server | undefined> {
  if (stale) await removeStaleLock(options, stale);
  const port = options.port ?? (await freePort());
  const child = await launch(options, port);
  try {
    return await readyServer(child, options.cluster, port);
  } catch (error) {
    await endServer(child, GIVE_UP_MS);
    if (!passing.test(await logTail(options.cluster)) || Date.now() > deadline) throw error;
    await sleep(STALE_MS);
    return undefined;
  }
}

async function readyServer(child: ChildProcess, cluster: Cluster, port: number): Promise<Server> {
  const problem = await waitUntilReady(child, cluster, port);
  const lock = await readLock(cluster);
  if (problem !== undefined || !lock) {
    throw new Error(`PostgreSQL did not start: ${problem}. ${logFile(cluster)} ends with:\n${await logTail(cluster)}`);
  }
  // The server must not keep a process alive that has nothing else to do.
  child.unref();
  (child.stdin as Socket).unref();
  return { pid: lock.pid, port, child };
}

async function launch({ cluster, binaries, user, durable }: ServerOptions, port: number): Promise<ChildProcess> {
  const all = Object.entries({ ...settings, ...(durable ? {} : careless), port: String(port) });
  const args = ["-D", cluster.data, ...all.flatMap(([name, value]) => ["-c", `${name}=${value}`])];
  const output = await openLog(cluster, user);
  try {
    const keeper = kept(binaries.postgres, args);
    const child = spawn(keeper.file, [...keeper.args], {
      ...user,
      cwd: "/",
      env: environment,
      detached: true,
      stdio: ["pipe", output.fd, output.fd],
    });
    child.stdin?.on("error", () => {});
    await once(child, "spawn");
    return child;
  } finally {
    await output.close();
  }
}

/** Ends a server that this process started: a fast shutdown, and after `patienceMs` a hard one. */
export async function endServer(child: ChildProcess, patienceMs: number): Promise<void> {
  if (hasEnded(child)) return;
  const ended = once(child, "exit");
  child.ref();
  child.stdin?.end();
  const timer = setTimeout(() => process.kill(-(child.pid ?? 0), "SIGKILL"), patienceMs);
  await ended;
  clearTimeout(timer);
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** What keeps the server from answering; undefined when it answers. */
async function waitUntilReady(child: ChildProcess, cluster: Cluster, port: number): Promise<string | undefined> {
  const deadline = Date.now() + START_MS;
  let problem: string | undefined = "it was not asked";
  while (problem !== undefined && Date.now() < deadline) {
    if (hasEnded(child)) return `it ended with ${child.signalCode ?? `exit code ${child.exitCode}`}`;
    problem = await refusal(cluster, port);
    if (problem !== undefined) await sleep(POLL_MS);
  }
  return problem;
}

/** How to reach a server as its superuser. */
export function connectTo(cluster: Cluster, port: number): Client {
  const client = new Client({
    host: "127.0.0.1",
    port,
    user: SUPERUSER,
    password: cluster.password,
    database: "postgres",
    connectionTimeoutMillis: 2000,
  });
  // Without a listener a lost connection ends the process; whoever waits for an answer is told anyway.
  client.on("error", () => {});
  return client;
}

async function refusal(cluster: Cluster, port: number): Promise<string | undefined> {
  const client = connectTo(cluster, port);
  try {
    await client.connect();
    await client.query("select 1");
    return undefined;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === WRONG_PASSWORD) {
      throw new Error(`The file \`password\` beside ${cluster.data} does not hold the password of that database.`, { cause: error });
    }
    return message;
  } finally {
    await client.end().catch(() => {});
  }
}

async function readLock({ data }: Cluster): Promise<Lock | undefined> {
  try {
    const lines = (await readFile(join(data, "postmaster.pid"), "utf8")).split("\n");
    return { pid: Number(lines[0]), port: Number(lines[3]), ready: lines[7]?.trim() === "ready" };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** PostgreSQL takes a zombie, and any process that got the number of a dead server, for a live one: in a container without an init nobody reaps. */
async function removeStaleLock({ cluster, log }: ServerOptions, stale: Lock): Promise<void> {
  await sleep(STALE_MS);
  const now = await readLock(cluster);
  if (now?.pid !== stale.pid || (await isAlive(stale.pid))) return;
  await rm(join(cluster.data, "postmaster.pid"), { force: true });
  log(`PostgreSQL had ended without saying so (process ${stale.pid}): it recovers now`);
}

async function isAlive(pid: number): Promise<boolean> {
  try {
    return process.platform === "linux" ? await isAliveHere(pid) : await isAliveElsewhere(pid);
  } catch {
    return false;
  }
}

async function isAliveHere(pid: number): Promise<boolean> {
  const [status, commandLine] = await Promise.all([readFile(`/proc/${pid}/stat`, "utf8"), readFile(`/proc/${pid}/cmdline`, "utf8")]);
  return !/\) Z /.test(status) && basename(commandLine.split("\0")[0] ?? "").startsWith("postgres");
}

async function isAliveElsewhere(pid: number): Promise<boolean> {
  const { stdout } = await promisify(execFile)("ps", ["-o", "stat=,comm=", "-p", String(pid)]);
  return /^[^Z\s]\S*\s+(?:\S*\/)?postgres/.test(stdout.trim());
}

function logFile(cluster: Cluster): string {
  return join(cluster.run, "postgres.log");
}

async function openLog(cluster: Cluster, { uid, gid }: ProcessUser): Promise<Awaited<ReturnType<typeof open>>> {
  const path = logFile(cluster);
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  );
  if (size > LOG_BYTES_MAX) await rename(path, `${path}.old`);
  const file = await open(path, "a", 0o600);
  if (uid !== undefined && gid !== undefined) await file.chown(uid, gid);
  return file;
}

async function logTail(cluster: Cluster): Promise<string> {
  return (await readFile(logFile(cluster), "utf8")).slice(-LOG_TAIL_BYTES);
}
