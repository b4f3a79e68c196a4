/** Uploads that can be resumed: what is expected, what is durable so far, and who is sending it at the moment. */
export const name = "0006-uploads";

export const up = `
create table uploads (
  id uuid primary key,
  kind text not null check (kind in ('whole', 'partial', 'final')),
  state text not null default 'open' check (state in ('open', 'complete', 'stored', 'expired')),
  -- Null of a partial upload: only what it is joined into becomes a video. No foreign key: a video may go before its upload has ended.
  video_id uuid,
  owner_id uuid,
  -- Who made it, user or address: for the limit on how many may be open.
  made_by text not null,
  -- Null until the client knows it.
  length bigint check (length > 0),
  "offset" bigint not null default 0 check ("offset" >= 0),
  -- As the client sent them: the protocol has them answered.
  metadata text not null default '',
  concat text,
  -- Grows with each request that sends bytes; an older one changes nothing any more.
  fence bigint not null default 0,
  lease_until timestamptz,
  -- Whether nothing comes from the client that holds the lease, and whether another one waits for it.
  idle boolean not null default false,
  wanted boolean not null default false,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  check (length is null or "offset" <= length),
  check ((kind = 'partial') = (video_id is null))
) with (fillfactor = 70);
create index uploads_expiry on uploads (expires_at);
create index uploads_open on uploads (made_by) where state = 'open';
create index uploads_video on uploads (video_id);

-- Bytes that are durable, in the order of start, without gaps. A blob that stands here is in use.
create table upload_parts (
  upload_id uuid not null references uploads (id) on delete cascade,
  start bigint not null check (start >= 0),
  size integer not null check (size > 0),
  blob bytea not null references blobs (id),
  primary key (upload_id, start)
);
select reference_blobs('upload_parts', 'blob');

-- A video exists from the first request of its upload on, and has no source until the last byte.
alter table videos alter column source_blob drop not null;
alter table videos add constraint videos_source check (status = 'uploading' or source_blob is not null);
`;

export const down = `
alter table videos drop constraint videos_source;
delete from videos where source_blob is null;
alter table videos alter column source_blob set not null;
drop table upload_parts;
drop table uploads;
`;
