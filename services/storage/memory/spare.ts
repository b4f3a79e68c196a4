/** Memory beyond what everybody has: for whoever comes while there is some. */
export class Spare {
  #free: number;

  constructor(bytes: number) {
    this.#free = bytes;
  }

  /** Answers whether there was as much. */
  take(bytes: number): boolean {
    if (bytes > this.#free) return false;
    this.#free -= bytes;
    return true;
  }

  give(bytes: number): void {
    this.#free += bytes;
  }
}
