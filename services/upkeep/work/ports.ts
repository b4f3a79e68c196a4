/** What upkeep needs of the rest of the system. */

export interface SizedChunk {
  readonly chunk: string;
  /** Bytes. */
  readonly size: number;
}

/** A chunk that has a row. */
export interface KnownChunk extends SizedChunk {
  /** A blob contains it. */
  readonly needed: boolean;
  /** It is being deleted. */
  readonly leaving: boolean;
}

/** A chunk on a disk. */
export interface HeldChunk extends SizedChunk {
  /** Names this very copy. */
  readonly version: string;
  /** Since it was stored, or stored again. */
  readonly ageSeconds: number;
}

export interface CopyOf extends SizedChunk {
  readonly disk: string;
}

/** The ring of a moment. Disks are told by their ids. */
export interface RingNow {
  readonly epoch: number;
  readonly partitionBits: number;
  /** Who should have a chunk. */
  readonly owners: (chunk: string) => readonly string[];
  /** Who had it before it began to move. */
  readonly former: (chunk: string) => readonly string[];
}

export interface MovingPartition {
  readonly partition: number;
  /** The ring that it moves to. */
  readonly epoch: number;
  readonly owners: readonly string[];
  readonly former: readonly string[];
  /** Every owner has all of it. */
  readonly verified: boolean;
}

export interface Moved {
  readonly partition: number;
  readonly epoch: number;
  readonly state: "copying" | "verified" | "cleared";
  /** Those of before hold when there are none. */
  readonly figures?: MoveFigures;
}

/** Of all new copies of a partition together. */
export interface MoveFigures {
  readonly chunksTotal: number;
  readonly chunksDone: number;
  /** Chunks of which no disk has a good copy; the other figures leave them out. */
  readonly chunksLost: number;
  readonly bytesTotal: number;
  readonly bytesDone: number;
  readonly bytesCopied: number;
}

interface Page {
  readonly partition: number;
  readonly bits: number;
  readonly after: string | undefined;
  readonly limit: number;
}

/** Of a disk, by a ring: it has seen that ring when it answers, and takes no delete of an older one afterwards. */
interface Look extends Page {
  readonly epoch: number;
}

/** The rows. */
interface Rows {
  chunksIn(page: Page): Promise<readonly KnownChunk[]>;
  /** Digests of the partitions from `first` to `last`, both inclusive. */
  digests(range: { readonly bits: number; readonly first: number; readonly last: number }): Promise<Uint8Array>;
  known(chunks: readonly string[]): Promise<readonly KnownChunk[]>;
  reportMissing(copies: readonly CopyOf[]): Promise<void>;
  /** Takes copies that a disk lacks. */
  dueRepairs(disk: string, limit: number): Promise<readonly SizedChunk[]>;
  repaired(disk: string, chunks: readonly string[]): Promise<void>;
  repairFailed(disk: string, chunks: readonly string[]): Promise<void>;
  /** Answers whether there is more to collect. */
  collect(): Promise<boolean>;
  leaving(after: string | undefined, limit: number): Promise<readonly SizedChunk[]>;
  areLeaving(chunks: readonly string[]): Promise<readonly string[]>;
  left(chunks: readonly string[]): Promise<void>;
}

/** The disks. */
interface Disks {
  /** Brings a copy to a disk, unless it is there. Answers whether it was not. NOT_ENOUGH_DISKS when no disk that is known has a good one. */
  copy(copy: CopyOf & { readonly epoch?: number }): Promise<boolean>;
  /** The version of the copy that a disk holds. */
  holds(copy: { readonly disk: string; readonly chunk: string; readonly epoch: number }): Promise<string | undefined>;
  list(disk: string, page: Look): Promise<readonly HeldChunk[]>;
  digestsOn(disk: string, bits: number): Promise<Uint8Array>;
  /** Deletes one copy and no other. CHUNK_CHANGED, DISK_STALE_EPOCH. */
  erase(copy: { readonly disk: string; readonly chunk: string; readonly version: string; readonly epoch: number }): Promise<void>;
}

interface Ring {
  ring(): Promise<RingNow>;
  moving(first: number, last: number): Promise<readonly MovingPartition[]>;
  /** False when the partition moves to another ring by now. */
  moved(moved: Moved): Promise<boolean>;
}

export interface Ports extends Rows, Disks, Ring {
  /** Tells an operator. */
  warn(message: string, facts: Readonly<Record<string, unknown>>): void;
}
