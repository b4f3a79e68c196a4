/** What lies where in the bucket, and what the names of chunks mean there. */
import { partitionOf } from "../../../services/kernel/digests.ts";

/** The name of an object. All chunks are in one list, in the order of their names: S3 spreads it by itself. */
export function chunkKey(prefix: string, hash: string): string {
  return `${prefix}chunks/${hash}`;
}

export function quarantineKey(prefix: string, hash: string): string {
  return `${prefix}quarantine/${hash}`;
}

/** Says who the disk is: {id, createdAt}. */
export function identityKey(prefix: string): string {
  return `${prefix}disk.json`;
}

/** The chunk that an object is; undefined for what else lies there. */
export function chunkOf(prefix: string, key: string): string | undefined {
  const hash = key.slice(chunkKey(prefix, "").length);
  return /^[0-9a-f]{64}$/.test(hash) ? hash : undefined;
}

/** The digits that all names of a partition begin with; others may, too, when its bits are not whole digits. */
export function digitsOf(partition: number, bits: number): string {
  const digits = Math.floor(bits / 4);
  return digits === 0 ? "" : (partition >>> (bits - 4 * digits)).toString(16).padStart(digits, "0");
}

export function isIn(hash: string, partition: number, bits: number): boolean {
  return partitionOf(Buffer.from(hash, "hex"), bits) === partition;
}

/** The sums of blocks as text for an object's metadata: 683 of the 2048 bytes that S3 allows, for the largest chunk. */
export function encodeSums(sums: readonly number[]): string {
  return Buffer.from(Uint32Array.from(sums).buffer).toString("base64");
}

export function decodeSums(text: string | undefined): Uint32Array {
  const bytes = Buffer.from(text ?? "", "base64");
  return Uint32Array.from({ length: Math.floor(bytes.length / 4) }, (_, index) => bytes.readUInt32LE(index * 4));
}
