/** The cluster on disk: made once by initdb, and the same version ever after. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { chown, mkdir, open, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { secretFile } from "../secret.ts";
import { environment, type Binaries } from "./binaries.ts";
import type { Home, ProcessUser } from "./home.ts";

export const SUPERUSER = "postgres";

export interface Cluster {
  readonly data: string;
  /** A folder of the database's user, for what the server writes beside its data. */
  readonly run: string;
  /** Of the superuser. */
  readonly password: string;
  /** Of the role that services use. */
  readonly servicePassword: string;
}

export interface ClusterOptions {
  readonly home: Home;
  readonly binaries: Binaries;
  /** false: nothing waits for the disk, for tests. */
  readonly durable: boolean;
}

/** Opens the cluster of a home, and makes it at the first call. */
export async function openCluster(options: ClusterOptions): Promise<Cluster> {
  const { dir, user } = options.home;
  const cluster = {
    data: join(dir, "data"),
    run: join(dir, "run"),
    password: await secretFile(join(dir, "password")),
    servicePassword: await secretFile(join(dir, "password.service")),
  };
  await ownFolder(cluster.run, user);
  if (!isCluster(cluster.data)) await makeCluster(cluster, options);
  const version = (await readFile(join(cluster.data, "PG_VERSION"), "utf8")).trim();
  if (version === options.binaries.major) return cluster;
  throw new Error(
    `The database in ${cluster.data} was made by PostgreSQL ${version}, and ${options.binaries.major} is installed: dump it with the former, then restore it.`,
  );
}

function isCluster(data: string): boolean {
  return existsSync(join(data, "PG_VERSION"));
}

async function ownFolder(dir: string, user: ProcessUser): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await own(dir, user);
}

async function own(path: string, { uid, gid }: ProcessUser): Promise<void> {
  if (uid !== undefined && gid !== undefined) await chown(path, uid, gid);
}

/** Made under another name and renamed when complete, so that a crash leaves no half cluster and of several starters one wins. */
async function makeCluster(cluster: Cluster, options: ClusterOptions): Promise<void> {
  const { dir, user } = options.home;
  await removeAbandonedDrafts(dir);
  const draft = join(dir, `data.draft-${process.pid}`);
  await ownFolder(draft, user);
  await initialise(draft, cluster, options);
  await rename(draft, cluster.data).catch(async (error: NodeJS.ErrnoException) => {
    await rm(draft, { recursive: true, force: true });
    if (!isCluster(cluster.data)) throw error;
  });
  await syncFolder(dir);
}

async function initialise(draft: string, cluster: Cluster, { home, binaries, durable }: ClusterOptions): Promise<void> {
  const passwordFile = join(cluster.run, `password-${process.pid}`);
  await writeFile(passwordFile, cluster.password, { mode: 0o600 });
  await own(passwordFile, home.user);
  // The C locale with UTF-8 from PostgreSQL itself sorts the same on every platform.
  const locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"];
  const access = [`--username=${SUPERUSER}`, "--auth=scram-sha-256", `--pwfile=${passwordFile}`];
  try {
    const args = ["-D", draft, ...access, ...locale, "--no-instructions", ...(durable ? [] : ["--no-sync"])];
    await promisify(execFile)(binaries.initdb, args, { ...home.user, cwd: "/", env: environment });
  } finally {
    await rm(passwordFile, { force: true });
  }
}

/** A number may come back in a container: what bears our own is left over from an earlier life. */
async function removeAbandonedDrafts(dir: string): Promise<void> {
  for (const name of await readdir(dir)) {
    const maker = Number(/^data\.draft-(\d+)$/.exec(name)?.[1]);
    if (maker === process.pid || (maker > 0 && !exists(maker))) await rm(join(dir, name), { recursive: true, force: true });
  }
}

function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

async function syncFolder(dir: string): Promise<void> {
  const folder = await open(dir);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
