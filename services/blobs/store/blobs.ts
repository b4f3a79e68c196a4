/** The rows of blobs, and what is counted in the rows of their chunks. */
import { execute, one, rows, transaction, type Database, type Tx } from "../../../mixins/database/sql.ts";
import { ownBytes } from "../../kernel/bytes.ts";
import { failure } from "../../kernel/errors.ts";
import type { BlobManifest } from "../contract.ts";
import { distinctChunks, joined } from "../domain/manifest.ts";
import { bytesOf } from "./names.ts";

/** DISK_STALE_EPOCH when the ring has changed since `epoch`: the writer does not know the present owners. */
export async function assertCurrent(tx: Tx, epoch: number): Promise<void> {
  const active = await one<{ epoch: number }>(tx, "select epoch from rings order by epoch desc limit 1");
  if (!active) throw failure("RING_EMPTY", "There is no ring yet.");
  if (epoch < active.epoch) throw failure("DISK_STALE_EPOCH", `The ring is at epoch ${active.epoch}, and the writer at ${epoch}.`);
}

/**
 * The same bytes have the same name: a blob that is there already is the blob, and is as new as if it had just been made. A new one is counted in
 * each of its chunks, once. CHUNK_NOT_LEASED when one of them is not there for certain.
 */
export async function insertBlob(tx: Tx, { blob, size, chunks }: BlobManifest): Promise<void> {
  const row = await one<{ made: boolean }>(
    tx,
    `insert into blobs (id, size, chunks) values ($1, $2, $3) on conflict (id) do update set touched_at = now() returning xmax = 0 as made`,
    [bytesOf(blob), size, Buffer.from(chunks)],
  );
  if (row?.made) await countIn(tx, distinctChunks(chunks));
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
    await insertBlob(tx, whole);
    return whole;
  });
}

/** Locked in the order of their names, as everywhere, or two transactions wait for each other for ever. */
async function countIn(tx: Tx, chunks: readonly Buffer[]): Promise<void> {
  const counted = await execute(
    tx,
    `with present as materialized (
       select sha256 from chunks where sha256 = any($1::bytea[]) and state = 'live' order by sha256 for no key update)
     update chunks set refs = refs + 1 from present where chunks.sha256 = present.sha256`,
    [chunks],
  );
  if (counted < chunks.length)
    throw failure("CHUNK_NOT_LEASED", `${chunks.length - counted} of ${chunks.length} chunks are not there any more.`);
}
