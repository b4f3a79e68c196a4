/** How many chunks there are, what they take, and which are certainly not there. Names are counted before the disk listens; sizes afterwards, a 256th part at a time. */
import { join } from "node:path";
import { Names } from "../domain/names.ts";
import { folderName, folderNumberOf, OUTER_FOLDERS } from "../domain/partition.ts";
import { statIfThere } from "./io.ts";
import { allNames, chunksBelow, type FoundChunk } from "./listing.ts";
import type { Files } from "./port.ts";

/** Runs work while nobody changes the chunk of this name. */
type InTurn = (hash: string, work: () => Promise<number>) => Promise<number>;

export class Census {
  readonly #files: Files;
  readonly #root: string;
  readonly #names: Names;
  #chunks: number;
  #bytes = 0;
  /** Outer folders before this one are counted, and kept up to date. */
  #next = 0;
  /** What happened in the folder that is being counted, since that began: the length of each chunk that came, 0 for one that went. */
  readonly #meanwhile = new Map<string, number>();

  private constructor(files: Files, root: string, { names, chunks }: { readonly names: Names; readonly chunks: number }) {
    this.#files = files;
    this.#root = root;
    this.#names = names;
    this.#chunks = chunks;
  }

  static async of(files: Files, root: string): Promise<Census> {
    const names = new Names();
    let chunks = 0;
    for await (const some of allNames(files, root)) {
      some.forEach((hash) => names.add(hash));
      chunks += some.length;
    }
    return new Census(files, root, { names, chunks });
  }

  get chunks(): number {
    return this.#chunks;
  }

  /** What the chunks take, of which the sizes are known so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** False only for a chunk that was not there at the start, and has not been added since: this process alone has the folder. */
  mayHold(hash: string): boolean {
    return this.#names.mayHave(hash);
  }

  added(hash: string, bytes: number): void {
    this.#names.add(hash);
    this.#chunks += 1;
    this.#change(hash, bytes, bytes);
  }

  removed(hash: string, bytes: number): void {
    this.#chunks -= 1;
    this.#change(hash, -bytes, 0);
  }

  /**
   * Counts sizes, one file after the other: uploads and reads go first. Each is looked at in the turn of its chunk: between the end of a file and
   * the word of it, it would not be counted, and be taken off all the same.
   */
  async countBytes(signal: AbortSignal, inTurn: InTurn): Promise<void> {
    while (this.#next < OUTER_FOLDERS && !signal.aborted) {
      this.#meanwhile.clear();
      const sizes = await this.#sizesOf(await chunksBelow(this.#files, join(this.#root, folderName(this.#next))), inTurn);
      for (const [hash, bytes] of this.#meanwhile) sizes.set(hash, bytes);
      for (const bytes of sizes.values()) this.#bytes += bytes;
      this.#next += 1;
    }
  }

  async #sizesOf(chunks: readonly FoundChunk[], inTurn: InTurn): Promise<Map<string, number>> {
    const sizes = new Map<string, number>();
    for (const { name, folder } of chunks) {
      sizes.set(name, await inTurn(name, async () => Number((await statIfThere(this.#files, join(folder, name)))?.size ?? 0)));
    }
    return sizes;
  }

  #change(hash: string, difference: number, bytes: number): void {
    const outer = folderNumberOf(hash) >> 8;
    if (outer < this.#next) this.#bytes += difference;
    else if (outer === this.#next) this.#meanwhile.set(hash, bytes);
  }
}
