/** What players tell, and what follows from it. */
import { execute, one, rows, transaction, type Database } from "../../../mixins/database/sql.ts";
import type { Report } from "../contract.ts";
import { extended, HOURS, type Period, type Popular, type Statistics, type Viewing } from "../domain/viewing.ts";

/** Long enough for the season before, and no longer a log of people than need be. Views by the hour are of nobody, and stay. */
const VIEWINGS_DAYS = 100;
/** Of a video, in a day, which is how long a viewer has one name: a school behind one address, but nobody who fills the table. */
export const VIEWINGS_PER_VIEWER = 200;
/** A view of yesterday is worth half of one of today, one of a fortnight ago nothing. */
const HALF_LIFE_S = 86_400;
const POPULAR_DAYS = 14;

/** The row is locked while a report is added, so that two of the same count once. */
export async function recordViewing(db: Database, { id, session, viewer, events }: Report, durationS: number): Promise<void> {
  await transaction(db, async (tx) => {
    await execute(
      tx,
      `insert into viewings (video_id, session, viewer) select id, $2, decode($3, 'hex') from videos
       where id = $1 and (select count(*) from viewings where video_id = $1 and viewer = decode($3, 'hex')) < $4 on conflict do nothing`,
      [id, session, viewer, VIEWINGS_PER_VIEWER],
    );
    const before = await one<Viewing & { elapsedS: number }>(
      tx,
      `select heard_ms as "heardMs", watched_s as "watchedS", parts::text as parts, startup_s as "startupS", rebuffers, rebuffered_s as "rebufferedS",
         errors, extract(epoch from now() - last_at)::float8 as "elapsedS"
       from viewings where video_id = $1 and session = $2 for update`,
      [id, session],
    );
    if (!before) return;
    const now = extended(before, events, { durationS, elapsedS: Math.max(0, before.elapsedS) });
    await execute(
      tx,
      `update viewings set last_at = now(), heard_ms = $3, watched_s = $4, parts = $5::text::bit(100), startup_s = $6, rebuffers = $7,
         rebuffered_s = $8, errors = $9
       where video_id = $1 and session = $2`,
      [id, session, now.heardMs, now.watchedS, now.parts, now.startupS, now.rebuffers, now.rebufferedS, now.errors],
    );
  });
}

export async function forgetOldViewings(db: Database): Promise<void> {
  await execute(db, "delete from viewings where began_at < now() - $1 * interval '1 day'", [VIEWINGS_DAYS]);
}

/** Of a video, or of all when it is null. */
export async function statisticsOf(db: Database, id: string | null, period: Period): Promise<Statistics> {
  const [totals, series, retention] = await Promise.all([totalsOf(db, id, period), seriesOf(db, id, period), retentionOf(db, id, period)]);
  return { ...totals, views: series.reduce((all, { views }) => all + views, 0), series, retention };
}

type Totals = Omit<Statistics, "views" | "series" | "retention">;

async function totalsOf(db: Database, id: string | null, { from, to }: Period): Promise<Totals> {
  const found = await one<Totals>(
    db,
    `select count(*)::int as viewings, count(distinct viewer)::int as viewers, coalesce(sum(watched_s), 0)::float8 as "watchSeconds",
       coalesce(avg(watched_s), 0)::float8 as "averageViewSeconds",
       percentile_cont(0.5) within group (order by startup_s) as "startupSeconds",
       coalesce(sum(rebuffered_s) / nullif(sum(watched_s) + sum(rebuffered_s), 0), 0)::float8 as "rebufferRatio",
       coalesce(sum(errors), 0)::int as errors
     from viewings where ${among(id)} and began_at >= $2 and began_at < $3`,
    [id, from, to],
  );
  return found!;
}

/** Every interval, also those in which nobody watched. */
async function seriesOf(db: Database, id: string | null, { from, to, interval }: Period): Promise<Statistics["series"]> {
  const found = await rows<{ at: Date; views: number; viewers: number; watchSeconds: number }>(
    db,
    `select at, coalesce(views, 0)::int as views, coalesce(viewers, 0)::int as viewers, coalesce(watched, 0)::float8 as "watchSeconds"
     from generate_series(date_trunc($4, $2::timestamptz, 'UTC'), $3::timestamptz - interval '1 ms', $5 * interval '1 hour') as at
     left join (select date_trunc($4, hour, 'UTC') as at, sum(views) as views from view_hours
       where ${among(id)} and hour >= date_trunc('hour', $2::timestamptz, 'UTC') and hour < $3 group by 1) as counted using (at)
     left join (select date_trunc($4, began_at, 'UTC') as at, count(distinct viewer) as viewers, sum(watched_s) as watched from viewings
       where ${among(id)} and began_at >= $2 and began_at < $3 group by 1) as watched using (at)
     order by at`,
    [id, from, to, interval, HOURS[interval]],
  );
  return found.map(({ at, ...each }) => ({ at: at.toISOString(), ...each }));
}

/** Which share of the viewings has seen each hundredth. */
async function retentionOf(db: Database, id: string | null, { from, to }: Period): Promise<readonly number[]> {
  if (id === null) return [];
  const found = await rows<{ share: number }>(
    db,
    `select avg(get_bit(parts, part))::float8 as share from viewings, generate_series(0, 99) as part
     where video_id = $1 and began_at >= $2 and began_at < $3 group by part order by part`,
    [id, from, to],
  );
  return found.map(({ share }) => share);
}

const among = (id: string | null): string => (id === null ? "$1::uuid is null" : "video_id = $1");

/** What everybody may see, by views of which the older count less. */
export async function popularVideos(db: Database, limit: number): Promise<readonly Popular[]> {
  return await rows<Popular>(
    db,
    `select v.id, sum(h.views * power(0.5, extract(epoch from now() - h.hour) / $2))::float8 as score, sum(h.views)::int as views
     from view_hours h join videos v on v.id = h.video_id
     where h.hour > now() - $3 * interval '1 day' and v.deleted_at is null and v.visibility = 'public'
     group by v.id order by score desc, v.id limit $1`,
    [limit, HALF_LIFE_S, POPULAR_DAYS],
  );
}
