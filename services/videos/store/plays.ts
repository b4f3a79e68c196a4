/** Plays: each counts once, however many gateways tell of it and however often. */
import { execute, type Database } from "../../../mixins/database/sql.ts";
import type { Play } from "../contract.ts";

/** Whoever has asked for nothing for this long and then goes on begins a new play: after a meal, not after a pause. */
export const PLAY_OVER_MINUTES = 30;

/**
 * One statement: rows of videos are locked first, in their order, so that nobody waits in a circle (docs/architecture.md, Locks). Of what is deleted
 * nothing is counted.
 */
export async function countPlays(db: Database, plays: readonly Play[]): Promise<void> {
  await execute(
    db,
    `with told as (select distinct * from unnest($1::uuid[], $2::text[]) as told(id, viewer)),
     there as (select id from videos where id in (select id from told) and deleted_at is null order by id for key share),
     noted as (
       insert into plays as p (video_id, viewer) select id, decode(viewer, 'hex') from there join told using (id) order by id, viewer
       on conflict (video_id, viewer) do update set last_at = now(), begun = p.last_at < now() - $3 * interval '1 minute'
       returning video_id, begun),
     counted as (select video_id, count(*) as views from noted where begun group by video_id order by video_id),
     charted as (
       insert into view_hours as h (video_id, hour, views) select video_id, date_trunc('hour', now(), 'UTC'), views from counted
       on conflict (video_id, hour) do update set views = h.views + excluded.views)
     insert into video_views as v (video_id, views) select video_id, views from counted
     on conflict (video_id) do update set views = v.views + excluded.views`,
    [plays.map(({ id }) => id), plays.map(({ viewer }) => viewer), PLAY_OVER_MINUTES],
  );
}

/** What is over says nothing any more. */
export async function forgetOldPlays(db: Database): Promise<void> {
  await execute(db, "delete from plays where last_at < now() - $1 * interval '1 minute'", [PLAY_OVER_MINUTES]);
}
