/** One chunk on its way in: a temporary file, hashed while it grows. */
import { createHash } from "node:crypto";
import { type FileHandle, rm } from "node:fs/promises";
import { failure } from "../../kernel/errors.ts";
import type { PutHeader } from "../domain/put.ts";
import { writeFully } from "./io.ts";

export class Incoming {
  readonly header: PutHeader;
  readonly path: string;
  readonly #file: FileHandle;
  readonly #hash = createHash("sha256");
  #size = 0;

  constructor(header: PutHeader, path: string, file: FileHandle) {
    this.header = header;
    this.path = path;
    this.#file = file;
  }

  async write(bytes: Uint8Array): Promise<void> {
    const position = this.#size;
    this.#size += bytes.length;
    const written = writeFully(this.#file, bytes, position);
    // Hashed while a thread of the pool writes.
    this.#hash.update(bytes);
    await written;
  }

  /** Makes the bytes durable under the temporary name. Throws LENGTH_MISMATCH or CHUNK_CORRUPT when they are not the declared ones. */
  async finish(): Promise<void> {
    const { hash, size } = this.header;
    if (this.#size !== size) throw failure("LENGTH_MISMATCH", `${this.#size} bytes came, not ${size}.`);
    const actual = this.#hash.digest("hex");
    if (actual !== hash) throw failure("CHUNK_CORRUPT", `The bytes of chunk ${hash} came as ${actual}.`);
    await this.#file.sync();
    await this.#file.close();
  }

  /** Leaves nothing behind. Harmless after `finish` and rename. */
  async discard(): Promise<void> {
    await this.#file.close().catch(() => undefined);
    await rm(this.path, { force: true });
  }
}
