/** The catalogue of blobs as this process asks it. */
import { LRUCache } from "lru-cache";
import type { Service } from "moleculer";
import { blobs, type BlobManifest } from "../blobs/contract.ts";
import { ownBytes } from "../kernel/bytes.ts";
import { messageOf } from "../kernel/errors.ts";
import { call, type Caller } from "../kernel/rpc.ts";
import type { NewBlob } from "./disks/blob-write.ts";
import type { MissingCopy } from "./domain/copies.ts";

/** Manifests in memory, as a share of what segments may take: ffmpeg and players read one blob in many ranges. */
const MANIFESTS_SHARE = 1 / 8;
/** That of the largest upload (50 GiB) takes 206 KB. */
const MANIFESTS_BYTES_MIN = 256 * 1024;
/** What an entry weighs besides its hashes: its name twice, a map's place and two objects. */
const ENTRY_BYTES = 600;

export class Catalogue {
  readonly #caller: Caller;
  readonly #logger: Service["logger"];
  readonly #manifests: LRUCache<string, BlobManifest>;

  /** `segmentBytes` is the memory for segments. */
  constructor(caller: Caller, logger: Service["logger"], segmentBytes: number) {
    const maxSize = Math.max(MANIFESTS_BYTES_MIN, Math.floor(segmentBytes * MANIFESTS_SHARE));
    this.#manifests = new LRUCache({ maxSize, sizeCalculation: ({ chunks }) => chunks.length + ENTRY_BYTES });
    this.#caller = caller;
    this.#logger = logger;
  }

  /** BLOB_NOT_FOUND. */
  async manifest(blob: string): Promise<BlobManifest> {
    const known = this.#manifests.get(blob);
    if (known) return known;
    const { chunks, ...manifest } = await call(this.#caller, blobs.get, { blob });
    const found = { ...manifest, chunks: ownBytes(chunks) };
    this.#manifests.set(blob, found);
    return found;
  }

  /** Says that a chunk is about to be stored; answers since when. Fails as blobs.lease does. */
  async lease(chunk: string, size: number): Promise<{ leasedAt: string }> {
    return await call(this.#caller, blobs.lease, { chunks: [{ chunk, size }] });
  }

  /** Fails as blobs.commit does. The blob is known here from then on: what has just been written is read soon. */
  async commit(blob: NewBlob): Promise<{ blob: string }> {
    const committed = await call(this.#caller, blobs.commit, blob);
    this.#manifests.set(committed.blob, { ...committed, size: blob.size, chunks: ownBytes(blob.chunks) });
    return committed;
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
