/** What lists, searches and edits need: words in a form that is compared, an index for each order and filter, captions, and keys of repeated requests. */
export const name = "0004-catalogue";

export const up = `
create extension if not exists unaccent with schema public;
create extension if not exists fuzzystrmatch with schema public;

-- Names are qualified, since a restored dump computes columns without a search path.
create function search_fold(words text) returns text language sql immutable parallel safe strict
  return lower(public.unaccent('public.unaccent'::regdictionary, normalize(words, nfkc)));

-- "my_day.mp4" is three words. Scripts that put nothing between words (Thai, Lao, Japanese, Chinese) become a word a character.
create function search_words(words text) returns text language sql immutable parallel safe strict
  return regexp_replace(regexp_replace(public.search_fold(words), '[[:punct:]]+', ' ', 'g'),
    '([\\u0e00-\\u0eff\\u3040-\\u30ff\\u3400-\\u4dbf\\u4e00-\\u9fff\\uf900-\\ufaff])', ' \\1 ', 'g');

-- Every word, those of three letters and more as the beginning of one: that is what stemming is for, without a language.
create function search_query(words text) returns tsquery language sql immutable parallel safe strict
  return (select to_tsquery('pg_catalog.simple', string_agg(quote_literal(word) || case when length(word) > 2 then ':*' else '' end, ' & '))
    from regexp_split_to_table(public.search_words(words), '\\s+') as word where word <> '');

create function search_join(tags text[]) returns text language sql immutable parallel safe strict return array_to_string(tags, ' ');

alter table videos
  -- Grows with each edit by a person: what If-Match compares.
  add column edition integer not null default 1,
  -- Columns of their own: of an expression in a partial index the planner knows nothing.
  add column duration_sort double precision generated always as (coalesce(duration_s, 0)) stored,
  add column title_sort text collate "C" generated always as (left(public.search_fold(title), 200)) stored,
  add column title_search tsvector generated always as (to_tsvector('pg_catalog.simple', public.search_words(title))) stored,
  add column search tsvector generated always as (
    setweight(to_tsvector('pg_catalog.simple', public.search_words(title)), 'A')
    || setweight(to_tsvector('pg_catalog.simple', public.search_words(public.search_join(tags))), 'B')
    || setweight(to_tsvector('pg_catalog.simple', public.search_words(description)), 'C')) stored;

-- Few videos are very long: with a hundred steps, the planner takes them for twenty times as many, and looks for them among the newest.
alter table videos alter column duration_sort set statistics 1000;

-- An index for each order: of all that can be listed, and of what everybody may see, which may be little of it.
create index videos_public_newest on videos (created_at desc, id desc) where deleted_at is null and visibility = 'public';
create index videos_title on videos (title_sort, id) where deleted_at is null;
create index videos_public_title on videos (title_sort, id) where deleted_at is null and visibility = 'public';
create index videos_duration on videos (duration_sort, id) where deleted_at is null;
create index videos_public_duration on videos (duration_sort, id) where deleted_at is null and visibility = 'public';
create index videos_owner on videos (owner_id, created_at desc, id desc) where deleted_at is null;
create index videos_owner_hidden on videos (owner_id, created_at desc, id desc) where deleted_at is null and visibility <> 'public';
create index videos_hidden on videos (visibility, created_at desc, id desc) where deleted_at is null and visibility <> 'public';
create index videos_unready on videos (status, created_at desc, id desc) where deleted_at is null and status <> 'ready';
create index videos_trash on videos (deleted_at, id) where deleted_at is not null;
create index videos_trash_newest on videos (created_at desc, id desc) where deleted_at is not null;
create index videos_tags on videos using gin (tags) where deleted_at is null;
create index videos_search on videos using gin (search) where deleted_at is null;
create index videos_title_search on videos using gin (title_search) where deleted_at is null;

-- Counters change often, and a row of videos is a kilobyte in a dozen indexes: they stand beside it.
create table video_views (
  video_id uuid primary key references videos (id) on delete cascade,
  views bigint not null default 0 check (views >= 0)
);
create index video_views_most on video_views (views desc, video_id desc);
insert into video_views (video_id) select id from videos;

-- Three letters each. The extension pg_trgm knows no letter beyond ASCII where the database's locale is C.
create function search_trigrams(word text) returns text[] language sql immutable parallel safe strict
  return array(select substr(' ' || word || ' ', n, 3) from generate_series(1, length(word)) as n);

-- Words of titles and tags, for what is mistyped. A word whose last video went stays: whoever is led to it finds nothing, as before.
create table search_vocabulary (
  word text collate "C" primary key check (length(word) between 4 and 40),
  trigrams text[] not null generated always as (public.search_trigrams(word)) stored
);
create index search_vocabulary_trigrams on search_vocabulary using gin (trigrams);

create function search_vocabulary_of(title text, tags text[]) returns setof text language sql immutable parallel safe
  begin atomic
    select distinct word from regexp_split_to_table(public.search_words(title || ' ' || public.search_join(tags)), '\\s+') as word
    where length(word) between 4 and 40 and word !~ '[0-9]';
  end;

-- In the order of the words: two that add the same ones wait for each other at most once.
create function video_made() returns trigger language plpgsql as $$
begin
  insert into public.video_views (video_id) select id from made;
  insert into public.search_vocabulary (word) select distinct word from made, public.search_vocabulary_of(title, tags) as word order by word
    on conflict do nothing;
  return null;
end $$;
create trigger made after insert on videos referencing new table as made for each statement execute function video_made();

create function video_renamed() returns trigger language plpgsql as $$
begin
  insert into public.search_vocabulary (word) select word from public.search_vocabulary_of(new.title, new.tags) as word order by word on conflict do nothing;
  return null;
end $$;
create trigger renamed after update of title, tags on videos for each row
  when (old.title <> new.title or old.tags <> new.tags) execute function video_renamed();

insert into search_vocabulary (word) select distinct word from videos, search_vocabulary_of(title, tags) as word;

-- Each word that begins no known one becomes the one that differs least, by two letters at most. Null when there is nothing to mend.
create function search_correction(words text) returns text language sql stable parallel safe as $$
  select case when bool_or(nearest.word is not null) then string_agg(coalesce(nearest.word, given.word), ' ' order by given.at) end
  from regexp_split_to_table(public.search_words(words), '\\s+') with ordinality as given (word, at)
  left join lateral (
    select given.word from (select word from public.search_vocabulary where word >= given.word order by word limit 1) as next
    where starts_with(next.word, given.word)) as known on true
  left join lateral (
    select v.word from public.search_vocabulary v
    where known.word is null and length(given.word) between 4 and 40 and v.trigrams && public.search_trigrams(given.word)
      and public.levenshtein_less_equal(v.word, given.word, 2) <= case when length(given.word) > 4 then 2 else 1 end
    order by public.levenshtein(v.word, given.word), v.word limit 1) as nearest on true
  where given.word <> ''
$$;

-- WebVTT, a blob each. The language is a tag of BCP 47.
create table captions (
  video_id uuid not null references videos (id) on delete cascade,
  language text not null,
  blob bytea not null references blobs (id),
  size integer not null check (size > 0),
  updated_at timestamptz not null default now(),
  primary key (video_id, language)
);
select reference_blobs('captions', 'blob');

-- What a client said with a key of its own: the same again makes nothing new.
create table idempotency_keys (
  owner text not null,
  key text not null,
  digest bytea not null,
  video_id uuid not null references videos (id) on delete cascade,
  created_at timestamptz not null default now(),
  primary key (owner, key)
);
create index idempotency_keys_age on idempotency_keys (created_at);
create index idempotency_keys_video on idempotency_keys (video_id);
`;

export const down = `
drop table idempotency_keys;
drop table captions;
drop function search_correction;
drop trigger renamed on videos;
drop trigger made on videos;
drop function video_renamed;
drop function video_made;
drop function search_vocabulary_of;
drop table search_vocabulary;
drop function search_trigrams;
drop table video_views;
drop index videos_title_search, videos_search, videos_tags, videos_trash_newest, videos_trash, videos_unready, videos_hidden,
  videos_owner_hidden, videos_owner,
  videos_public_duration, videos_duration, videos_public_title, videos_title, videos_public_newest;
alter table videos drop column search, drop column title_search, drop column title_sort, drop column duration_sort,
  drop column edition;
drop function search_join;
drop function search_query;
drop function search_words;
drop function search_fold;
drop extension fuzzystrmatch;
drop extension unaccent;
`;
