/** The checksums that go along with a part of a chunk: a whole chunk is verified by its name, a part by CRC-32 of each 64 KiB. */
import { crc32 } from "node:zlib";

/** A finer grain would make each read of a part verify less that nobody asked for; 512 bytes of sums are enough for 8 MiB. */
export const BLOCK_BYTES = 64 * 1024;

/** CRC-32 of each block, or of what lies of it in a range of a chunk, of bytes that come in pieces of any length. */
export class BlockSums {
  readonly #sums: number[] = [];
  #current = 0;
  /** Bytes of the block that is under way, those before the range included. */
  #filled: number;
  #open = false;

  /** `start` is where in the chunk the first byte lies. */
  constructor(start = 0) {
    this.#filled = start % BLOCK_BYTES;
  }

  update(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const piece = bytes.subarray(at, at + BLOCK_BYTES - this.#filled);
      this.#current = crc32(piece, this.#current);
      this.#filled += piece.length;
      this.#open = true;
      at += piece.length;
      if (this.#filled === BLOCK_BYTES) this.#close();
    }
  }

  /** The sums of the blocks that have ended. */
  get complete(): readonly number[] {
    return this.#sums;
  }

  /** The sums of all blocks, after the last byte. */
  end(): readonly number[] {
    if (this.#open) this.#close();
    return this.#sums;
  }

  #close(): void {
    this.#sums.push(this.#current);
    this.#current = 0;
    this.#filled = 0;
    this.#open = false;
  }
}

/** How many blocks a range touches. */
export function blocksIn({ start, end }: { readonly start: number; readonly end: number }): number {
  return Math.ceil(end / BLOCK_BYTES) - Math.floor(start / BLOCK_BYTES);
}
