/** Folders of chunks of which something is known. */

/** The folder of all, those of one byte of a hash, and those of two. */
const PLACES = 1 + 0x100 + 0x10000;

/** As much memory for all of them as for one: paths would take 13 MB, bit by bit over months, of which a disk would look as if it leaked. */
export class FolderSet {
  readonly #root: string;
  readonly #in = new Uint8Array(PLACES);

  /** Folders are `root`, `root/ab` and `root/ab/cd` for two or four hexadecimal digits. */
  constructor(root: string) {
    this.#root = root;
  }

  has(folder: string): boolean {
    return this.#in[this.#placeOf(folder)] === 1;
  }

  add(folder: string): void {
    this.#in[this.#placeOf(folder)] = 1;
  }

  delete(folder: string): void {
    this.#in[this.#placeOf(folder)] = 0;
  }

  #placeOf(folder: string): number {
    const [, first, second] = folder.slice(this.#root.length).split("/");
    if (first === undefined) return 0;
    return second === undefined ? 1 + Number.parseInt(first, 16) : 0x101 + Number.parseInt(first + second, 16);
  }
}
