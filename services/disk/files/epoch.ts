/** The highest epoch of the ring that this disk has seen, in memory and in a file. */
import { join } from "node:path";
import { failure } from "../../kernel/errors.ts";
import type { DiskFolder } from "./folder.ts";
import { replaceFile } from "./io.ts";

export class Epoch {
  readonly #folder: DiskFolder;
  #highest: number;
  #durable: number;
  #saving: Promise<void> | undefined;

  private constructor(folder: DiskFolder, epoch: number) {
    this.#folder = folder;
    this.#highest = epoch;
    this.#durable = epoch;
  }

  static async read(folder: DiskFolder): Promise<Epoch> {
    const content = await folder.files.readFile(folder.epochFile, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return "0";
      throw error;
    });
    const epoch = Number(content.trim() || NaN);
    if (!Number.isSafeInteger(epoch) || epoch < 0) throw new Error(`${folder.epochFile} does not hold an epoch.`);
    return new Epoch(folder, epoch);
  }

  get highest(): number {
    return this.#highest;
  }

  /** Lets a write or a delete planned at `epoch` pass, or throws DISK_STALE_EPOCH. A newer epoch is durable before anything happens under it. */
  async admit(epoch: number): Promise<void> {
    if (epoch < this.#highest) {
      throw failure("DISK_STALE_EPOCH", `The call was planned at epoch ${epoch}; this disk has seen ${this.#highest}.`);
    }
    this.#highest = epoch;
    while (this.#durable < epoch) await (this.#saving ??= this.#save());
  }

  async #save(): Promise<void> {
    const epoch = this.#highest;
    try {
      const { files, epochFile, tmp } = this.#folder;
      await replaceFile(files, epochFile, join(tmp, "epoch"), `${epoch}\n`);
      this.#durable = epoch;
    } finally {
      this.#saving = undefined;
    }
  }
}
