/** Leaky buckets as rows: one time each, when it will be empty. By the database's clock, so that gateways need not agree on theirs. */
import { execute, rows, type Database } from "../../../mixins/database/sql.ts";
import type { Level } from "../contract.ts";

export interface Spending {
  readonly key: string;
  readonly costMs: number;
  readonly mostMs?: number | undefined;
}

/** One statement, in the order of the keys: two gateways that pour into the same buckets wait for each other and never in a circle. */
export async function spend(db: Database, spent: readonly Spending[]): Promise<readonly Level[]> {
  const ordered = spent.toSorted((a, b) => (a.key < b.key ? -1 : 1));
  return await rows<Level>(
    db,
    `with given as (select * from unnest($1::text[], $2::float8[], $3::float8[]) as given(key, cost, most)),
     poured as (
       insert into buckets as b (key, empty_at) select key, now() + cost * interval '1 millisecond' from given where most is null or cost <= most
       on conflict (key) do update set empty_at = greatest(b.empty_at, now()) + (excluded.empty_at - now())
         where (select most is null or extract(epoch from greatest(b.empty_at, now()) + (excluded.empty_at - now()) - now()) * 1000 <= most
                from given where given.key = excluded.key)
       returning key, empty_at)
     select given.key, poured.key is null as refused,
       greatest(0, extract(epoch from coalesce(poured.empty_at, b.empty_at, now()) - now()) * 1000)::float8 as "aheadMs"
     from given left join poured using (key) left join buckets b on b.key = given.key`,
    [ordered.map(({ key }) => key), ordered.map(({ costMs }) => costMs), ordered.map(({ mostMs }) => mostMs ?? null)],
  );
}

/** Empty buckets say nothing. */
export async function prune(db: Database): Promise<void> {
  await execute(db, "delete from buckets where empty_at < now() - interval '1 minute'");
}
