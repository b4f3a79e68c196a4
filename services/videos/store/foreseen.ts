/** What was begun before the last byte of a video had come: kept when that comes, or dropped. */
import type { JobKind } from "../../../mixins/database/enqueue.ts";
import { forgetWork, releaseJobs } from "../../../mixins/database/jobs.ts";
import { execute, one, rows, type Database, type Tx } from "../../../mixins/database/sql.ts";
import { notFound, type LockedVideo } from "./catalogue.ts";

export async function isForeseen(tx: Tx, { id, revision }: LockedVideo): Promise<boolean> {
  return (await one(tx, "select 1 from renditions where video_id = $1 and revision = $2 limit 1", [id, revision])) !== undefined;
}

/** The source has come: what was waiting for bytes of it waits no more, and reads them from there. Answers the kinds. */
export async function bindSource(
  tx: Tx,
  id: string,
  { blob, size }: { readonly blob: string; readonly size: number },
): Promise<readonly JobKind[]> {
  await execute(
    tx,
    `update jobs set payload = jsonb_set(payload, '{source}', (payload -> 'source') - 'upload' || jsonb_build_object('blob', $2::text))
     where id in (select id from jobs where video_id = $1 and payload #> '{source,upload}' is not null order by id for update)`,
    [id, blob],
  );
  await releaseJobs(tx, id, size);
  const waiting = await rows<{ kind: JobKind }>(tx, "select distinct kind from jobs where video_id = $1 and state = 'queued'", [id]);
  return waiting.map(({ kind }) => kind);
}

/** As if nothing had been made of the first bytes: what was made of them is dropped, under addresses that never mean anything else. */
export async function dropForesight(tx: Tx, video: LockedVideo): Promise<void> {
  await forgetWork(tx, video.id);
  if (!(await isForeseen(tx, video))) return;
  await execute(tx, "delete from renditions where video_id = $1", [video.id]);
  await execute(tx, "update videos set revision = revision + 1, updated_at = now() where id = $1", [video.id]);
}

/** VIDEO_NOT_FOUND. */
export async function arrivedSource(db: Database, id: string): Promise<{ readonly blob: string } | null> {
  const found = await one<{ blob: string | null }>(db, "select encode(source_blob, 'hex') as blob from videos where id = $1", [id]);
  if (!found) throw notFound(id);
  return found.blob === null ? null : { blob: found.blob };
}
