/** The catalogue of blobs as this process asks it. */
import { LRUCache } from "lru-cache";
import type { Service } from "moleculer";
import { blobs, type BlobManifest } from "../blobs/contract.ts";
import { messageOf } from "../kernel/errors.ts";
import { call, type Caller } from "../kernel/rpc.ts";
import type { NewBlob } from "./disks/blob-write.ts";
import type { MissingCopy } from "./domain/copies.ts";

/** Manifests in memory: ffmpeg and players read one blob in many ranges. */
const MANIFESTS_BYTES = 8 * 1024 * 1024;
/** What an entry weighs besides its hashes. */
const ENTRY_BYTES = 128;

export class Catalogue {
  readonly #caller: Caller;
  readonly #logger: Service["logger"];
  readonly #manifests = new LRUCache<string, BlobManifest>({
    maxSize: MANIFESTS_BYTES,
    sizeCalculation: ({ chunks }) => chunks.length + ENTRY_BYTES,
  });

  constructor(caller: Caller, logger: Service["logger"]) {
    this.#caller = caller;
    this.#logger = logger;
  }

  /** BLOB_NOT_FOUND. */
  async manifest(blob: string): Promise<BlobManifest> {
    const manifest = this.#manifests.get(blob) ?? (await call(this.#caller, blobs.get, { blob }));
    this.#manifests.set(blob, manifest);
    return manifest;
  }

  /** Says that a chunk is about to be stored; answers since when. Fails as blobs.lease does. */
  async lease(chunk: string, size: number): Promise<{ leasedAt: string }> {
    return await call(this.#caller, blobs.lease, { chunks: [{ chunk, size }] });
  }

  /** Fails as blobs.commit does. */
  async commit(blob: NewBlob): Promise<{ blob: string }> {
    return await call(this.#caller, blobs.commit, blob);
  }

  async reportMissing(copies: readonly MissingCopy[]): Promise<void> {
    await call(this.#caller, blobs.reportMissing, { copies: [...copies] });
  }

  /** Reports it while the reader goes on. */
  noteMissing(copy: MissingCopy): void {
    this.#logger.warn("a copy of a chunk is missing or bad", { ...copy });
    this.reportMissing([copy]).catch((error: unknown) =>
      this.#logger.warn("the missing copy could not be reported; its next reader will", { ...copy, reason: messageOf(error) }),
    );
  }
}
