/** A video with what stands beside it, in one statement: what a list of twenty needs costs one question, not four. */
import { one, type Database } from "../../../mixins/database/sql.ts";
import type { VideoRendition } from "../contract.ts";
import { videoColumns, type VideoRow } from "./video.model.ts";

export interface DescribedRow extends VideoRow {
  /** The qualities of which something is stored, smallest first. */
  readonly renditions: readonly VideoRendition[];
  readonly views: number;
  /** Languages. */
  readonly captions: readonly string[];
}

/** For a `select` from `videos v`. */
export const described = `${videoColumns},
  coalesce((select json_agg(json_build_object('name', name, 'width', width, 'height', height, 'bitrate', peak_bitrate, 'codecs', codecs)
      order by height, name)
    from renditions where video_id = v.id and revision = v.revision and kind = 'video' and codecs is not null), '[]') as renditions,
  coalesce((select views from video_views where video_id = v.id), 0)::float8 as views,
  array(select language from captions where video_id = v.id order by language) as captions`;

/** Undefined when there is none, or it lies in the trash. */
export async function findVideo(db: Database, id: string): Promise<DescribedRow | undefined> {
  return await one<DescribedRow>(db, `select ${described} from videos v where v.id = $1 and v.deleted_at is null`, [id]);
}
