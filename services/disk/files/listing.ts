/** What lies on the medium, by name and in order: the truth that rows are compared with, so nothing of it is remembered. */
import { join } from "node:path";
import { addToDigests, DIGEST_BYTES, emptyDigests } from "../../kernel/digests.ts";
import { folderName, type foldersOf, OUTER_FOLDERS, partitionsDone } from "../domain/partition.ts";
import type { Files } from "./port.ts";

const CHUNK_NAME = /^[0-9a-f]{64}$/;
/** Folders that are read at once: a quarter of the threads, the others are for uploads and reads. */
const FOLDERS_AT_ONCE = 4;

type Folders = ReturnType<typeof foldersOf>;

/** The names of chunks in these folders that stand behind `after`, in order. */
export async function* namesIn(files: Files, root: string, { first, end }: Folders, after = ""): AsyncGenerator<string> {
  const from = Math.max(first, after === "" ? 0 : Number.parseInt(after.slice(0, 4), 16));
  for (let outer = from >> 8; outer << 8 < end; outer += 1) {
    for (const inner of (await entriesOf(files, join(root, folderName(outer)))).toSorted()) {
      const number = (outer << 8) + Number.parseInt(inner, 16);
      if (!(number >= from && number < end)) continue;
      for (const name of (await chunksIn(files, join(root, folderName(outer), inner))).toSorted()) if (name > after) yield name;
    }
  }
}

/** Digests of all partitions, in pieces as they are complete: one for each outer folder, so that whoever waits sees that it goes on. */
export async function* digestsIn(files: Files, root: string, bits: number): AsyncGenerator<Buffer> {
  const digests = emptyDigests(bits);
  for (let outer = 0, done = 0; outer < OUTER_FOLDERS; outer += 1) {
    for (const { name } of await chunksBelow(files, join(root, folderName(outer)))) addToDigests(digests, bits, Buffer.from(name, "hex"));
    const complete = partitionsDone(outer, bits);
    yield digests.subarray(done * DIGEST_BYTES, complete * DIGEST_BYTES);
    done = complete;
  }
}

/** Names of the chunks two folders below `root`. A million in 65 536 folders take about two seconds, a tenth of what a recursive `opendir` takes. */
export async function* allNames(files: Files, root: string): AsyncGenerator<string[]> {
  for (const outer of await files.readdir(root)) yield (await chunksBelow(files, join(root, outer))).map(({ name }) => name);
}

export interface FoundChunk {
  readonly name: string;
  readonly folder: string;
}

/** All chunks in the folders below an outer one. */
export async function chunksBelow(files: Files, outer: string): Promise<FoundChunk[]> {
  const found: FoundChunk[] = [];
  const folders = await entriesOf(files, outer);
  for (let at = 0; at < folders.length; at += FOLDERS_AT_ONCE) {
    const some = folders.slice(at, at + FOLDERS_AT_ONCE);
    const names = await Promise.all(some.map(async (inner) => await chunksIn(files, join(outer, inner))));
    found.push(...names.flatMap((inFolder, index) => inFolder.map((name) => ({ name, folder: join(outer, some[index]!) }))));
  }
  return found;
}

/** What is not named like a chunk is not one: a file of an operator, a folder that a filesystem made for itself. */
async function chunksIn(files: Files, folder: string): Promise<string[]> {
  return (await entriesOf(files, folder)).filter((name) => CHUNK_NAME.test(name));
}

async function entriesOf(files: Files, folder: string): Promise<string[]> {
  try {
    return await files.readdir(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return [];
    throw error;
  }
}
