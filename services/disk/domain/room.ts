/** Whether a chunk is let in. Node cannot allocate a file's space in advance, so room is counted before the first byte. */

import { CHUNK_BYTES_MAX } from "../../kernel/limits.ts";

export interface Room {
  /** What the filesystem would give to this process. */
  readonly freeBytes: number;
  /** What the trash would give back when it is emptied early. */
  readonly trash: { readonly files: number; readonly bytes: number };
  /** Never used. */
  readonly reserveBytes: number;
  /** Declared by writes that have not ended yet; part of it may be on the disk already, which errs on the safe side. */
  readonly promisedBytes: number;
  /** Files that the filesystem could still make; undefined when it knows no such limit. */
  readonly freeFiles: number | undefined;
}

/** Files kept free for temporary files, folders, and whatever else lives on the filesystem. */
const FREE_FILES_MIN = 1024;

/** What further chunks may take, bytes. The trash gives way to them. */
export function roomLeft(room: Room): number {
  if (filesLeft(room) < 0) return 0;
  return Math.max(0, room.freeBytes + room.trash.bytes - room.reserveBytes - room.promisedBytes);
}

/** What must leave the trash before a chunk of `size` bytes finds room. */
export function lacking(room: Room, size: number): { readonly files: number; readonly bytes: number } {
  return {
    files: Math.max(0, FREE_FILES_MIN - (room.freeFiles ?? Infinity)),
    bytes: Math.max(0, size - (room.freeBytes - room.reserveBytes - room.promisedBytes)),
  };
}

/** Files that can be made above those that are kept free. */
function filesLeft(room: Room): number {
  return (room.freeFiles ?? Infinity) + room.trash.files - FREE_FILES_MIN;
}

/** Why a disk takes no more chunks, or an empty string: less than the largest chunk fits, or no more files. */
export function whyReadOnly(room: Room): string {
  if (filesLeft(room) < 0) return `The filesystem can make only ${room.freeFiles} more files.`;
  const left = roomLeft(room);
  return left < CHUNK_BYTES_MAX ? `${left} bytes are left above the reserve of ${room.reserveBytes}.` : "";
}
