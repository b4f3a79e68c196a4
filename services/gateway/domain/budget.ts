/** A number of bytes that many share. Nobody waits for it: who finds too little left is told so. */
import { failure } from "../../kernel/errors.ts";

export class Budget {
  #left: number;

  constructor(bytes: number) {
    this.#left = bytes;
  }

  /** TOO_BUSY when less is left. */
  take(bytes: number): void {
    if (bytes > this.#left) throw failure("TOO_BUSY", `Of the memory for answers, ${this.#left} bytes are left; this one has ${bytes}.`);
    this.#left -= bytes;
  }

  give(bytes: number): void {
    this.#left += bytes;
  }
}
