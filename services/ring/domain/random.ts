/** Chance that is the same in every process: what looks random follows from the input alone. */
import { hash } from "node:crypto";

/** Numbers from 0 (inclusive) to 1 (exclusive): mulberry32, whose 32 bits of state and one multiplication a step are all that tie-breaks need. */
export type Random = () => number;

export function randomFrom(seed: string): Random {
  let state = bitsOf(seed);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    return scramble(state) / 2 ** 32;
  };
}

/** The same order for the same generator: Fisher and Yates, in place. */
export function shuffle(items: Int32Array, random: Random): Int32Array {
  for (let last = items.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [items[last], items[other]] = [items[other]!, items[last]!];
  }
  return items;
}

/** 32 well mixed bits of a text. */
export function bitsOf(text: string): number {
  return hash("sha256", text, "buffer").readInt32BE(0);
}

/** Spreads every bit of a number over 32 bits, unsigned (the finaliser of mulberry32). */
export function scramble(bits: number): number {
  let mixed = Math.imul(bits ^ (bits >>> 15), bits | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return (mixed ^ (mixed >>> 14)) >>> 0;
}
