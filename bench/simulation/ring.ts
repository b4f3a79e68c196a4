/** The rows of the ring, over few partitions: the shipped placement, states and plan, each change one transaction. */
import type { MovingPartition, RingView } from "../../services/ring/contract.ts";
import { EMPTY, idsOfPartition, ownersOf, rebalance, type Table } from "../../services/ring/domain/placement.ts";
import { planOf } from "../../services/ring/domain/plan.ts";
import { afterChanges, type Change, type DiskState, type KnownDisk } from "../../services/ring/domain/states.ts";
import { encodeFormer } from "../../services/ring/domain/view.ts";
import type { SimulatedDisk } from "./disk.ts";
import type { Rows } from "./rows.ts";

/** Two partitions: few enough that their moves meet, and more than one. */
const PARTITION_BITS = 1;
export const PARTITIONS = 2 ** PARTITION_BITS;
const CAPACITY_BYTES = 1;

interface Move {
  readonly epoch: number;
  readonly former: readonly string[];
  readonly state: "planned" | "copying" | "verified" | "cleared";
}

export class Ring {
  view: RingView;
  readonly #disks: readonly SimulatedDisk[];
  readonly #rows: Rows;
  readonly #states = new Map<string, DiskState>();
  readonly #moves = new Map<number, Move>();
  #table: Table<KnownDisk>;

  constructor(disks: readonly SimulatedDisk[], members: readonly SimulatedDisk[], rows: Rows) {
    this.#disks = disks;
    this.#rows = rows;
    for (const disk of disks) this.#states.set(disk.id, members.includes(disk) ? "in" : "spare");
    this.#table = rebalance({ ...EMPTY, partitionBits: PARTITION_BITS }, this.known.filter(isIn));
    rows.epoch = 1;
    this.view = this.#look();
  }

  /** Every disk that is not removed. */
  get known(): readonly KnownDisk[] {
    return this.#all.filter(({ state }) => state !== "removed");
  }

  get isAtRest(): boolean {
    return this.#unfinished.length === 0;
  }

  stateOf(disk: SimulatedDisk): DiskState {
    return this.#states.get(disk.id)!;
  }

  owns(disk: SimulatedDisk, chunk: string): boolean {
    return ownersOf(this.#table, chunk).some(({ id }) => id === disk.id);
  }

  /** Whether anything is, or may still be, asked of the disk. */
  needs({ id }: SimulatedDisk): boolean {
    return this.#table.disks.some((disk) => disk.id === id) || this.#unfinished.some(([, { former }]) => former.includes(id));
  }

  /** The next ring. RING_CHANGE_REFUSED. */
  change(changes: readonly Pick<Change, "disk" | "change">[]): void {
    const disksBefore = this.#all;
    const disksAfter = afterChanges(
      disksBefore,
      changes.map((change) => ({ ...change, weight: null })),
    );
    const after = rebalance(this.#table, disksAfter.filter(isIn));
    const unfinished = this.#unfinished.map(([partition, { former, state }]) => ({ partition, former, verified: state === "verified" }));
    const { moves } = planOf({
      before: this.#table,
      after,
      disksBefore,
      disksAfter,
      unfinished,
      contents: new Map(),
      down: new Set(),
      fewer: false,
    });
    for (const { id, state } of disksAfter) this.#states.set(id, state);
    this.#table = after;
    this.#rows.epoch += 1;
    for (const { partition, former } of moves) this.#moves.set(partition, { epoch: this.#rows.epoch, former, state: "planned" });
    this.view = this.#look();
    this.dropForeignCopies();
  }

  /** Forgets the copies that disks lack which own nothing any more, as the monitor of the shipped ring does in each of its rounds. */
  dropForeignCopies(): void {
    const isMember = (disk: string): boolean => this.#table.disks.some(({ id }) => id === disk);
    for (const [key, { disk }] of this.#rows.missing) if (!isMember(disk)) this.#rows.missing.delete(key);
  }

  moving({ first, last }: { readonly first: number; readonly last: number }): MovingPartition[] {
    return this.#unfinished
      .filter(([partition]) => partition >= first && partition <= last)
      .map(([partition, { epoch, former, state }]) => {
        return { partition, epoch, former, verified: state === "verified", owners: idsOfPartition(this.#table, partition) };
      });
  }

  moved({ partition, epoch, state }: { readonly partition: number; readonly epoch: number; readonly state: Move["state"] }): boolean {
    const move = this.#moves.get(partition);
    if (!move || move.epoch !== epoch || move.state === "cleared") return false;
    this.#moves.set(partition, { ...move, state: state === "copying" && move.state === "verified" ? "verified" : state });
    this.view = this.#look();
    return true;
  }

  get #all(): readonly KnownDisk[] {
    return this.#disks.map(({ id, address, zone, weight }) => ({
      id,
      address,
      zone,
      weight,
      capacityBytes: CAPACITY_BYTES,
      state: this.#states.get(id)!,
    }));
  }

  get #unfinished(): [number, Move][] {
    return [...this.#moves].filter(([, { state }]) => state !== "cleared").toSorted(([a], [b]) => a - b);
  }

  #look(): RingView {
    const { disks, partitionBits, replicas, owners } = this.#table;
    const moving = this.#unfinished
      .filter(([, { state }]) => state !== "verified")
      .map(([partition, { former }]) => ({ partition, former }));
    const mentioned = new Set(moving.flatMap(({ former }) => former));
    const isMember = (id: string): boolean => disks.some((disk) => disk.id === id);
    const leaving = this.#all.filter(({ id, state }) => !isMember(id) && (mentioned.has(id) || state === "draining"));
    const former = encodeFormer(partitionBits, moving, [...disks, ...leaving]);
    return { epoch: this.#rows.epoch, partitionBits, replicas, owners, disks, former, leaving };
  }
}

function isIn({ state }: KnownDisk): boolean {
  return state === "in";
}
