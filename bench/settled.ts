/** Whether the disks of a cluster are equal to its rows: what every run that breaks things has to come to in the end. */
import { glob } from "node:fs/promises";
import { basename } from "node:path";
import type { Pool } from "pg";
import { ownersOf, type RingView } from "../services/ring/contract.ts";

/** Where the chunks of a disk lie. */
export interface DiskFolder {
  readonly id: string;
  readonly dir: string;
}

export interface Settling {
  readonly pool: Pool;
  readonly disks: readonly DiskFolder[];
  readonly ring: () => Promise<RingView>;
  /** A query for the ids (bytea) of blobs that something names. */
  readonly named: string;
}

/** What still differs, in words. */
export async function unsettled({ pool, disks, ring, named }: Settling): Promise<string[]> {
  const [row] = (
    await pool.query<Record<string, string>>(
      `select (select count(*) from missing_copies) as "missing copies", (select count(*) from partitions where finished_at is null) as "partitions that move",
         (select count(*) from chunks where refs = 0) as "chunks that no blob contains",
         (select count(*) from blobs where not exists (select from (${named}) as names (id) where names.id = blobs.id)) as "blobs that nobody names"`,
    )
  ).rows;
  const { lacking, strays } = await differences(pool, disks, await ring());
  const counts: [string, number][] = [
    ...Object.entries(row!).map(([what, count]): [string, number] => [what, Number(count)]),
    ["copies that are not where they should be", lacking],
    ["copies where none should be", strays],
  ];
  return counts.filter(([, count]) => count > 0).map(([what, count]) => `${count} ${what}`);
}

/** Between the rows and the files of the disks. */
async function differences(pool: Pool, disks: readonly DiskFolder[], ring: RingView): Promise<{ lacking: number; strays: number }> {
  const names = (await pool.query<{ name: string }>("select encode(sha256, 'hex') as name from chunks")).rows;
  const wanted = new Set(names.flatMap(({ name }) => ownersOf(ring, name).map(({ id }) => `${name} on ${id}`)));
  const there = new Set((await Promise.all(disks.map(copiesOn))).flat());
  return { lacking: without(wanted, there), strays: without(there, wanted) };
}

function without(some: ReadonlySet<string>, others: ReadonlySet<string>): number {
  return [...some].filter((one) => !others.has(one)).length;
}

async function copiesOn({ id, dir }: DiskFolder): Promise<string[]> {
  const found: string[] = [];
  for await (const path of glob(`${dir}/chunks/**/*`)) if (/^[0-9a-f]{64}$/.test(basename(path))) found.push(`${basename(path)} on ${id}`);
  return found;
}
