/** How much is stored, in every way of counting. */
import { one, type Database } from "../../../mixins/database/sql.ts";
import type { Unneeded, Usage } from "../contract.ts";

type Counted = Readonly<
  Record<
    | "blobs"
    | "logical"
    | "refs"
    | "needed"
    | "unique"
    | "pending"
    | "pendingBytes"
    | "leaving"
    | "leavingBytes"
    | "missing"
    | "missingBytes"
    | "replicas",
    string
  >
>;

export async function usage(db: Database): Promise<Usage> {
  const counted = (await one<Counted>(
    db,
    `select * from
       (select count(*) as blobs, coalesce(sum(size), 0) as logical, coalesce(sum(length(chunks) / 32), 0) as refs from blobs) as stored,
       (select count(*) filter (where refs > 0) as needed, coalesce(sum(size) filter (where refs > 0), 0) as "unique",
          count(*) filter (where refs = 0 and state = 'live') as pending,
          coalesce(sum(size) filter (where refs = 0 and state = 'live'), 0) as "pendingBytes",
          count(*) filter (where state = 'leaving') as leaving, coalesce(sum(size) filter (where state = 'leaving'), 0) as "leavingBytes"
        from chunks) as kept,
       (select count(*) as missing, coalesce(sum(size), 0) as "missingBytes" from missing_copies) as lacking,
       (select coalesce(max(replicas), 0) as replicas from rings where epoch = (select max(epoch) from rings)) as ring`,
  ))!;
  const n = (of: keyof Counted): number => Number(counted[of]);
  return {
    logical: { count: n("blobs"), bytes: n("logical") },
    unique: { count: n("needed"), bytes: n("unique") },
    physical: { count: n("needed") * n("replicas"), bytes: n("unique") * n("replicas") },
    deduplicated: { count: n("refs") - n("needed"), bytes: n("logical") - n("unique") },
    pending: { count: n("pending"), bytes: n("pendingBytes") },
    leaving: { count: n("leaving"), bytes: n("leavingBytes") },
    missing: { count: n("missing"), bytes: n("missingBytes") },
  };
}

/** By indexes of what nobody needs: cheap while there is little of it, and a collector that is stuck is what it tells. */
export async function unneeded(db: Database): Promise<Unneeded> {
  const counted = (await one<Record<"blobs" | "pending" | "pendingBytes" | "leaving" | "leavingBytes" | "oldest", string>>(
    db,
    `select * from
       (select count(*) as blobs from blobs where touched_at is not null) as unnamed,
       (select count(*) filter (where state = 'live') as pending, coalesce(sum(size) filter (where state = 'live'), 0) as "pendingBytes",
          count(*) filter (where state = 'leaving') as leaving, coalesce(sum(size) filter (where state = 'leaving'), 0) as "leavingBytes",
          coalesce(extract(epoch from now() - min(touched_at)), 0) as oldest
        from chunks where refs = 0) as chunks`,
  ))!;
  return {
    blobs: Number(counted.blobs),
    pending: { count: Number(counted.pending), bytes: Number(counted.pendingBytes) },
    leaving: { count: Number(counted.leaving), bytes: Number(counted.leavingBytes) },
    oldestS: Math.max(0, Number(counted.oldest)),
  };
}
