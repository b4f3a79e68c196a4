/** What is told of a disk and of its chunks, and what of them is asked for: whatever keeps the chunks. */

export interface DiskFacts {
  /** The disk's own UUID. */
  readonly id: string;
  readonly zone: string;
  readonly capacityBytes: number;
  /** What it would still take. */
  readonly freeBytes: number;
  readonly chunks: number;
  /** The highest epoch of the ring that it has seen. */
  readonly epoch: number;
  /** Why it takes no more chunks for now; null when it does. */
  readonly readOnly: string | null;
  /** What its chunks take, as far as they are counted since its start. */
  readonly usedBytes: number;
  /** Deleted chunks that can still be brought back. */
  readonly trash: BinFacts;
  /** Files that were not what their names said. */
  readonly quarantine: BinFacts;
  /** Chunks that were bad: since its first start, and since this one. */
  readonly faults: number;
  readonly faultsSinceStart: number;
  readonly scrub: ScrubFacts;
}

export interface ScrubFacts {
  /** Every chunk was verified then or later: milliseconds since 1970. Null while that is not so. */
  readonly oldestVerifiedAt: number | null;
  /** Of the pass that is under way, or of the last one. */
  readonly checkedChunks: number;
  readonly checkedBytes: number;
  /** How much of the pass is done, 0 to 1. */
  readonly progress: number;
  readonly running: boolean;
  readonly paused: boolean;
  /** What it reads at most. */
  readonly bytesPerSecond: number;
}

export interface BinFacts {
  readonly files: number;
  readonly bytes: number;
}

export interface StoredChunk {
  /** Bytes. */
  readonly size: number;
  /** Names this file of the chunk: for `deleteChunk`. */
  readonly version: string;
}

export interface ListedChunk extends StoredChunk {
  readonly hash: string;
  /** Since it was stored, or stored again. */
  readonly ageSeconds: number;
}

export interface ChunkPage {
  /** The partition of a chunk is the first `bits` bits of its name, 0 to 16. */
  readonly bits: number;
  readonly partition: number;
  /** The name of a chunk; default: from the first one on. */
  readonly after?: string | undefined;
  readonly limit: number;
  /** As in ChunkLook. */
  readonly epoch?: number | undefined;
}

export interface ChunkLook {
  readonly hash: string;
  /** Of the ring by which copies are deleted on the answer's word: the disk has seen it when it answers. DISK_STALE_EPOCH when it has seen a newer one. */
  readonly epoch?: number | undefined;
  /** Gives what is there another version: a delete that was sent before passes it by. */
  readonly touch?: boolean | undefined;
  /** Has the disk read it first, where other copies are deleted on the answer's word: what is not what its name says is put aside, and is not there. */
  readonly verify?: boolean | undefined;
}

export interface ScrubCommand {
  readonly now?: boolean;
  readonly paused?: boolean | undefined;
}
