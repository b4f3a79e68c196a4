/** Disks: how they become known, and how they are. */
import type { Database } from "../../mixins/database/sql.ts";
import { failure } from "../kernel/errors.ts";
import type { AskDisks } from "./disks/asking.ts";
import type { DiskHealth, RingView } from "./contract.ts";
import { conditionOf } from "./domain/health.ts";
import { ownedBy } from "./domain/placement.ts";
import { allDisks, knownDisk, saveDisk } from "./store/disks.ts";

interface Ports {
  readonly db: Database;
  readonly ask: AskDisks;
}

interface Registered {
  readonly id: string;
  readonly zone: string;
  /** Whether it was known at another address. */
  readonly moved: boolean;
}

/** The disk that answers at an address. DISK_UNAVAILABLE; INVALID_REQUEST when it answers at another address as well. */
export async function registerDisk({ db, ask }: Ports, address: string): Promise<Registered> {
  const { id, zone, capacityBytes } = await ask.at(address);
  const known = await knownDisk(db, id);
  const moved = known !== undefined && known.address !== address;
  if (moved) await ask.refuseTwin(known);
  await saveDisk(db, { id, address, zone, weight: capacityBytes });
  return { id, zone, moved };
}

/** Every disk but those that were removed, asked now. */
export async function healthOfDisks({ db, ask }: Ports, view: RingView | undefined): Promise<readonly DiskHealth[]> {
  const known = (await allDisks(db)).filter(({ state }) => state !== "removed");
  const asked = await ask.all(known);
  const owned = new Map(view && [...ownedBy(view)].map((partitions, index) => [view.disks[index]!.id, partitions]));
  return known.map((disk, index) => {
    const { id, address, zone, weight, state } = disk;
    return { id, address, zone, weight, state, partitions: owned.get(id) ?? 0, ...conditionOf(disk, asked[index]!) };
  });
}

/** DISK_NOT_FOUND, and as DiskClient.scrubDisk fails. */
export async function scrubDisk(
  { db, ask }: Ports,
  { disk: id, command }: { readonly disk: string; readonly command: ScrubCommand },
): Promise<void> {
  const disk = await knownDisk(db, id);
  if (!disk) throw failure("DISK_NOT_FOUND", `There is no disk ${id}.`);
  await ask.scrub(disk, command === "now" ? { now: true } : { paused: command === "pause" });
}

type ScrubCommand = "now" | "pause" | "resume";
