/** The rows of blobs, and what is counted in the rows of their chunks. */
import { one, rows, transaction, type Database, type Tx } from "../../../mixins/database/sql.ts";
import { ownBytes } from "../../kernel/bytes.ts";
import { failure } from "../../kernel/errors.ts";
import type { BlobManifest } from "../contract.ts";
import { distinctChunks, joined } from "../domain/manifest.ts";
import { bytesOf } from "./names.ts";

interface Written {
  /** Of the ring that the writer knows. */
  readonly epoch: number;
  /** When the first of its chunks was leased. */
  readonly leasedAt: string;
}

/**
 * DISK_STALE_EPOCH when the ring has changed since the `epoch` of one: its writer does not know the present owners. CHUNK_NOT_LEASED when so much time has
 * passed since a first lease that the collector may have been there.
 */
export async function assertInTime(tx: Tx, written: readonly Written[], graceSeconds: number): Promise<void> {
  const epoch = Math.min(...written.map((each) => each.epoch));
  const active = await one<{ epoch: number; lasts: boolean }>(
    tx,
    `select epoch, (select min(at) from unnest($1::timestamptz[]) as at) > now() - $2::integer * interval '1 s' as lasts
     from rings order by epoch desc limit 1`,
    [written.map(({ leasedAt }) => leasedAt), graceSeconds],
  );
  if (!active) throw failure("RING_EMPTY", "There is no ring yet.");
  if (epoch < active.epoch) throw failure("DISK_STALE_EPOCH", `The ring is at epoch ${active.epoch}, and the writer at ${epoch}.`);
  if (!active.lasts) throw failure("CHUNK_NOT_LEASED", `The chunks were leased for ${graceSeconds} s, and the blob took longer.`);
}

/**
 * The same bytes have the same name: a blob that is there already is the blob, and is as new as if it had just been made. A new one is counted in
 * each of its chunks, once. Those are locked in the order of their names, as everywhere, or two transactions wait for each other for ever.
 * CHUNK_NOT_LEASED when one of them is not there for certain.
 */
export async function insertBlobs(tx: Tx, manifests: readonly BlobManifest[]): Promise<void> {
  const given = [...new Map(manifests.map((manifest) => [manifest.blob, manifest])).values()];
  const contained = given.flatMap(({ blob, chunks }) => distinctChunks(chunks).map((chunk) => ({ id: bytesOf(blob), chunk })));
  const row = await one<{ needed: number; counted: number }>(
    tx,
    `with made as (
       insert into blobs (id, size, chunks) select * from unnest($1::bytea[], $2::bigint[], $3::bytea[]) as given (id, size, chunks) order by id
       on conflict (id) do update set touched_at = now() returning id, xmax = 0 as is_new),
     needed as materialized (
       select sha256, count(*)::integer as refs from unnest($4::bytea[], $5::bytea[]) as contained (id, sha256)
       join made using (id) where is_new group by sha256),
     present as materialized (
       select sha256 from chunks where sha256 = any($5::bytea[]) and state = 'live' and exists (select from needed)
       order by sha256 for no key update),
     counted as (
       update chunks set refs = chunks.refs + needed.refs from needed join present using (sha256)
       where chunks.sha256 = present.sha256 returning 1)
     select (select count(*)::integer from needed) as needed, (select count(*)::integer from counted) as counted`,
    [
      given.map(({ blob }) => bytesOf(blob)),
      given.map(({ size }) => size),
      given.map(({ chunks }) => Buffer.from(chunks)),
      contained.map(({ id }) => id),
      contained.map(({ chunk }) => chunk),
    ],
  );
  const lacking = row!.needed - row!.counted;
  if (lacking > 0) throw failure("CHUNK_NOT_LEASED", `${lacking} of ${row!.needed} chunks are not there any more.`);
}

export async function findBlob(db: Database, blob: string): Promise<BlobManifest | undefined> {
  const found = await one<{ size: string; chunks: Buffer }>(db, "select size, chunks from blobs where id = $1", [bytesOf(blob)]);
  return found && { blob, size: Number(found.size), chunks: ownBytes(found.chunks) };
}

/** The blob that these are together. None of them can go before it is there, so all of its chunks stay, wherever they are. BLOB_NOT_FOUND, INVALID_REQUEST. */
export async function concatBlobs(db: Database, parts: readonly string[]): Promise<BlobManifest> {
  return await transaction(db, async (tx) => {
    const found = await rows<{ id: Buffer; size: string; chunks: Buffer }>(
      tx,
      "select id, size, chunks from blobs where id = any($1::bytea[]) order by id for key share",
      [parts.map(bytesOf)],
    );
    const known = new Map(found.map(({ id, size, chunks }) => [id.toString("hex"), { size: Number(size), chunks }]));
    const whole = joined(
      parts.map((blob) => {
        const part = known.get(blob);
        if (!part) throw failure("BLOB_NOT_FOUND", `There is no blob ${blob}.`);
        return { blob, ...part };
      }),
    );
    await insertBlobs(tx, [whole]);
    return whole;
  });
}
