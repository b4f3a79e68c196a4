/** Which disks exist, and which of them own which partition, at which epoch. */
import { z } from "zod";
import { action, contract, event, returns } from "../kernel/rpc.ts";

export interface RingDisk {
  /** The disk's own UUID, read from its identity file: an address may change, a disk may not. */
  readonly id: string;
  /** host:port of its gRPC server. */
  readonly address: string;
  /** Copies of a chunk go to distinct zones where there are enough of them. */
  readonly zone: string;
  /** Relative share of the content, in bytes of capacity. */
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
  readonly disks: readonly RingDisk[];
}

export interface DiskHealth extends RingDisk {
  readonly state: "up" | "down" | "spare";
  readonly capacityBytes: number;
  readonly freeBytes: number;
  readonly chunks: number;
  /** Why it is down, for an operator. */
  readonly reason: string | null;
}

/** Who owns a chunk, and who stands in: the same answer in every process that has the same view. */
export { handoffsOf, ownersOf } from "./domain/placement.ts";

export const ring = contract("ring", {
  /** The active ring. RING_EMPTY before the first disks are known. */
  get: action({ params: z.strictObject({}), returns: returns<RingView>(), scope: "cluster", idempotent: true }),
  /** Every disk that was ever registered, asked now. */
  disks: action({ params: z.strictObject({}), returns: returns<readonly DiskHealth[]>(), scope: "cluster", idempotent: true }),
  /** Makes a disk known by its address: reads its identity, keeps its new address. Answers its id. */
  register: action({
    params: z.strictObject({ address: z.string().regex(/^[A-Za-z0-9.-]{1,253}:[0-9]{1,5}$/) }),
    returns: returns<{ id: string }>(),
    scope: "cluster",
    idempotent: true,
  }),
});

/** A hint: the truth is the row, which readers also poll for. */
export const ringChanged = event<{ epoch: number }>("ring.changed");
