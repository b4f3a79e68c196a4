/** The first schema: videos with their renditions, blobs, the ring with its disks, and the queue. */
export const name = "0001-main";

export const up = `
create table blobs (
  id bytea primary key check (length(id) = 32),
  size bigint not null check (size > 0),
  chunks bytea not null check (length(chunks) > 0 and length(chunks) % 32 = 0),
  created_at timestamptz not null default now()
);

create table disks (
  id uuid primary key,
  address text not null,
  zone text not null,
  weight bigint not null check (weight > 0),
  registered_at timestamptz not null default now(),
  seen_at timestamptz not null default now()
);

-- One row an epoch, made by compare-and-set: whoever inserts max(epoch)+1 first has made the change.
create table rings (
  epoch integer primary key check (epoch > 0),
  partition_bits smallint not null check (partition_bits between 1 and 16),
  replicas smallint not null check (replicas between 1 and 8),
  owners bytea not null,
  disks uuid[] not null,
  created_at timestamptz not null default now()
);

create table videos (
  id uuid primary key,
  title text not null,
  description text not null default '',
  tags text[] not null default '{}',
  visibility text not null default 'public' check (visibility in ('public', 'unlisted', 'private')),
  owner_id uuid,
  filename text not null,
  source_blob bytea not null references blobs (id),
  source_size bigint not null,
  status text not null check (status in ('uploading', 'queued', 'processing', 'ready', 'failed')),
  revision integer not null default 1,
  duration_s double precision,
  width integer,
  height integer,
  frame_rate_num integer,
  frame_rate_den integer,
  container text,
  video_codec text,
  audio_codec text,
  thumbnail_blob bytea references blobs (id),
  thumbnail_size bigint,
  error_type text,
  error_message text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz,
  check ((status = 'failed') = (error_type is not null))
);
create index videos_newest on videos (created_at desc, id desc) where deleted_at is null;

create table renditions (
  video_id uuid not null references videos (id) on delete cascade,
  revision integer not null,
  name text not null,
  kind text not null check (kind in ('video', 'audio')),
  width integer not null,
  height integer not null,
  segments_total integer not null,
  timescale integer,
  codecs text,
  init_blob bytea references blobs (id),
  init_size integer,
  -- Of the segments stored so far, bits a second.
  peak_bitrate bigint,
  average_bitrate bigint,
  primary key (video_id, revision, name)
);

create table segments (
  video_id uuid not null,
  revision integer not null,
  rendition text not null,
  number integer not null check (number > 0),
  blob bytea not null references blobs (id),
  size integer not null,
  start bigint not null,
  duration integer not null,
  primary key (video_id, revision, rendition, number),
  foreign key (video_id, revision, rendition) references renditions (video_id, revision, name) on delete cascade
);

-- The queue. Rows change several times in a short life: room in the page for it, and a vacuum that keeps up.
create table jobs (
  id bigint generated always as identity primary key,
  kind text not null,
  video_id uuid references videos (id) on delete cascade,
  -- Two jobs with one key are one job while the first is not ended.
  dedupe_key text,
  state text not null default 'queued' check (state in ('queued', 'running', 'done', 'failed', 'cancelled')),
  priority integer not null default 0,
  run_at timestamptz not null default now(),
  attempts integer not null default 0,
  max_attempts integer not null default 5,
  lease_until timestamptz,
  worker text,
  fence bigint not null default 0,
  payload jsonb not null default '{}',
  progress real not null default 0,
  failure jsonb,
  created_at timestamptz not null default now(),
  started_at timestamptz,
  finished_at timestamptz,
  check ((state = 'running') = (lease_until is not null))
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
create index jobs_claim on jobs (kind, priority desc, id) where state = 'queued';
create index jobs_lease on jobs (lease_until) where state = 'running';
create index jobs_video on jobs (video_id);
create unique index jobs_dedupe on jobs (kind, dedupe_key) where state in ('queued', 'running') and dedupe_key is not null;
`;

export const down = `
drop table jobs;
drop table segments;
drop table renditions;
drop table videos;
drop table rings;
drop table disks;
drop table blobs;
`;
