/**
 * What two holders of chunks compare before they compare lists: 12 bytes a partition, how many chunks it has (uint32, little endian) and the
 * exclusive or of bytes 8 to 15 of their names. Two sets that differ have the same digest once in 2^64.
 */

export const DIGEST_BYTES = 12;
/** 65 536 partitions: as many as a disk has folders, and enough for 600 disks. */
export const PARTITION_BITS_MAX = 16;

const SUM_AT = 4;
const NAME_AT = 8;

/** The partition of a chunk: the first `bits` bits of its name, 0 to 16. */
export function partitionOf(sha256: Buffer, bits: number): number {
  return sha256.readUInt16BE(0) >>> (PARTITION_BITS_MAX - bits);
}

/** Digests of partitions that hold nothing yet. */
export function emptyDigests(bits: number): Buffer {
  return Buffer.alloc(DIGEST_BYTES << bits);
}

export function addToDigests(digests: Buffer, bits: number, sha256: Buffer): void {
  const at = partitionOf(sha256, bits) * DIGEST_BYTES;
  digests.writeUInt32LE(digests.readUInt32LE(at) + 1, at);
  for (let byte = 0; byte < DIGEST_BYTES - SUM_AT; byte += 1) digests[at + SUM_AT + byte]! ^= sha256[NAME_AT + byte]!;
}
