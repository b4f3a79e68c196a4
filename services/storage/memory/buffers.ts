/** Memory for chunks on their way to disks: a fixed number of buffers, used again, shared by all uploads of the process. */
import { CHUNK_BYTES_MAX } from "../../kernel/limits.ts";
import { Permits } from "../../kernel/permits.ts";

export class Buffers {
  readonly #permits: Permits;
  readonly #kept: Buffer[] = [];

  constructor(count: number) {
    this.#permits = new Permits(count);
  }

  get free(): number {
    return this.#permits.free;
  }

  /** A buffer of the length of the largest chunk, with whatever was in it before. Waits in line while all are taken. */
  async take(signal: AbortSignal): Promise<Buffer> {
    await this.#permits.take(signal);
    // Not from Node's pool of small buffers, and not cleared: every byte that is read from it was written to it first.
    return this.#kept.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES_MAX);
  }

  give(buffer: Buffer): void {
    this.#kept.push(buffer);
    this.#permits.give();
  }
}
