/** Uploads that an earlier visit left in the middle. The browser forgets the file; its name, its size and the address of the rest are kept here. */

export interface Unfinished {
  readonly name: string;
  readonly size: number;
  readonly lastModified: number;
  readonly address: string;
  readonly sent: number;
  /** ms since 1970 */
  readonly at: number;
}

const KEY = "tritontube.uploads";
/** The server lets go what gets no byte for a day. */
const KEPT_MS = 24 * 3_600_000;
const KEPT_MAX = 100;

export function unfinishedUploads(): readonly Unfinished[] {
  return read().filter(({ at }) => Date.now() - at < KEPT_MS);
}

export function keepUnfinished(upload: Unfinished): void {
  write([upload, ...read().filter(({ address }) => address !== upload.address)].slice(0, KEPT_MAX));
}

export function dropUnfinished(address: string): void {
  write(read().filter((upload) => upload.address !== address));
}

/** Whether this is the file that was being sent: there is nothing else to know it by. */
export function isSameFile(upload: Unfinished, file: File): boolean {
  return upload.name === file.name && upload.size === file.size && upload.lastModified === file.lastModified;
}

/** A browser that keeps nothing, and one whose memory somebody has edited, has no uploads from before. */
function read(): readonly Unfinished[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(kept)
      ? (kept as Unfinished[]).filter(({ name, address }) => typeof name === "string" && typeof address === "string")
      : [];
  } catch {
    return [];
  }
}

function write(uploads: readonly Unfinished[]): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(uploads));
  } catch {
    // Private windows may keep nothing: then an upload goes on only in its own visit.
  }
}
