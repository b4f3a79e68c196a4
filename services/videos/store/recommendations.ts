/** Videos that may be shown beside one: a few of each kind, each kind from its index. */
import { rows, type Bind, type Database } from "../../../mixins/database/sql.ts";
import type { Candidate } from "../domain/recommendations.ts";

/** Of each kind: with the fifty newest of each tag there is a choice, and the choice takes milliseconds. */
const EACH = 50;
/** Who has given thirty tags gave the telling ones first. */
const TAGS_MAX = 5;

/** What everybody may watch. */
const SHOWN = "v.deleted_at is null and v.visibility = 'public' and v.status = 'ready'";

export async function candidatesFor(db: Database, { tags, owner }: Pick<Candidate, "tags" | "owner">): Promise<readonly Candidate[]> {
  const bind: Bind[] = [];
  const newest = (condition: string, value: string): string => {
    bind.push(value);
    return `(select v.id from videos v where ${SHOWN} and ${condition.replace("?", `$${bind.length}`)} order by v.created_at desc, v.id desc limit ${EACH})`;
  };
  const kinds = [
    ...tags.slice(0, TAGS_MAX).map((tag) => newest("v.tags @> array[?::text]", tag)),
    ...(owner === null ? [] : [newest("v.owner_id = ?::uuid", owner)]),
    `(select v.id from video_views n join videos v on v.id = n.video_id where ${SHOWN} order by n.views desc, n.video_id desc limit ${EACH})`,
    `(select v.id from videos v where ${SHOWN} order by v.created_at desc, v.id desc limit ${EACH})`,
  ];
  return await rows<Candidate>(
    db,
    `select v.id, v.tags, v.owner_id as owner, n.views::float8 as views
     from (${kinds.join(" union ")}) as found join videos v on v.id = found.id join video_views n on n.video_id = v.id
     order by v.created_at desc, v.id desc`,
    bind,
  );
}
