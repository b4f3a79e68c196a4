/**
 * The folder of a disk:
 *
 *   disk.json    who this disk is: {id, createdAt}
 *   disk.lock    held by the process that serves the folder
 *   epoch        the highest epoch of the ring that it has seen
 *   scrub.json   where the scrub is
 *   faults       how many of its chunks were bad
 *   chunks/ab/cd/<hash>
 *   sums/ab/<hash>   checksums of its blocks: can be made again
 *   tmp/         writes under way; emptied at start
 *   trash/       deleted chunks, unlinked a day later
 *   quarantine/  files that were not what their names said
 */
import { randomUUID } from "node:crypto";
import { dirname, join, resolve } from "node:path";
import { uuid } from "../../kernel/schemas.ts";
import { makeFolder, replaceFile, syncFolder } from "./io.ts";
import type { Files } from "./port.ts";

export interface DiskFolder {
  /** The disk's UUID. */
  readonly id: string;
  readonly files: Files;
  readonly chunks: string;
  readonly sums: string;
  readonly tmp: string;
  readonly trash: string;
  readonly quarantine: string;
  readonly epochFile: string;
  readonly faultsFile: string;
  readonly scrubFile: string;
  /** Lets another process have the folder. */
  unlock(): void;
}

/** Takes the folder for this process, makes what is missing in it, and sweeps what a former process left half done. */
export async function openFolder(files: Files, path: string): Promise<DiskFolder> {
  const root = resolve(path);
  if (await makeFolder(files, root)) await syncFolder(files, dirname(root));
  const lock = files.lock(root);
  const folders = {
    chunks: join(root, "chunks"),
    sums: join(root, "sums"),
    tmp: join(root, "tmp"),
    trash: join(root, "trash"),
    quarantine: join(root, "quarantine"),
  };
  await files.rm(folders.tmp, { recursive: true, force: true });
  for (const folder of Object.values(folders)) await makeFolder(files, folder);
  await syncFolder(files, root);
  const id = (await readIdentity(files, root)) ?? (await makeIdentity(files, root, folders.tmp));
  return {
    id,
    files,
    ...folders,
    epochFile: join(root, "epoch"),
    faultsFile: join(root, "faults"),
    scrubFile: join(root, "scrub.json"),
    unlock: () => lock.close(),
  };
}

async function readIdentity(files: Files, root: string): Promise<string | undefined> {
  const path = join(root, "disk.json");
  const content = await files.readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
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

async function makeIdentity(files: Files, root: string, tmp: string): Promise<string> {
  const id = randomUUID();
  const identity = { id, createdAt: new Date().toISOString() };
  await replaceFile(files, join(root, "disk.json"), join(tmp, "disk.json"), `${JSON.stringify(identity)}\n`);
  return id;
}
