/** A catalogue as large as one likes, made inside of the database: titles of words that are as unevenly common as those of a language. */
import { Client } from "pg";

/** What titles and descriptions are put together from: two of them a title, so few videos have the same. */
const SENTENCES = 4000;
/** The same library each time. */
const SEED = 0.42;

/**
 * Some 12,000 words; the tenth is a tenth as common as the first. Of 100 videos 85 are public, 10 unlisted and 5 private; 97 are ready; 3 lie in the
 * trash. From one to the next two minutes pass.
 */
const POOLS = `
select setseed(${SEED});
create function pg_temp.term(rank integer) returns text language sql immutable return
  (array['ba','ce','di','fo','gu','ha','je','ki','lo','mu','na','pe','ri','so','tu','va','we','xi','yo','zu'])[1 + rank % 20]
  || (array['ban','cel','dir','fos','gun','hal','jer','kis','lon','mul','nar','pes','rin','sol','tur','van','wel','xir','yon','zul'])[1 + rank / 20 % 20]
  || (array['a','e','i','o','u','as','es','is','os','us','an','en','in','on','un','ar','er','ir','or','ur'])[1 + rank / 400 % 20]
  || case when rank >= 8000 then (array['da','do','de'])[1 + rank / 8000 % 3] else '' end;
create temp table sentences as
  select n, (select string_agg(pg_temp.term(floor(exp(random() * 9.4))::integer), ' ') from generate_series(1, 1 + n % 4)) as words
  from generate_series(0, ${SENTENCES - 1}) as n;
create temp table tag_sets as
  select n, (select array_agg(distinct 'tag' || floor(exp(random() * 6.2))::integer) from generate_series(1, 2 + n % 5)) as tags
  from generate_series(0, 999) as n;
analyze sentences;
analyze tag_sets;
insert into blobs (id, size, chunks) values (sha256('source'), 1000, sha256('chunk')) on conflict do nothing;
`;

const VIDEOS = `
insert into videos (id, title, description, tags, visibility, owner_id, filename, source_blob, source_size, status, error_type, duration_s,
  created_at, updated_at, deleted_at)
select md5(g::text)::uuid, first.words || ' ' || second.words, third.words, tag_sets.tags,
  case when luck < 85 then 'public' when luck < 95 then 'unlisted' else 'private' end,
  md5('owner' || floor(exp(random() * 9.2)))::uuid, 'film.mp4', sha256('source'), 1000,
  case when luck2 < 97 then 'ready' when luck2 < 98 then 'failed' else 'processing' end, case when luck2 = 97 then 'SOURCE_DAMAGED' end,
  round(exp(5.3 + 1.9 * (random() + random() + random() + random() - 2))::numeric, 3), made, made, case when luck3 < 3 then now() end
from generate_series(1, $1::integer) as g
cross join lateral (select g * 7919::bigint % 100 as luck, g * 104729::bigint / 100 % 100 as luck2, g * 1299709::bigint / 10000 % 100 as luck3,
  now() - ($1::integer - g) * interval '2 minutes' as made) as chance
join sentences as first on first.n = g * 15485863::bigint % ${SENTENCES}
join sentences as second on second.n = g * 32452843::bigint / ${SENTENCES} % ${SENTENCES}
join sentences as third on third.n = g * 49979687::bigint / 1000 % ${SENTENCES}
join tag_sets on tag_sets.n = g * 67867967::bigint / 100 % 1000`;

/** Fills an empty catalogue. Indexes are made after the rows, which takes a fifth of the time. */
export async function fillLibrary(url: string, count: number): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query("set synchronous_commit = off; set maintenance_work_mem = '256MB'; set jit = off");
    const indexes = await client.query<{ name: string; definition: string }>(
      `select c.relname as name, pg_get_indexdef(i.indexrelid) as definition from pg_index i join pg_class c on c.oid = i.indexrelid
       where i.indrelid = 'videos'::regclass and not i.indisprimary`,
    );
    await client.query(POOLS);
    await client.query("alter table videos disable trigger user");
    for (const { name } of indexes.rows) await client.query(`drop index ${name}`);
    await client.query(VIDEOS, [count]);
    for (const { definition } of indexes.rows) await client.query(definition);
    await client.query(`
      alter table videos enable trigger user;
      insert into video_views select id, floor(exp(random() * 9)) from videos;
      insert into search_vocabulary (word) select distinct word from sentences, search_vocabulary_of(words, '{}') as word`);
    await client.query("vacuum analyze videos, video_views, search_vocabulary");
  } finally {
    await client.end();
  }
}
