/** The rows of chunks. A row is there before the first byte is on a disk, and goes after the last. */
import { rows, type Database } from "../../../mixins/database/sql.ts";
import { DIGEST_BYTES, PARTITION_BITS_MAX } from "../../kernel/digests.ts";
import { failure } from "../../kernel/errors.ts";
import type { KnownChunk, SizedChunk } from "../contract.ts";
import { boundsOf, bytesOf } from "./names.ts";

const KNOWN = `encode(sha256, 'hex') as chunk, size, refs > 0 as needed, state = 'leaving' as leaving`;

/** Answers when the lease began. CHUNK_LEAVING. */
export async function leaseChunks(db: Database, list: readonly SizedChunk[]): Promise<string> {
  const sizes = new Map(list.map(({ chunk, size }) => [chunk, size]));
  const names = [...sizes.keys()].toSorted();
  const leased = await rows<{ at: Date }>(
    db,
    `insert into chunks (sha256, size) select * from unnest($1::bytea[], $2::integer[])
     on conflict (sha256) do update set touched_at = greatest(chunks.touched_at, now()) where chunks.state = 'live'
     returning now() as at`,
    [names.map(bytesOf), names.map((name) => sizes.get(name)!)],
  );
  const [first] = leased;
  if (!first || leased.length < names.length)
    throw failure("CHUNK_LEAVING", "A chunk of the same content is just being deleted: it can be stored again in a few seconds.");
  return first.at.toISOString();
}

export async function chunksIn(
  db: Database,
  {
    bits,
    partition,
    after,
    limit,
  }: { readonly bits: number; readonly partition: number; readonly after?: string | undefined; readonly limit: number },
): Promise<readonly KnownChunk[]> {
  const { from, to } = boundsOf({ bits, first: partition, last: partition });
  const behind = after === undefined ? (["sha256 >= $1", from] as const) : (["sha256 > $1", bytesOf(after)] as const);
  return await rows<KnownChunk>(db, `select ${KNOWN} from chunks where ${behind[0]} and sha256 < $2 order by sha256 limit $3`, [
    behind[1],
    to,
    limit,
  ]);
}

export async function knownChunks(db: Database, names: readonly string[]): Promise<readonly KnownChunk[]> {
  return await rows<KnownChunk>(db, `select ${KNOWN} from chunks where sha256 = any($1::bytea[])`, [names.map(bytesOf)]);
}

export async function digestsOf(
  db: Database,
  range: { readonly bits: number; readonly first: number; readonly last: number },
): Promise<Buffer> {
  const { from, to } = boundsOf(range);
  const found = await rows<{ partition: number; count: string; names: string }>(
    db,
    `select (get_byte(sha256, 0) * 256 + get_byte(sha256, 1)) >> $3::integer as partition, count(*),
       bit_xor(('x' || encode(substr(sha256, 9, 8), 'hex'))::bit(64)::bigint) as names
     from chunks where sha256 >= $1 and sha256 < $2 group by 1`,
    [from, to, PARTITION_BITS_MAX - range.bits],
  );
  const digests = Buffer.alloc((range.last - range.first + 1) * DIGEST_BYTES);
  for (const { partition, count, names } of found) {
    const at = (partition - range.first) * DIGEST_BYTES;
    digests.writeUInt32LE(Number(count), at);
    digests.writeBigInt64BE(BigInt(names), at + 4);
  }
  return digests;
}
