/**
 * The folder of a disk:
 *
 *   disk.json    who this disk is: {id, createdAt}
 *   disk.lock    held by the process that serves the folder
 *   epoch        the highest epoch of the ring that it has seen
 *   chunks/ab/cd/<hash>
 *   tmp/         writes under way; emptied at start
 *   trash/       deleted chunks, unlinked a day later
 *   quarantine/  files that were not what their names said
 */
import { randomUUID } from "node:crypto";
import { readFile, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { uuid } from "../../kernel/schemas.ts";
import { makeFolder, replaceFile, syncFolder } from "./io.ts";

export interface DiskFolder {
  /** The disk's UUID. */
  readonly id: string;
  readonly chunks: string;
  readonly tmp: string;
  readonly trash: string;
  readonly quarantine: string;
  readonly epochFile: string;
  /** Lets another process have the folder. */
  unlock(): void;
}

/** Takes the folder for this process, makes what is missing in it, and sweeps what a former process left half done. */
export async function openFolder(path: string): Promise<DiskFolder> {
  const root = resolve(path);
  if (await makeFolder(root)) await syncFolder(dirname(root));
  const lock = lockFolder(root);
  const folders = {
    chunks: join(root, "chunks"),
    tmp: join(root, "tmp"),
    trash: join(root, "trash"),
    quarantine: join(root, "quarantine"),
  };
  await rm(folders.tmp, { recursive: true, force: true });
  for (const folder of Object.values(folders)) await makeFolder(folder);
  await syncFolder(root);
  const id = (await readIdentity(root)) ?? (await makeIdentity(root, folders.tmp));
  return { id, ...folders, epochFile: join(root, "epoch"), unlock: () => lock.close() };
}

/**
 * An exclusive lock that ends with the process, however it ends: the one that SQLite takes on its file. Node has no file lock of its own, and
 * a file with a process id in it says nothing about another container on the same volume.
 */
function lockFolder(root: string): DatabaseSync {
  const lock = new DatabaseSync(join(root, "disk.lock"));
  try {
    // With its journal in memory no second file lies beside it.
    lock.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
    return lock;
  } catch (error) {
    lock.close();
    throw new Error(`Another process serves ${root} already.`, { cause: error });
  }
}

async function readIdentity(root: string): Promise<string | undefined> {
  const path = join(root, "disk.json");
  const content = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  return content === undefined ? undefined : identityIn(content, path);
}

/** A damaged identity stops the process: under a new one the ring would take this disk for an empty one. */
function identityIn(content: string, path: string): string {
  try {
    return uuid.parse((JSON.parse(content) as { id?: unknown }).id);
  } catch (error) {
    throw new Error(`${path} does not hold the identity of a disk. Restore it from a copy, or move the whole folder away.`, {
      cause: error,
    });
  }
}

async function makeIdentity(root: string, tmp: string): Promise<string> {
  const id = randomUUID();
  const identity = { id, createdAt: new Date().toISOString() };
  await replaceFile(join(root, "disk.json"), join(tmp, "disk.json"), `${JSON.stringify(identity)}\n`);
  return id;
}
