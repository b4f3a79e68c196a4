/** The storyboard of a video: kept with it, and no condition of its being ready. */
import { completeJob } from "../../../mixins/database/jobs.ts";
import { execute, one, type Database } from "../../../mixins/database/sql.ts";
import { failure } from "../../kernel/errors.ts";
import type { JobRef } from "../../kernel/schemas.ts";
import type { Storyboard, StoryboardTiles } from "../contract.ts";
import { notFound, type Change } from "./catalogue.ts";
import { withVideo } from "./work.ts";

export async function publishStoryboard(
  db: Database,
  job: JobRef,
  { blob, size, ...tiles }: StoryboardTiles & Pick<Storyboard, "blob" | "size">,
): Promise<Change> {
  return await withVideo(db, job, async (tx, video) => {
    await completeJob(tx, job);
    await execute(
      tx,
      `update videos set storyboard_blob = decode($2, 'hex'), storyboard_size = $3, storyboard_tiles = $4::jsonb, updated_at = now() where id = $1`,
      [video.id, blob, size, JSON.stringify(tiles)],
    );
    return { id: video.id, status: video.status };
  });
}

/** VIDEO_NOT_FOUND, PICTURE_NOT_FOUND. */
export async function storyboardOf(db: Database, id: string): Promise<Storyboard> {
  const found = await one<Omit<Storyboard, "blob" | keyof StoryboardTiles> & { blob: string | null; tiles: StoryboardTiles }>(
    db,
    `select id, owner_id as owner, visibility, encode(storyboard_blob, 'hex') as blob, storyboard_size::float8 as size, storyboard_tiles as tiles, duration_s as duration
     from videos where id = $1 and deleted_at is null`,
    [id],
  );
  if (!found) throw notFound(id);
  const { blob, tiles, ...about } = found;
  if (blob === null) throw failure("PICTURE_NOT_FOUND", `The video ${id} has no storyboard yet.`);
  return { blob, ...about, ...tiles };
}
