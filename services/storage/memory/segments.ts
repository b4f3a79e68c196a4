/** Small blobs that are asked for often: segments of what many watch. */
import { LRUCache } from "lru-cache";
import { ownBytes } from "../../kernel/bytes.ts";

export class Segments {
  readonly #kept: LRUCache<string, Uint8Array>;
  readonly #coming = new Map<string, Promise<Uint8Array>>();

  constructor(bytesMax: number) {
    this.#kept = new LRUCache({
      // Zero would mean "without limit" there; a cache of one byte keeps nothing.
      maxSize: Math.max(1, bytesMax),
      // One large blob must not push out what many watch.
      maxEntrySize: Math.max(1, Math.floor(bytesMax / 8)),
      sizeCalculation: ({ length }) => length,
    });
  }

  /** From memory, or as `read` brings it. However many ask for a cold one at once, it is read once; all get the same bytes, which nobody may change. */
  async get(blob: string, read: () => Promise<Uint8Array>): Promise<Uint8Array> {
    return this.#kept.get(blob) ?? (await (this.#coming.get(blob) ?? this.#bring(blob, read)));
  }

  async #bring(blob: string, read: () => Promise<Uint8Array>): Promise<Uint8Array> {
    const coming = read().then(ownBytes);
    this.#coming.set(blob, coming);
    try {
      const bytes = await coming;
      this.#kept.set(blob, bytes);
      return bytes;
    } finally {
      this.#coming.delete(blob);
    }
  }
}
