/** A small file of the disk's own that is replaced as a whole, by one after the other. */
import { basename, join } from "node:path";
import type { DiskFolder } from "./folder.ts";
import { replaceFile } from "./io.ts";

export class SavedFile {
  readonly #folder: DiskFolder;
  readonly #path: string;
  #last: Promise<void> = Promise.resolve();

  constructor(folder: DiskFolder, path: string) {
    this.#folder = folder;
    this.#path = path;
  }

  /** Undefined when there is none yet. */
  async read(): Promise<string | undefined> {
    return await this.#folder.files.readFile(this.#path, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      throw error;
    });
  }

  /** `content` is asked when its turn has come. Done when it is durable. */
  async save(content: () => string): Promise<void> {
    const { files, tmp } = this.#folder;
    const write = async (): Promise<void> => await replaceFile(files, this.#path, join(tmp, basename(this.#path)), content());
    this.#last = this.#last.then(write, write);
    await this.#last;
  }
}
