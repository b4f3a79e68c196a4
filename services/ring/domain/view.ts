/** Where the chunks of a partition are while it moves. */
import { partitionOf, type PlacedDisk, type Table } from "./placement.ts";

/** A table, and what is still on its way to where the table says. */
interface Moving<D extends PlacedDisk> extends Table<D> {
  readonly former: Uint8Array;
  readonly leaving: readonly D[];
}

/** Nobody, where others of the row have somebody. */
const NOBODY = 0xffff;

/** Who had a chunk before its partition began to move, and is asked for it first: nobody when it does not move. */
export function formerOwnersOf<D extends PlacedDisk>(view: Moving<D>, sha256: string): D[] {
  const width = view.former.length / 2 ** (view.partitionBits + 1);
  if (width === 0) return [];
  const first = partitionOf(view, sha256) * width * 2;
  const row = new Uint16Array(view.former.slice(first, first + width * 2).buffer);
  const all = [...view.disks, ...view.leaving];
  return [...row].filter((index) => index !== NOBODY).map((index) => all[index]!);
}

/** The `former` of a view: nothing when nothing moves, else a row of equal width for each partition. */
export function encodeFormer(
  partitionBits: number,
  moving: readonly { readonly partition: number; readonly former: readonly string[] }[],
  disks: readonly { readonly id: string }[],
): Uint8Array {
  if (moving.length === 0) return new Uint8Array(0);
  const indexes = new Map(disks.map(({ id }, index) => [id, index]));
  const width = Math.max(1, ...moving.map(({ former }) => former.length));
  const rows = new Uint16Array(2 ** partitionBits * width).fill(NOBODY);
  for (const { partition, former } of moving) {
    former.forEach((id, copy) => (rows[partition * width + copy] = indexes.get(id) ?? NOBODY));
  }
  return new Uint8Array(rows.buffer);
}
