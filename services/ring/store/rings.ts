/** The rows of the ring: one table of owners an epoch. Rows of `rings` never change. */
import { lockRing } from "../../../mixins/database/ring-lock.ts";
import { execute, one, rows, transaction, type Database, type Tx } from "../../../mixins/database/sql.ts";
import type { RingDisk, RingView } from "../contract.ts";
import type { Table } from "../domain/placement.ts";
import { encodeFormer } from "../domain/view.ts";

const DISK = `id, address, zone, coalesce(weight_set, weight)::float8 as weight`;

/** The ring of the highest epoch, with the present addresses of its disks, and what is still on its way to it. */
export async function activeRing(db: Database): Promise<RingView | undefined> {
  const ring = await latestRing(db);
  if (!ring) return undefined;
  const moving = await rows<{ partition: number; former: string[] }>(
    db,
    "select partition, former from partitions where state <> 'verified' order by partition",
  );
  const mentioned = [...new Set(moving.flatMap(({ former }) => former))];
  const known = await rows<RingDisk>(db, `select ${DISK} from disks where id = any($1::uuid[]) or state = 'draining' order by id`, [
    [...ring.disks, ...mentioned],
  ]);
  const byId = new Map(known.map((disk) => [disk.id, disk]));
  const disks = ring.disks.map((id) => byId.get(id)!);
  const leaving = known.filter(({ id }) => !ring.disks.includes(id));
  return { ...ring, disks, leaving, former: encodeFormer(ring.partitionBits, moving, [...disks, ...leaving]) };
}

/** The newest ring as it was made: its disks are ids. */
export async function latestRing(
  on: Database | Tx,
): Promise<(Pick<RingView, "epoch" | "partitionBits" | "replicas" | "owners"> & { disks: readonly string[] }) | undefined> {
  return await one(on, `select epoch, partition_bits as "partitionBits", replicas, owners, disks from rings order by epoch desc limit 1`);
}

/** Compare and set, for a transaction that holds the lock of the ring: false when another process has made this epoch. */
export async function insertRing(tx: Tx, epoch: number, { partitionBits, replicas, owners, disks }: Table): Promise<boolean> {
  const made = await execute(
    tx,
    `insert into rings (epoch, partition_bits, replicas, owners, disks) values ($1, $2, $3, $4, $5::uuid[]) on conflict (epoch) do nothing`,
    [epoch, partitionBits, replicas, owners, disks.map(({ id }) => id)],
  );
  return made === 1;
}

/** The first ring, if there is none. */
export async function insertFirstRing(db: Database, table: Table): Promise<void> {
  await transaction(db, async (tx) => {
    await lockRing(tx, "exclusive");
    if (!(await insertRing(tx, 1, table))) return;
    await execute(tx, "update disks set state = 'in', out_by = null where id = any($1::uuid[])", [table.disks.map(({ id }) => id)]);
  });
}
