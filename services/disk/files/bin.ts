/** A folder of files that were taken out of service: by renaming them into it. They are unlinked when nobody can want them back. */
import { dirname, join } from "node:path";
import { binName, binnedAt } from "../domain/bin.ts";
import { statIfThere, syncFolder } from "./io.ts";
import type { Files } from "./port.ts";

interface Binned {
  readonly name: string;
  readonly atMs: number;
}

export class Bin {
  readonly #files: Files;
  readonly #folder: string;
  readonly #keepMs: number;
  #entries: number;
  #bytes = 0;
  /** Files from before this start, until their sizes are known. */
  readonly #uncounted: Set<string>;

  private constructor(files: Files, folder: string, keepMs: number, found: readonly Binned[]) {
    this.#files = files;
    this.#folder = folder;
    this.#keepMs = keepMs;
    this.#entries = found.length;
    this.#uncounted = new Set(found.map(({ name }) => name));
  }

  static async open(files: Files, folder: string, keepMs: number): Promise<Bin> {
    return new Bin(files, folder, keepMs, await binnedIn(files, folder));
  }

  /** Bytes are those of the files whose size is known: of all, soon after the start. */
  get content(): { readonly files: number; readonly bytes: number } {
    return { files: this.#entries, bytes: this.#bytes };
  }

  /** Takes the file of a chunk out of service. It stays so after a power cut. */
  async take(path: string, { hash, bytes }: { readonly hash: string; readonly bytes: number }): Promise<void> {
    await this.#files.rename(path, join(this.#folder, binName(hash, this.#files.now())));
    this.#entries += 1;
    this.#bytes += bytes;
    await syncFolder(this.#files, dirname(path));
  }

  /** Unlinks what has been here for too long, one file after the other so that reads and writes go first. Answers how many. */
  async sweep(signal: AbortSignal): Promise<number> {
    await this.#countBytes(signal);
    let unlinked = 0;
    for (const { name, atMs } of await binnedIn(this.#files, this.#folder)) {
      if (signal.aborted) break;
      if (this.#files.now() - atMs <= this.#keepMs) continue;
      unlinked += (await this.#unlink(name)) ? 1 : 0;
    }
    return unlinked;
  }

  /** Unlinks the oldest files until there is as much room. Their time is not over, but a new chunk is worth more than a deleted one. */
  async shrink(by: { readonly files: number; readonly bytes: number }): Promise<void> {
    const [files, bytes] = [this.#entries - by.files, this.#bytes - by.bytes];
    for (const { name } of await binnedIn(this.#files, this.#folder)) {
      if (this.#entries <= files && this.#bytes <= bytes) return;
      await this.#unlink(name);
    }
  }

  async #countBytes(signal: AbortSignal): Promise<void> {
    for (const name of this.#uncounted) {
      if (signal.aborted) return;
      const size = Number((await statIfThere(this.#files, join(this.#folder, name)))?.size ?? 0);
      // What was unlinked meanwhile is not to be counted any more.
      if (this.#uncounted.delete(name)) this.#bytes += size;
    }
  }

  async #unlink(name: string): Promise<boolean> {
    const path = join(this.#folder, name);
    const file = await statIfThere(this.#files, path);
    if (!file) return false;
    await this.#files.unlink(path);
    this.#entries -= 1;
    if (!this.#uncounted.delete(name)) this.#bytes -= Number(file.size);
    return true;
  }
}

async function binnedIn(files: Files, folder: string): Promise<Binned[]> {
  const entries = (await files.readdir(folder)).map((name) => ({ name, atMs: binnedAt(name) }));
  return entries.filter((entry): entry is Binned => entry.atMs !== undefined).toSorted((a, b) => a.atMs - b.atMs);
}
