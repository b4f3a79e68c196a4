/** What a disk is to the ring, and what an operator or the clock may make of it. */
import { failure } from "../../kernel/errors.ts";

/**
 * spare: known, without a share. in: owns its share. draining: owns nothing any more, and is read from until all it had is elsewhere.
 * out: was gone for too long, so its content counts as lost and is made anew. removed: forgotten.
 */
export type DiskState = "spare" | "in" | "draining" | "out" | "removed";

/** What an operator stages. */
export type ChangeKind = "add" | "drain" | "remove" | "weight";

export interface Change {
  readonly disk: string;
  /** "out" is only for the clock: an operator who gives up a disk removes it. */
  readonly change: ChangeKind | "out";
  /** Bytes that a disk which is added or weighed counts for; null: its capacity. */
  readonly weight: number | null;
}

export interface KnownDisk {
  readonly id: string;
  readonly address: string;
  readonly zone: string;
  /** Its share is in proportion to this: the operator's weight, or the capacity. Bytes. */
  readonly weight: number;
  readonly capacityBytes: number;
  readonly state: DiskState;
}

const NEXT: Readonly<Record<Change["change"], Readonly<Partial<Record<DiskState, DiskState>>>>> = {
  add: { spare: "in", draining: "in", out: "in", removed: "in" },
  drain: { in: "draining" },
  remove: { spare: "removed", in: "removed", draining: "removed", out: "removed" },
  weight: { spare: "spare", in: "in", draining: "draining", out: "out" },
  out: { in: "out" },
};

/** The state after a change. RING_CHANGE_REFUSED for one that makes no sense now. */
export function stateAfter({ id, state }: Pick<KnownDisk, "id" | "state">, { change }: Pick<Change, "change">): DiskState {
  const next = NEXT[change][state];
  if (next === undefined) throw failure("RING_CHANGE_REFUSED", `Disk ${id} is "${state}": "${change}" is not possible for it.`);
  return next;
}

/** The disks as these changes leave them, removed ones among them. DISK_NOT_FOUND, RING_CHANGE_REFUSED. */
export function afterChanges(known: readonly KnownDisk[], changes: readonly Change[]): KnownDisk[] {
  const byDisk = new Map(changes.map((change) => [change.disk, change]));
  for (const id of byDisk.keys()) {
    if (!known.some((disk) => disk.id === id)) throw failure("DISK_NOT_FOUND", `There is no disk ${id}.`);
  }
  return known.map((disk) => {
    const change = byDisk.get(disk.id);
    if (!change) return disk;
    const weighed = change.change === "weight" || change.change === "add";
    return { ...disk, state: stateAfter(disk, change), weight: weighed ? (change.weight ?? disk.capacityBytes) : disk.weight };
  });
}

/** Whether the content of a disk counts as gone when it is in this state. */
export function isLost(state: DiskState): boolean {
  return state === "out" || state === "removed";
}
