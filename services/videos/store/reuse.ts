/** Two videos of one source that are made alike name the same blobs (decision 0034). Each has rows of its own: what becomes of one changes nothing of the other. */
import { enqueue } from "../../../mixins/database/enqueue.ts";
import { assertHeld, completeJob } from "../../../mixins/database/jobs.ts";
import { execute, one, type Database, type Tx } from "../../../mixins/database/sql.ts";
import type { JobRef } from "../../kernel/schemas.ts";
import { after, type Change, type LockedVideo } from "./catalogue.ts";
import { withVideo } from "./work.ts";

/** Undefined when there is no other video to take it from. */
export async function reuse(db: Database, job: JobRef, recipe: string): Promise<Change | undefined> {
  return await withVideo(db, job, async (tx, video) => {
    await assertHeld(tx, job);
    const model = await modelFor(tx, video, recipe);
    if (!model) return undefined;
    await completeJob(tx, job);
    await copyRows(tx, video, model);
    const status = after({ ...video, status: after(video, "begun") }, "finished");
    await execute(tx, "update videos set status = $2 where id = $1", [video.id, status]);
    const enqueued = model.hasStoryboard ? [] : await enqueue(tx, [{ kind: "video.storyboard", videoId: video.id, payload: {} }]);
    return { id: video.id, status, enqueued };
  });
}

interface Model {
  readonly id: string;
  readonly revision: number;
  readonly hasStoryboard: boolean;
}

/** One whose poster failed is no model, nor one whose captions failed or are still to come: its copies would be without them for ever. Kept from being purged until the transaction ends. What lies in the trash is as good; a private one belongs to its owner alone. */
async function modelFor(tx: Tx, { id, owner }: LockedVideo, recipe: string): Promise<Model | undefined> {
  return await one<Model>(
    tx,
    `select other.id, other.revision, other.storyboard_blob is not null as "hasStoryboard" from videos as other
     where other.source_blob = (select source_blob from videos where id = $1) and other.id <> $1 and other.status = 'ready' and other.recipe = $2
       and other.thumbnail_blob is not null
       and not exists (select 1 from jobs where video_id = other.id and kind = 'video.captions' and state <> 'done')
       and (other.visibility <> 'private' or other.owner_id is not distinct from $3::uuid)
     order by other.storyboard_blob is null, other.id limit 1 for key share skip locked`,
    [id, recipe, owner],
  );
}

const FACTS = "duration_s, width, height, frame_rate_num, frame_rate_den, container, video_codec, audio_codec, recipe";
const PICTURES = "thumbnail_blob, thumbnail_size, storyboard_blob, storyboard_size, storyboard_tiles";
const RENDITION = `name, kind, width, height, segments_total, frame_rate_num, frame_rate_den, frame_runs, timescale, codecs, init_blob, init_size,
  peak_bitrate, average_bitrate`;

async function copyRows(tx: Tx, { id, revision }: LockedVideo, model: Model): Promise<void> {
  const columns = `${FACTS}, ${PICTURES}`;
  await execute(tx, `update videos set (${columns}, updated_at) = (select ${columns}, now() from videos where id = $2) where id = $1`, [
    id,
    model.id,
  ]);
  const from = [id, revision, model.id, model.revision];
  await execute(
    tx,
    `insert into renditions (video_id, revision, ${RENDITION}) select $1, $2, ${RENDITION} from renditions where video_id = $3 and revision = $4`,
    from,
  );
  await execute(
    tx,
    `insert into segments (video_id, revision, rendition, number, blob, size, start, duration)
     select $1, $2, rendition, number, blob, size, start, duration from segments where video_id = $3 and revision = $4`,
    from,
  );
  await execute(
    tx,
    `insert into captions (video_id, language, blob, size, of_source) select $1, language, blob, size, true from captions where video_id = $2 and of_source
     on conflict (video_id, language) do nothing`,
    [id, model.id],
  );
}
