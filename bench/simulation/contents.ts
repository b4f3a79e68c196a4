/** What people upload in a run, and where it lies on a disk. */
import { createHash } from "node:crypto";

/** Where the names of CONTENTS begin: the first of 256 folders in each partition. */
export const FOLDER_BITS = 8;
export const FOLDERS = [0, 128];

/**
 * What people may upload: name of the chunk → bytes. All names lie in one folder of each partition, since a list of a disk looks into every folder
 * where one could lie.
 */
export const CONTENTS: readonly (readonly [string, Buffer])[] = contents();

function contents(): [string, Buffer][] {
  const found: [string, Buffer][] = [];
  for (let number = 0; found.length < 8; number++) {
    const bytes = Buffer.from(`content ${number}`);
    const name = hashOf(bytes);
    if (FOLDERS.includes(Number.parseInt(name.slice(0, 2), 16))) found.push([name, bytes]);
  }
  return found;
}

/** In hexadecimal. */
export function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
