/** What an error of the operating system means to a caller. */
import type { ErrorType } from "../../kernel/errors.ts";

const FAULTS: Readonly<Record<string, ErrorType>> = {
  ENOSPC: "DISK_FULL",
  EDQUOT: "DISK_FULL",
  // A limit on the size of files (ulimit -f): chunks are small, so an operator drew it.
  EFBIG: "DISK_FULL",
  // The medium or the mount is broken: another disk can help, this one cannot.
  EIO: "DISK_UNAVAILABLE",
  EROFS: "DISK_UNAVAILABLE",
  ENXIO: "DISK_UNAVAILABLE",
  ENODEV: "DISK_UNAVAILABLE",
  // Out of file descriptors.
  EMFILE: "TOO_BUSY",
  ENFILE: "TOO_BUSY",
};

/** The row of the error table for an errno word; undefined for what is a mistake of this program. */
export function faultOf(error: unknown): ErrorType | undefined {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  return code === undefined ? undefined : FAULTS[code];
}
