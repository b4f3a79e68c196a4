/** Where the cluster is kept, and as whom PostgreSQL runs: it refuses to run as root. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, mkdir, readFile, realpath, rmdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

/** Open to every user by custom, which a folder in somebody's home is not. */
const STATE_DIR = "/var/lib/tritontube";
/** Folders that root makes on the way to the cluster: others may pass, not look. */
const PASSABLE = 0o711;

/** Whom child processes run as; without ids it is the user of this process. */
export interface ProcessUser {
  readonly uid?: number;
  readonly gid?: number;
}

export interface Home {
  /** Holds `data/`, `run/`, `password` and `password.service`. */
  readonly dir: string;
  readonly user: ProcessUser;
}

/**
 * Finds the folder of the cluster: `<dataDir>/postgres`, or one below /var/lib/tritontube when the user that stands in for root cannot enter that.
 * The choice is kept in `<dataDir>/postgres.location`, so that a moved data folder finds its database again.
 */
export async function findHome(dataDir: string, log: (message: string) => void): Promise<Home> {
  await mkdir(dataDir, { recursive: true });
  const root = await realpath(dataDir);
  const pointer = join(root, "postgres.location");
  const elsewhere = await chosenBefore(pointer);
  const dir = elsewhere ?? join(root, "postgres");
  await mkdir(dir, { recursive: true, mode: 0o755 });
  const user = await userFor(dir);
  if (await canEnter(dir, user)) return { dir, user };
  if (elsewhere !== undefined || existsSync(join(dir, "data"))) {
    throw new Error(
      `User id ${user.uid}, which owns the database in ${dir}, cannot enter that folder: allow it (chmod o+x) on the way there.`,
    );
  }
  await rmdir(dir);
  return { dir: await settleElsewhere(root, pointer, log), user };
}

async function chosenBefore(pointer: string): Promise<string | undefined> {
  if (!existsSync(pointer)) return undefined;
  const dir = (await readFile(pointer, "utf8")).trim();
  if (existsSync(dir)) return dir;
  throw new Error(
    `The database is kept in ${dir}, says ${pointer}, but it is not there. Bring it back, or remove that file to begin with an empty one.`,
  );
}

async function settleElsewhere(dataDir: string, pointer: string, log: (message: string) => void): Promise<string> {
  const dir = join(STATE_DIR, createHash("sha256").update(dataDir).digest("hex").slice(0, 12));
  await mkdir(dir, { recursive: true });
  await chmod(STATE_DIR, PASSABLE);
  await chmod(dir, PASSABLE);
  await writeFile(pointer, `${dir}\n`, { flush: true });
  log(`PostgreSQL does not run as root, and no other user can enter ${dataDir}: the database is kept in ${dir}`);
  return dir;
}

/** Root gives way to the owner of the cluster, and for a new one to `postgres` or `nobody`: initdb needs an entry in /etc/passwd, the server does not. */
async function userFor(dir: string): Promise<ProcessUser> {
  const mine = process.getuid?.();
  const data = join(dir, "data");
  const owner = existsSync(data) ? await stat(data) : undefined;
  if (mine !== 0) {
    if (owner && mine !== undefined && owner.uid !== mine) {
      throw new Error(`The database in ${data} belongs to user id ${owner.uid}: start TritonTube as that user, or as root.`);
    }
    return {};
  }
  return owner && owner.uid !== 0 ? { uid: owner.uid, gid: owner.gid } : await standIn();
}

async function standIn(): Promise<ProcessUser> {
  const entries = (await readFile("/etc/passwd", "utf8")).split("\n").map((line) => line.split(":"));
  const entry = entries.find(([name]) => name === "postgres") ?? entries.find(([name]) => name === "nobody");
  if (!entry) {
    throw new Error(
      "PostgreSQL does not run as root, and there is no user `postgres` or `nobody`: start TritonTube as another user, or set DATABASE_URL.",
    );
  }
  return { uid: Number(entry[2]), gid: Number(entry[3]) };
}

/** Asked by doing it, as that user: modes, lists of access and mounts all have a say. */
async function canEnter(dir: string, user: ProcessUser): Promise<boolean> {
  if (user.uid === undefined) return true;
  try {
    await promisify(execFile)("/bin/sh", ["-c", 'cd -- "$1"', "sh", dir], { ...user, cwd: "/" });
    return true;
  } catch {
    return false;
  }
}
