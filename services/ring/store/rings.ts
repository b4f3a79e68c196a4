/** The rows of the ring: every disk that was ever registered, and one table of owners an epoch. Rows of `rings` never change. */
import { execute, one, rows, type Database } from "../../../mixins/database/sql.ts";
import type { RingDisk, RingView } from "../contract.ts";
import type { Table } from "../domain/placement.ts";

const DISK = `id, address, zone, weight::float8 as weight`;

/** The ring of the highest epoch, with the present addresses of its disks. */
export async function activeRing(db: Database): Promise<RingView | undefined> {
  const ring = await one<Omit<RingView, "disks"> & { disks: readonly string[] }>(
    db,
    `select epoch, partition_bits as "partitionBits", replicas, owners, disks from rings order by epoch desc limit 1`,
  );
  if (!ring) return undefined;
  const known = new Map(
    (await rows<RingDisk>(db, `select ${DISK} from disks where id = any($1::uuid[])`, [ring.disks])).map((disk) => [disk.id, disk]),
  );
  return { ...ring, disks: ring.disks.map((id) => known.get(id)!) };
}

/** Compare and set: false when another process has made this epoch. */
export async function insertRing(db: Database, epoch: number, { partitionBits, replicas, owners, disks }: Table): Promise<boolean> {
  const made = await execute(
    db,
    `insert into rings (epoch, partition_bits, replicas, owners, disks) values ($1, $2, $3, $4, $5::uuid[]) on conflict (epoch) do nothing`,
    [epoch, partitionBits, replicas, owners, disks.map(({ id }) => id)],
  );
  return made === 1;
}

export async function knownDisks(db: Database): Promise<readonly RingDisk[]> {
  return await rows<RingDisk>(db, `select ${DISK} from disks order by id`);
}

export async function knownDisk(db: Database, id: string): Promise<RingDisk | undefined> {
  return await one<RingDisk>(db, `select ${DISK} from disks where id = $1`, [id]);
}

export async function saveDisk(db: Database, { id, address, zone, weight }: RingDisk): Promise<void> {
  await execute(
    db,
    `insert into disks (id, address, zone, weight) values ($1, $2, $3, $4)
     on conflict (id) do update set address = excluded.address, zone = excluded.zone, weight = excluded.weight, seen_at = now()`,
    [id, address, zone, weight],
  );
}
