/** Copies that owners should have and have not. */

export interface MissingCopy {
  readonly chunk: string;
  /** Bytes of the chunk. */
  readonly size: number;
  /** Id of the disk that lacks it. */
  readonly disk: string;
}

/** A chunk that is safe, and who has it. */
export interface StoredChunk {
  readonly hash: string;
  readonly size: number;
  readonly disks: readonly string[];
}

/** What the owners of these chunks still lack, each copy once, however often its chunk occurs. */
export function missingCopies(
  chunks: readonly StoredChunk[],
  owners: (chunk: string) => readonly { readonly id: string }[],
): MissingCopy[] {
  const missing = new Map<string, MissingCopy>();
  for (const { hash, size, disks } of chunks) {
    for (const { id } of owners(hash)) {
      if (!disks.includes(id)) missing.set(`${hash}:${id}`, { chunk: hash, size, disk: id });
    }
  }
  return [...missing.values()];
}
