/** Where a disk and the rows disagree. */
import { DIGEST_BYTES } from "../../kernel/digests.ts";

const EMPTY = Buffer.alloc(DIGEST_BYTES);
const NAME_DIGITS = 64;

interface Digests {
  readonly theirs: Uint8Array;
  /** Of the partitions from `first` on. */
  readonly ours: Uint8Array;
  readonly first: number;
  /** Whether the disk should have a partition. */
  readonly owns: (partition: number) => boolean;
}

/** The partitions among `ours` of which the disk has something else than it should: nothing at all where it is no owner. */
export function differing({ theirs, ours, first, owns }: Digests): number[] {
  return Array.from({ length: ours.length / DIGEST_BYTES }, (_, n) => first + n).filter((partition) => {
    const wanted = owns(partition) ? digestAt(ours, partition - first) : EMPTY;
    return Buffer.compare(digestAt(theirs, partition), wanted) !== 0;
  });
}

/** A name that a chunk of this partition might have. */
export function someNameIn(partition: number, bits: number): string {
  return (partition * 2 ** (16 - bits)).toString(16).padStart(4, "0").padEnd(NAME_DIGITS, "0");
}

function digestAt(digests: Uint8Array, index: number): Uint8Array {
  return digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES);
}
