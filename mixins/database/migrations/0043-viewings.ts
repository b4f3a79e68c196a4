/** Views by the hour, and what players tell of those who watch. */
export const name = "0043-viewings";

export const up = `
create table view_hours (
  video_id uuid not null references videos (id) on delete cascade,
  hour timestamptz not null,
  views bigint not null,
  primary key (video_id, hour)
);
create index view_hours_age on view_hours (hour);

-- One time that somebody watches, as a player tells of it. The viewer is a keyed hash that means nothing elsewhere, nor on another day: see services/gateway/plays.ts.
create table viewings (
  video_id uuid not null references videos (id) on delete cascade,
  session uuid not null,
  viewer bytea not null check (length(viewer) = 16),
  began_at timestamptz not null default now(),
  last_at timestamptz not null default now(),
  -- The newest event that counted, by the player's own clock, ms: what is told twice counts once.
  heard_ms double precision not null default 0,
  watched_s double precision not null default 0,
  -- Which hundredths of the video were seen.
  parts bit(100) not null default repeat('0', 100)::bit(100),
  startup_s double precision,
  rebuffers integer not null default 0,
  rebuffered_s double precision not null default 0,
  errors integer not null default 0,
  primary key (video_id, session)
);
create index viewings_viewer on viewings (video_id, viewer);
create index viewings_of on viewings (video_id, began_at);
create index viewings_age on viewings (began_at);
`;

export const down = `
drop table viewings;
drop table view_hours;
`;
