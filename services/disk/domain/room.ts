/** Whether a chunk is let in. Node cannot allocate a file's space in advance, so room is counted before the first byte. */

export interface Room {
  /** What the filesystem would give to this process. */
  readonly freeBytes: number;
  /** Never used. */
  readonly reserveBytes: number;
  /** Declared by writes that have not ended yet; part of it may be on the disk already, which errs on the safe side. */
  readonly promisedBytes: number;
  /** Files that the filesystem could still make; undefined when it knows no such limit. */
  readonly freeFiles: number | undefined;
}

/** Files kept free for temporary files, folders, and whatever else lives on the filesystem. */
const FREE_FILES_MIN = 1024;

/** What further chunks may take, bytes. */
export function roomLeft(room: Room): number {
  if (room.freeFiles !== undefined && room.freeFiles < FREE_FILES_MIN) return 0;
  return Math.max(0, room.freeBytes - room.reserveBytes - room.promisedBytes);
}
