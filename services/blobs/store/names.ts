/** Names of blobs and chunks: 32 bytes in the database, 64 digits everywhere else. */
export const bytesOf = (name: string): Buffer => Buffer.from(name, "hex");

/** Before every name. */
const START = Buffer.alloc(0);
/** Behind every name: longer than any. */
const END = Buffer.alloc(33, 0xff);

/** The names of a run of partitions: `from` inclusive, `to` exclusive. */
export function boundsOf({ bits, first, last }: { readonly bits: number; readonly first: number; readonly last: number }): {
  from: Buffer;
  to: Buffer;
} {
  const edge = (partition: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(partition * 2 ** (32 - bits));
    return bytes;
  };
  return { from: first === 0 ? START : edge(first), to: last + 1 >= 2 ** bits ? END : edge(last + 1) };
}
