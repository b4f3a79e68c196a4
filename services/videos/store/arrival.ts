/** Videos whose bytes are on their way: they come into the catalogue before their source does. */
import { enqueue } from "../../../mixins/database/enqueue.ts";
import { execute, one, transaction, type Database, type Tx } from "../../../mixins/database/sql.ts";
import { failure } from "../../kernel/errors.ts";
import type { VideoStatus } from "../domain/lifecycle.ts";
import { after, lock, notFound, type Change, type LockedVideo, type NewVideo } from "./catalogue.ts";
import { bindSource, dropForesight, isForeseen } from "./foreseen.ts";

type Source = NewVideo["source"];

export async function reserve(db: Database, video: Omit<NewVideo, "source" | "request"> & { readonly size: number }): Promise<Change> {
  const { id, title, description, tags, visibility, owner, filename, size } = video;
  const made = await execute(
    db,
    `insert into videos (id, title, description, tags, visibility, owner_id, filename, source_size, status)
     values ($1, $2, $3, $4::text[], $5, $6, $7, $8, $9) on conflict (id) do nothing`,
    [id, title, description, tags, visibility, owner, filename, size, "uploading" satisfies VideoStatus],
  );
  return made === 0 ? { id } : { id, status: "uploading" };
}

/** One that lies in the trash gets its source and no work: whoever takes it out again gives it that. */
export async function arrive(db: Database, id: string, source: Source): Promise<Change> {
  return await transaction(db, async (tx) => {
    const video = await lock(tx, id);
    const row = await one<{ filename: string; status: VideoStatus }>(tx, "select filename, status from videos where id = $1", [id]);
    if (!row) throw notFound(id);
    if (row.status !== "uploading") return { id };
    const foreseen = video.status !== "deleted" && (await isForeseen(tx, video));
    await putSource(tx, id, source, foreseen ? "processing" : "queued");
    if (foreseen) return await goOn(tx, video, source);
    await dropForesight(tx, video);
    if (video.status === "deleted") return { id };
    const payload = { blob: source.blob, size: source.size, filename: row.filename };
    const enqueued = await enqueue(tx, [{ kind: "video.inspect", videoId: id, payload }]);
    return { id, status: after(video, "stored"), enqueued };
  });
}

/** With the work that began before the last byte had come. */
async function goOn(tx: Tx, video: LockedVideo, source: Source): Promise<Change> {
  const enqueued = await bindSource(tx, video.id, source);
  return { id: video.id, status: after({ ...video, status: after(video, "stored") }, "begun"), enqueued };
}

async function putSource(tx: Tx, id: string, { blob, size }: Source, status: VideoStatus): Promise<void> {
  const put = await execute(
    tx,
    `update videos set source_blob = blobs.id, source_size = blobs.size, status = $4, updated_at = now()
     from blobs where videos.id = $1 and blobs.id = decode($2, 'hex') and blobs.size = $3::bigint`,
    [id, blob, size, status],
  );
  if (put === 0) throw failure("BLOB_NOT_FOUND", `There is no blob ${blob} of ${size} bytes.`);
}

export async function abandon(db: Database, id: string): Promise<Change> {
  const gone = await execute(db, "delete from videos where id = $1 and status = $2", [id, "uploading" satisfies VideoStatus]);
  return gone === 0 ? { id } : { id, status: "deleted", cancelled: true };
}
