/** The rows of disks: every one that was ever registered. */
import { execute, one, rows, type Database, type Tx } from "../../../mixins/database/sql.ts";
import type { RingDisk } from "../contract.ts";
import type { KnownDisk } from "../domain/states.ts";

export interface DiskRow extends KnownDisk {
  /** Since when nobody has heard of it. */
  readonly downSince: Date | null;
  readonly outBy: "operator" | "clock" | null;
}

const DISK = `id, address, zone, coalesce(weight_set, weight)::float8 as weight, weight::float8 as "capacityBytes", state, down_since as "downSince",
  out_by as "outBy"`;

/** Removed ones among them. */
export async function allDisks(on: Database | Tx): Promise<readonly DiskRow[]> {
  return await rows<DiskRow>(on, `select ${DISK} from disks order by id`);
}

export async function knownDisk(db: Database, id: string): Promise<DiskRow | undefined> {
  return await one<DiskRow>(db, `select ${DISK} from disks where id = $1`, [id]);
}

export async function saveDisk(db: Database, { id, address, zone, weight }: RingDisk): Promise<void> {
  await execute(
    db,
    `insert into disks (id, address, zone, weight) values ($1, $2, $3, $4)
     on conflict (id) do update set address = excluded.address, zone = excluded.zone, weight = excluded.weight, seen_at = now()`,
    [id, address, zone, weight],
  );
}

/** An operator names a disk that was removed once: it may be used again. */
export async function readmitDisk(db: Database, id: string): Promise<void> {
  await execute(db, "update disks set state = 'spare' where id = $1 and state = 'removed'", [id]);
}

/** Notes who is silent since now, and who is heard again. */
export async function noteSilence(
  db: Database,
  { silent, heard }: { readonly silent: readonly string[]; readonly heard: readonly string[] },
): Promise<void> {
  if (silent.length > 0)
    await execute(db, "update disks set down_since = now() where id = any($1::uuid[]) and down_since is null", [silent]);
  if (heard.length > 0) await execute(db, "update disks set down_since = null, seen_at = now() where id = any($1::uuid[])", [heard]);
}
