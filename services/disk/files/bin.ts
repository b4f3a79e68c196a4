/** Takes files out of service by renaming them, and unlinks them when nobody can want them back. */
import { opendir, rename, unlink } from "node:fs/promises";
import { join } from "node:path";
import { binName, isOver } from "../domain/bin.ts";

/** Moves the file of a chunk away. Answers false when there is none. */
export async function moveToBin(path: string, bin: string, name: { readonly hash: string; readonly nowMs: number }): Promise<boolean> {
  try {
    await rename(path, join(bin, binName(name.hash, name.nowMs)));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

/** Unlinks what has been in the bin for longer than `keepMs`, one file after the other so that reads and writes go first. Answers how many. */
export async function emptyBin(bin: string, keepMs: number, signal: AbortSignal): Promise<number> {
  let unlinked = 0;
  for await (const entry of await opendir(bin)) {
    if (signal.aborted) break;
    if (!isOver(entry.name, keepMs, Date.now())) continue;
    await unlink(join(bin, entry.name));
    unlinked += 1;
  }
  return unlinked;
}
