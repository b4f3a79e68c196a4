/** Which file of a chunk is meant: a chunk that is deleted while somebody stores it again must not lose the new copy. */

/** What a stat of a file says; nanoseconds, since two stores may be within a millisecond. */
export interface FileIdentity {
  readonly ino: bigint;
  readonly ctimeNs: bigint;
}

/**
 * Another one after each change of the file, and after each start of the disk: a power cut may take back the time of a change, and a delete
 * that was planned before it must not pass.
 */
export function versionOf({ ino, ctimeNs }: FileIdentity, start: string): string {
  return `${ino.toString(36)}.${ctimeNs.toString(36)}.${start}`;
}
