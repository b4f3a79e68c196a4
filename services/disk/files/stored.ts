/** One chunk open for reading. It can be read to its end although it is deleted meanwhile: the file stays until it is closed. */
import { type FileHandle, open } from "node:fs/promises";
import { failure } from "../../kernel/errors.ts";
import { readFully } from "./io.ts";

export class StoredChunk {
  readonly hash: string;
  /** Bytes. */
  readonly size: number;
  /** Tells this file from another one of the same name. */
  readonly inode: number;
  readonly #file: FileHandle;

  private constructor(hash: string, file: FileHandle, stats: { readonly size: number; readonly ino: number }) {
    this.hash = hash;
    this.#file = file;
    this.size = stats.size;
    this.inode = stats.ino;
  }

  static async open(hash: string, path: string): Promise<StoredChunk> {
    const file = await open(path, "r").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") throw failure("CHUNK_NOT_FOUND", `Chunk ${hash} is not on this disk.`, { cause: error });
      throw error;
    });
    try {
      return new StoredChunk(hash, file, await file.stat());
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
