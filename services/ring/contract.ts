/** Which disks exist, and which of them own which partition, at which epoch; how that changes, and what still moves because of it. */
import { z } from "zod";
import { uuid } from "../kernel/schemas.ts";
import { action, contract, event, returns } from "../kernel/rpc.ts";
import type { DiskCondition } from "./domain/health.ts";
import type { Plan } from "./domain/plan.ts";
import type { ChangeKind, DiskState } from "./domain/states.ts";

export interface RingDisk {
  /** The disk's own UUID, read from its identity file: an address may change, a disk may not. */
  readonly id: string;
  /** host:port of its gRPC server; s3://bucket/prefix when a bucket is the disk. */
  readonly address: string;
  /** Copies of a chunk go to distinct zones where there are enough of them. */
  readonly zone: string;
  /** Relative share of the content, bytes: its capacity, unless an operator set another one. */
  readonly weight: number;
}

export interface RingView {
  readonly epoch: number;
  /** log2 of the number of partitions. The partition of a chunk is that many first bits of its SHA-256. */
  readonly partitionBits: number;
  /** Owners of each partition: fewer than REPLICAS while there are fewer disks. */
  readonly replicas: number;
  /** partitions × replicas indexes into `disks`, unsigned 16 bit little endian; the owners of a partition stand together, in order of preference. */
  readonly owners: Uint8Array;
  /** The disks that have a share, by id. */
  readonly disks: readonly RingDisk[];
  /**
   * Empty when nothing moves; else partitions × n indexes like `owners`, into `disks` followed by `leaving`, for who had a partition that is moving; 65535 is
   * nobody. Use `formerOwnersOf`.
   */
  readonly former: Uint8Array;
  /** Disks without a share that may still have content: former owners, and those that are drained. They are read from, and never written to. */
  readonly leaving: readonly RingDisk[];
}

export type { ChangeKind, DiskState } from "./domain/states.ts";

export interface DiskHealth extends RingDisk, DiskCondition {
  readonly state: DiskState;
  /** Partitions that it owns. */
  readonly partitions: number;
}

export interface StagedChange {
  readonly disk: string;
  readonly change: ChangeKind;
  /** Bytes; null: the capacity. */
  readonly weight: number | null;
}

/** What applying would do. Partitions of which the copies count: `copies`, and what is in them now: `chunks` and `bytes`. */
export interface RingPlan extends Omit<Plan, "moves"> {
  /** The ring that it starts from: what `apply` must be told. */
  readonly epoch: number;
  readonly changes: readonly StagedChange[];
  /** How many partitions change owners. */
  readonly partitions: number;
}

export interface MovingPartition {
  readonly partition: number;
  /** The ring that it moves to: of deletes and of reports. */
  readonly epoch: number;
  /** Ids of the disks that are to have it. */
  readonly owners: readonly string[];
  /** Ids of the disks that may have it now, those first that have it for sure. */
  readonly former: readonly string[];
  /** Whether all owners were found to have all of it: only the former ones are to be cleared then. */
  readonly verified: boolean;
}

interface Progress {
  readonly total: number;
  readonly done: number;
}

/** Of the last change of the ring, and of what was still moving when it came. */
export interface Moves {
  readonly epoch: number;
  readonly partitions: Progress;
  /** Copies of chunks. Until a partition is looked at, the total is what the plan expected. */
  readonly chunks: Progress;
  readonly bytes: Progress;
  /** Chunks of which no disk that is known has a good copy: passed over, and not counted in the others. */
  readonly lostChunks: number;
  /** Bytes that were sent from disk to disk: fewer than `bytes.done` where a copy was there already. */
  readonly copiedBytes: number;
  /** Since the first partition was begun; 0 before. */
  readonly bytesPerSecond: number;
  /** At that rate; null while it is not known, 0 when nothing moves. */
  readonly secondsLeft: number | null;
}

/** Who owns a chunk, who stands in, and who had it before: the same answers in every process that has the same view. */
export { handoffsOf, ownersOf } from "./domain/placement.ts";
export { formerOwnersOf } from "./domain/view.ts";

/** Of a disk, or of a bucket that is used as one. */
const DISK_ADDRESS = /^(?:[A-Za-z0-9.-]{1,253}:[0-9]{1,5}|s3:\/\/[a-z0-9.-]{3,63}(?:\/[A-Za-z0-9._-]{1,200})?)$/;

const partition = z.int().min(0).max(65_535);
const count = z.int().nonnegative();

/** The next ring may keep fewer copies than the present one: a bucket that is left keeps its own, and one folder is what an operator may want. */
const fewer = z.boolean().default(false);

/** From the snapshot to the table: seconds for the largest rings, and the sums over all chunks before. */
const PLAN_MS = 60_000;

export const ring = contract("ring", {
  /** The active ring. RING_EMPTY before the first disks are known. */
  get: action({ params: z.strictObject({}), returns: returns<RingView>(), scope: "cluster", idempotent: true }),
  /** Every disk that is known, asked now; removed ones are not among them. */
  disks: action({ params: z.strictObject({}), returns: returns<readonly DiskHealth[]>(), scope: "cluster", idempotent: true }),
  /** Makes a disk known by its address: reads its identity, keeps its new address. Answers its id. A disk that was removed is spare again. */
  register: action({
    params: z.strictObject({ address: z.string().regex(DISK_ADDRESS, "must be host:port, or s3://bucket/prefix") }),
    returns: returns<{ id: string }>(),
    scope: "cluster",
    idempotent: true,
  }),
  /**
   * Notes a change of the next ring, in place of an earlier one for the same disk; nothing happens before `apply`. `add` gives a disk a share (to one that has one only the weight that is said, or nothing new), `drain` takes it
   * away, `remove` forgets a disk that holds nothing; with `force` also one that does not answer, and its content counts as lost.
   * `weight` (with add and weight): bytes; null or none for its capacity. DISK_NOT_FOUND, RING_CHANGE_REFUSED.
   */
  stage: action({
    params: z.strictObject({
      disk: uuid,
      change: z.enum(["add", "drain", "remove", "weight"]),
      weight: z.int().positive().nullable().default(null),
      force: z.boolean().default(false),
    }),
    returns: returns<null>(),
    scope: "cluster",
    idempotent: true,
  }),
  /** Forgets the staged change of one disk, or of all. */
  unstage: action({ params: z.strictObject({ disk: uuid.optional() }), returns: returns<null>(), scope: "cluster", idempotent: true }),
  /** Verifies every chunk of a disk, beginning at once; pauses that for as long as the disk runs, or lets it go on. DISK_NOT_FOUND, DISK_UNAVAILABLE. */
  scrub: action({
    params: z.strictObject({ disk: uuid, command: z.enum(["now", "pause", "resume"]) }),
    returns: returns<null>(),
    scope: "cluster",
    idempotent: true,
  }),
  /** What is staged, in the order in which it was. */
  staged: action({ params: z.strictObject({}), returns: returns<readonly StagedChange[]>(), scope: "cluster", idempotent: true }),
  /** What applying the staged changes would move. RING_CHANGE_REFUSED when they cannot be applied, or nothing is staged. */
  plan: action({ params: z.strictObject({ fewer }), returns: returns<RingPlan>(), scope: "cluster", idempotent: true, timeoutMs: PLAN_MS }),
  /** Makes the next ring, if the present one is still `epoch`; else RING_CHANGED. What has to move begins to. Fails as `plan` does. */
  apply: action({
    params: z.strictObject({ epoch: z.int().positive(), fewer }),
    returns: returns<{ epoch: number }>(),
    scope: "cluster",
    idempotent: false,
    timeoutMs: PLAN_MS,
  }),
  /** How far the moves are. */
  moves: action({ params: z.strictObject({}), returns: returns<Moves>(), scope: "cluster", idempotent: true }),
  /** The partitions from `first` to `last`, both inclusive, that are not where they belong yet. For those who move them. */
  moving: action({
    params: z.strictObject({ first: partition, last: partition }),
    returns: returns<readonly MovingPartition[]>(),
    scope: "cluster",
    idempotent: true,
  }),
  /**
   * Tells how far a partition is: `copying`, then `verified` when every owner was found to have all of it that any disk has, then `cleared` when nobody else has any of it.
   * The figures are of all its new copies together; without them those of before stay. Answers false, and notes nothing, when the partition moves to a newer ring by now, or has ended.
   */
  moved: action({
    params: z.strictObject({
      partition,
      epoch: z.int().positive(),
      state: z.enum(["copying", "verified", "cleared"]),
      chunksTotal: count.optional(),
      chunksDone: count.optional(),
      chunksLost: count.optional(),
      bytesTotal: count.optional(),
      bytesDone: count.optional(),
      bytesCopied: count.optional(),
    }),
    returns: returns<boolean>(),
    scope: "cluster",
    idempotent: true,
  }),
});

/** A hint: the truth is the row, which readers also poll for. */
export const ringChanged = event<{ epoch: number }>("ring.changed");
