/** How many chunks of this disk were bad: since its first start, in a file, and since this one. */
import type { DiskFolder } from "./folder.ts";
import { SavedFile } from "./saved.ts";

export class Faults {
  readonly #file: SavedFile;
  readonly #before: number;
  #sinceStart = 0;

  private constructor(file: SavedFile, before: number) {
    this.#file = file;
    this.#before = before;
  }

  static async read(folder: DiskFolder): Promise<Faults> {
    const file = new SavedFile(folder, folder.faultsFile);
    // A figure for an operator: a damaged one is no reason not to serve.
    return new Faults(file, Number.parseInt((await file.read()) ?? "0", 10) || 0);
  }

  get sinceStart(): number {
    return this.#sinceStart;
  }

  get ever(): number {
    return this.#before + this.#sinceStart;
  }

  /** Counts one more. A medium that does not take the figure now may take it with the next one. */
  async add(): Promise<void> {
    this.#sinceStart += 1;
    await this.#file.save(() => `${this.ever}\n`).catch(() => undefined);
  }
}
