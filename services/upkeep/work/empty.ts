/** Partitions that hold nothing: in a young installation nearly all of them do, and a change of the ring touches thousands. */
import { DIGEST_BYTES, partitionOf } from "../../kernel/digests.ts";
import { heldBy } from "./lists.ts";
import type { MovingPartition, Ports, RingNow } from "./ports.ts";

/** log2 of how many partitions of a disk are looked at in one list. */
const BLOCK_BITS = 6;

/** Those of these partitions that have no rows, and of which no former owner holds anything. Whoever does not answer may hold something. */
export async function emptyOnes(
  ports: Pick<Ports, "digests" | "list">,
  moving: readonly MovingPartition[],
  { partitionBits: bits, epoch }: RingNow,
): Promise<ReadonlySet<number>> {
  const first = moving[0]!.partition;
  const digests = Buffer.from(await ports.digests({ bits, first, last: moving.at(-1)!.partition }));
  const rowless = moving.filter(({ partition }) => digests.readUInt32LE((partition - first) * DIGEST_BYTES) === 0);
  const blockBits = Math.min(BLOCK_BITS, bits);
  const blocks = Map.groupBy(rowless, ({ partition }) => partition >>> blockBits);
  const empty = new Set<number>();
  for (const [block, partitions] of blocks) {
    const formers = new Set(partitions.flatMap(({ former }) => former));
    const held = await heldIn(ports, { block, blockBits, bits, formers, epoch }).catch(() => undefined);
    for (const { partition } of partitions) if (held && !held.has(partition)) empty.add(partition);
  }
  return empty;
}

interface Block {
  readonly block: number;
  readonly blockBits: number;
  readonly bits: number;
  readonly formers: ReadonlySet<string>;
  readonly epoch: number;
}

/** The partitions of a block of which one of these disks holds something. */
async function heldIn(ports: Pick<Ports, "list">, { block, blockBits, bits, formers, epoch }: Block): Promise<ReadonlySet<number>> {
  const lists = await Promise.all(
    [...formers].map(async (disk) => await heldBy(ports, disk, { partition: block, bits: bits - blockBits, epoch })),
  );
  return new Set(lists.flat().map(({ chunk }) => partitionOf(Buffer.from(chunk, "hex"), bits)));
}
