/** The chunks of one partition, as the rows say and as a disk says. */
import type { HeldChunk, KnownChunk, Ports } from "./ports.ts";

const ROWS_PAGE = 1000;
const DISK_PAGE = 10_000;

export interface Partition {
  readonly partition: number;
  readonly bits: number;
}

/** At a disk, by a ring. */
export interface Look extends Partition {
  readonly epoch: number;
}

export async function rowsOf(ports: Pick<Ports, "chunksIn">, { partition, bits }: Partition): Promise<KnownChunk[]> {
  return await all(ROWS_PAGE, async (after, limit) => await ports.chunksIn({ partition, bits, after, limit }));
}

export async function heldBy(ports: Pick<Ports, "list">, disk: string, partition: Look): Promise<HeldChunk[]> {
  return await all(DISK_PAGE, async (after, limit) => await ports.list(disk, { ...partition, after, limit }));
}

async function all<T extends { readonly chunk: string }>(
  limit: number,
  next: (after: string | undefined, limit: number) => Promise<readonly T[]>,
): Promise<T[]> {
  const found: T[] = [];
  for (;;) {
    const page = await next(found.at(-1)?.chunk, limit);
    found.push(...page);
    if (page.length < limit) return found;
  }
}
