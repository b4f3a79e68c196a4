/** Chunks have rows: who needs them, since when nobody does, and which disks still lack a copy. Disks have states, and changes of the ring are staged and followed. */
export const name = "0003-chunks";

export const up = `
create table chunks (
  sha256 bytea primary key check (length(sha256) = 32),
  size integer not null check (size > 0),
  -- Blobs that contain it.
  refs integer not null default 0 check (refs >= 0),
  state text not null default 'live' check (state in ('live', 'leaving')),
  -- Last leased by a writer, or released by a blob.
  touched_at timestamptz not null default now(),
  check (state = 'live' or refs = 0)
);
create index chunks_unneeded on chunks (touched_at) where refs = 0;
create index chunks_leaving on chunks (sha256) where state = 'leaving';

-- Every chunk of a blob but its last is 8 MiB long.
insert into chunks (sha256, size, refs)
select sha256, max(length), count(distinct blob)
from (select blobs.id as blob, substr(chunks, n * 32 + 1, 32) as sha256, least(8388608, size - n * 8388608::bigint)::integer as length
      from blobs, generate_series(0, length(chunks) / 32 - 1) as n) contained
group by sha256;

-- When it was made, or the last row that named it went; null when it was found to be named since.
alter table blobs add column touched_at timestamptz default now();
create index blobs_unneeded on blobs (touched_at) where touched_at is not null;

-- For triggers after statements, with the columns that name blobs as arguments: what no row of the statement names any more may be unneeded from now on.
create function release_blobs() returns trigger language plpgsql as $$
declare
  named text;
  kept text;
begin
  foreach named in array tg_argv loop
    kept := case when tg_op = 'UPDATE' then format('except select %I from new_rows', named) else '' end;
    -- Locked in the order of their names, or two who release the same ones wait for each other for ever.
    execute format(
      'with gone as materialized (
         select id from blobs where id in (select %I from old_rows %s) order by id for no key update)
       update blobs set touched_at = now() from gone where blobs.id = gone.id', named, kept);
  end loop;
  return null;
end $$;

-- For every table with columns that reference blobs: the triggers, and the indexes by which a blob finds who needs it.
create function reference_blobs(at regclass, variadic columns text[]) returns void language plpgsql as $$
declare
  named text;
  arguments text := (select string_agg(quote_literal(one), ', ') from unnest(columns) as one);
begin
  foreach named in array columns loop
    execute format('create index %I on %s (%I)', at || '_' || named, at, named);
  end loop;
  execute format('create trigger release_blobs_deleted after delete on %s referencing old table as old_rows
                  for each statement execute function release_blobs(%s)', at, arguments);
  execute format('create trigger release_blobs_updated after update on %s referencing old table as old_rows new table as new_rows
                  for each statement execute function release_blobs(%s)', at, arguments);
end $$;

select reference_blobs('videos', 'source_blob', 'thumbnail_blob');
select reference_blobs('renditions', 'init_blob');
select reference_blobs('segments', 'blob');

-- Copies that owners should have and have not: rows and no jobs, since those of a disk that is away for days must cost nothing.
create table missing_copies (
  disk_id uuid not null,
  sha256 bytea not null references chunks (sha256) on delete cascade,
  size integer not null,
  attempts integer not null default 0,
  run_at timestamptz not null default now(),
  noted_at timestamptz not null default now(),
  primary key (disk_id, sha256)
);
create index missing_copies_due on missing_copies (disk_id, run_at);
create index missing_copies_chunk on missing_copies (sha256);

insert into missing_copies (disk_id, sha256, size, noted_at)
select (payload ->> 'disk')::uuid, sha256, chunks.size, min(created_at)
from jobs join chunks on sha256 = decode(payload ->> 'chunk', 'hex')
where kind = 'chunk.repair' and jobs.state in ('queued', 'running', 'failed')
group by 1, 2, 3;
delete from jobs where kind = 'chunk.repair';

alter table disks
  add column state text not null default 'spare' check (state in ('spare', 'in', 'draining', 'out', 'removed')),
  -- What an operator wants it to weigh; null: its capacity.
  add column weight_set bigint check (weight_set > 0),
  add column down_since timestamptz,
  add column out_by text check (out_by in ('operator', 'clock')),
  add check ((state = 'out') = (out_by is not null));
update disks set state = 'in' where id in (select unnest(disks) from rings where epoch = (select max(epoch) from rings));

-- What the next ring is to change, while it is only thought of.
create table ring_changes (
  disk_id uuid primary key references disks (id) on delete cascade,
  change text not null check (change in ('add', 'drain', 'remove', 'weight')),
  weight bigint check (weight > 0),
  staged_at timestamptz not null default now()
);

-- Partitions that a change of the ring touched. The others are where they always were.
create table partitions (
  partition integer primary key check (partition >= 0),
  -- The ring that it moves to.
  epoch integer not null,
  state text not null default 'planned' check (state in ('planned', 'copying', 'verified')),
  -- Owners of before, who have its content for sure.
  former uuid[] not null,
  chunks_total bigint not null default 0,
  chunks_done bigint not null default 0,
  bytes_total bigint not null default 0,
  bytes_done bigint not null default 0,
  bytes_copied bigint not null default 0,
  started_at timestamptz,
  finished_at timestamptz
);
create index partitions_moving on partitions (partition) where state <> 'verified';
`;

export const down = `
drop table partitions;
drop table ring_changes;
alter table disks drop column state, drop column weight_set, drop column down_since, drop column out_by;
insert into jobs (kind, payload, dedupe_key, max_attempts)
select 'chunk.repair', jsonb_build_object('chunk', encode(sha256, 'hex'), 'size', size, 'disk', disk_id), encode(sha256, 'hex') || ':' || disk_id, 2147483647
from missing_copies;
drop table missing_copies;
drop function reference_blobs, release_blobs cascade;
drop index videos_source_blob, videos_thumbnail_blob, renditions_init_blob, segments_blob;
alter table blobs drop column touched_at;
drop table chunks;
`;
