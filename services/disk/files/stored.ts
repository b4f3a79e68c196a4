/** One chunk open for reading. It can be read to its end although it is deleted meanwhile: the file stays until it is closed. */
import { failure } from "../../kernel/errors.ts";
import { readFully } from "./io.ts";
import type { Files, FileStats, OpenFile } from "./port.ts";

export class StoredChunk {
  readonly hash: string;
  /** Bytes. */
  readonly size: number;
  /** Tells this file from another one of the same name. */
  readonly inode: bigint;
  readonly #file: OpenFile;

  private constructor(hash: string, file: OpenFile, stats: FileStats) {
    this.hash = hash;
    this.#file = file;
    this.size = Number(stats.size);
    this.inode = stats.ino;
  }

  static async open(files: Files, hash: string, path: string): Promise<StoredChunk> {
    const file = await files.open(path, "r").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") throw failure("CHUNK_NOT_FOUND", `Chunk ${hash} is not on this disk.`, { cause: error });
      throw error;
    });
    try {
      return new StoredChunk(hash, file, await file.stat({ bigint: true }));
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Fills `buffer` from `position` on. CHUNK_CORRUPT when the medium does not give the bytes. */
  async read(buffer: Uint8Array, position: number): Promise<void> {
    const count = await readFully(this.#file, buffer, position).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EIO") throw error;
      throw failure("CHUNK_CORRUPT", `The medium does not give the bytes of chunk ${this.hash}.`, { cause: error });
    });
    if (count !== buffer.length) throw failure("CHUNK_CORRUPT", `The file of chunk ${this.hash} is shorter than it was.`);
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}
