/** The ring as this process knows it. Storage works on with it while the ring service is away. */
import { setTimeout as sleep } from "node:timers/promises";
import { failure } from "../kernel/errors.ts";
import { call, type Caller } from "../kernel/rpc.ts";
import { formerOwnersOf, handoffsOf, ownersOf, ring, type DiskHealth, type RingView } from "../ring/contract.ts";
import type { Placement, StorageDisk } from "./domain/ring.ts";

/** For a ring that somebody has seen to be told by the ring service, which looks at its row every two seconds. */
const LATER_MS = 6000;
const POLL_MS = 200;

export class Rings {
  readonly #caller: Caller;
  #current: Placement | undefined;
  /** Every disk that is known, until the ring is looked at again: their addresses may change. */
  #known: readonly DiskHealth[] | undefined;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /** RING_EMPTY before the first ring. */
  async current(): Promise<Placement> {
    return this.#current ?? (await this.refresh());
  }

  async refresh(): Promise<Placement> {
    const view = await call(this.#caller, ring.get, {});
    // Of two instances of the ring service one may lag behind; an epoch never comes again.
    if (!this.#current || view.epoch >= this.#current.epoch) this.#current = placementOf(view);
    this.#known = undefined;
    return this.#current;
  }

  /** A disk of the ring, or any other that was ever registered. DISK_NOT_FOUND. */
  async disk(id: string): Promise<StorageDisk> {
    const { disks, leaving } = await this.current();
    const isIt = (disk: StorageDisk): boolean => disk.id === id;
    const found = [...disks, ...leaving].find(isIt) ?? this.#known?.find(isIt) ?? (await this.#all()).find(isIt);
    if (!found) throw failure("DISK_NOT_FOUND", `No disk ${id} was ever registered.`);
    return found;
  }

  /** Disks that answer and that no reader asks: without a share, or put out. */
  async outside(): Promise<readonly StorageDisk[]> {
    const { disks, leaving } = await this.current();
    const asked = new Set([...disks, ...leaving].map(({ id }) => id));
    return (this.#known ?? (await this.#all())).filter(({ id, up }) => up && !asked.has(id));
  }

  async #all(): Promise<readonly DiskHealth[]> {
    const known = await call(this.#caller, ring.disks, {});
    this.#known = known;
    return known;
  }

  /** The ring that came after `epoch`. DISK_STALE_EPOCH when it does not become known soon. */
  async after(epoch: number): Promise<Placement> {
    const deadline = Date.now() + LATER_MS;
    for (;;) {
      const placement = await this.refresh();
      if (placement.epoch > epoch) return placement;
      if (Date.now() > deadline) throw failure("DISK_STALE_EPOCH", `There is a ring after epoch ${epoch}, and it has not been told yet.`);
      await sleep(POLL_MS);
    }
  }
}

function placementOf(view: RingView): Placement {
  return {
    epoch: view.epoch,
    disks: view.disks,
    leaving: view.leaving,
    owners: (chunk) => ownersOf(view, chunk),
    former: (chunk) => formerOwnersOf(view, chunk),
    others: (chunk) => handoffsOf(view, chunk),
  };
}
