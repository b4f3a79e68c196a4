/** A video with what stands beside it, in one statement: what a list of twenty needs costs one question, not four. */
import { rows, type Database } from "../../../mixins/database/sql.ts";
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

/** Those of them that are there and do not lie in the trash, in the order of the ids. */
export async function findVideos(db: Database, ids: readonly string[]): Promise<readonly DescribedRow[]> {
  return await rows<DescribedRow>(
    db,
    `select ${described} from unnest($1::uuid[]) with ordinality as wanted (id, at) join videos v on v.id = wanted.id
     where v.deleted_at is null order by wanted.at`,
    [ids],
  );
}
