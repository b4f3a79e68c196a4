/** One chunk on its way in: a temporary file, hashed while it grows. */
import { createHash } from "node:crypto";
import { BlockSums } from "../../../proto/blocks.ts";
import { failure } from "../../kernel/errors.ts";
import type { PutHeader } from "../domain/put.ts";
import { writeFully } from "./io.ts";
import type { Files, OpenFile } from "./port.ts";

export class Incoming {
  readonly header: PutHeader;
  readonly path: string;
  readonly #files: Files;
  readonly #file: OpenFile;
  readonly #hash = createHash("sha256");
  readonly #sums = new BlockSums();
  #size = 0;
  #isNamed = false;

  private constructor(header: PutHeader, path: string, files: Files, file: OpenFile) {
    this.header = header;
    this.path = path;
    this.#files = files;
    this.#file = file;
  }

  /** `path` must not exist yet. */
  static async open(files: Files, header: PutHeader, path: string): Promise<Incoming> {
    return new Incoming(header, path, files, await files.open(path, "wx"));
  }

  async write(bytes: Uint8Array): Promise<void> {
    const position = this.#size;
    this.#size += bytes.length;
    const written = writeFully(this.#file, bytes, position);
    // Hashed while a thread of the pool writes.
    this.#hash.update(bytes);
    this.#sums.update(bytes);
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

  /** The checksums of its blocks, once it is finished. */
  get sums(): Uint32Array {
    return Uint32Array.from(this.#sums.end());
  }

  /** Gives what is finished its own name. */
  async name(path: string): Promise<void> {
    await this.#files.rename(this.path, path);
    this.#isNamed = true;
  }

  /** Leaves nothing behind under the temporary name. */
  async discard(): Promise<void> {
    if (this.#isNamed) return;
    await this.#file.close().catch(() => undefined);
    await this.#files.rm(this.path, { force: true });
  }
}
