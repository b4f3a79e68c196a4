/** Who has played what lately: so that a play counts once. */
export const name = "0031-plays";

export const up = `
-- The viewer is a keyed hash of user or address and video, and goes when the play is over for long: see services/gateway/plays.ts. Of a crash nothing but
-- some plays that count twice is lost, so it is not logged.
create unlogged table plays (
  video_id uuid not null references videos (id) on delete cascade,
  viewer bytea not null check (length(viewer) = 16),
  last_at timestamptz not null default now(),
  -- Whether the newest report began a play.
  begun boolean not null default true,
  primary key (video_id, viewer)
);
create index plays_age on plays (last_at);
`;

export const down = `
drop table plays;
`;
