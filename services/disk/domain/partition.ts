/** Partitions as folders: a chunk lies in the folder that the first 16 bits of its name say. */
import { failure } from "../../kernel/errors.ts";
import { PARTITION_BITS_MAX } from "../../kernel/digests.ts";

/** Folders below chunks/, each with as many below it. */
export const OUTER_FOLDERS = 256;
/** A message of a thousand is 90 KB; ten of them are a page. */
const LIST_MAX = 10_000;

/** Throws INVALID_REQUEST. */
export function assertBits(bits: number): void {
  if (bits > PARTITION_BITS_MAX) throw failure("INVALID_REQUEST", `A partition has 0 to ${PARTITION_BITS_MAX} bits, not ${bits}.`);
}

/** The folders of a partition, first inclusive, end exclusive. Throws INVALID_REQUEST. */
export function foldersOf({ bits, partition }: { readonly bits: number; readonly partition: number }): { first: number; end: number } {
  assertBits(bits);
  if (partition >= 1 << bits) throw failure("INVALID_REQUEST", `There are ${1 << bits} partitions of ${bits} bits, and no ${partition}.`);
  const width = PARTITION_BITS_MAX - bits;
  return { first: partition << width, end: (partition + 1) << width };
}

/** The number of the folder that a chunk lies in, 0 to 65 535. */
export function folderNumberOf(hash: string): number {
  return Number.parseInt(hash.slice(0, 4), 16);
}

/** How many partitions are complete when the outer folders up to this one, 0 to 255, have been looked at. */
export function partitionsDone(outer: number, bits: number): number {
  return Math.floor(((outer + 1) << bits) / OUTER_FOLDERS);
}

/** "00" to "ff". */
export function folderName(number: number): string {
  return number.toString(16).padStart(2, "0");
}

export function assertLimit(limit: number): void {
  if (limit < 1 || limit > LIST_MAX) throw failure("INVALID_REQUEST", `A list has 1 to ${LIST_MAX} chunks, not ${limit}.`);
}
