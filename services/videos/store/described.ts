/** A video with what stands beside it, in one statement: what a page of twenty needs costs one question, not four. */
import { prepared, type Database } from "../../../mixins/database/sql.ts";
import type { VideoRendition } from "../contract.ts";
import { videoColumns, type VideoRow } from "./video.model.ts";

export interface DescribedRow extends VideoRow {
  /** The qualities of which something is stored, smallest first. */
  readonly renditions: readonly VideoRendition[];
  readonly views: number;
  /** Languages. */
  readonly captions: readonly string[];
}

const DESCRIBED = {
  name: "described videos",
  text: `select ${videoColumns},
    coalesce((select json_agg(json_build_object('name', name, 'width', width, 'height', height, 'bitrate', peak_bitrate, 'codecs', codecs)
        order by height, name)
      from renditions where video_id = v.id and revision = v.revision and kind = 'video' and codecs is not null), '[]') as renditions,
    coalesce((select views from video_views where video_id = v.id), 0)::float8 as views,
    array(select language from captions where video_id = v.id order by language) as captions
  from unnest($1::uuid[]) with ordinality as wanted (id, at) join videos v on v.id = wanted.id order by wanted.at`,
};

/** Those of them that are there, in the order of the ids; those in the trash, too. */
export async function describe(db: Database, ids: readonly string[]): Promise<readonly DescribedRow[]> {
  return ids.length === 0 ? [] : await prepared<DescribedRow>(db, DESCRIBED, [ids]);
}
