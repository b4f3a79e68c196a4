/** Who may ask: users with what they show (passwords, tokens, sessions), what they did, the secrets that sign addresses, and how much each has asked for. */
export const name = "0005-users";

export const up = `
-- Never deleted, since videos and the audit name them: who shall not come in any more is disabled.
create table users (
  id uuid primary key,
  name text not null check (name = lower(name)),
  role text not null check (role in ('viewer', 'uploader', 'admin')),
  -- Of a slow hash, with its cost in front; null: the user has tokens only.
  password text,
  created_at timestamptz not null default now(),
  disabled_at timestamptz
);
create unique index users_name on users (name);

-- What programs show. Only the SHA-256 is kept: they are random, so nothing slower is needed.
create table tokens (
  id uuid primary key,
  user_id uuid not null references users (id) on delete cascade,
  name text not null,
  hash bytea not null unique check (length(hash) = 32),
  -- May be less than the user's own.
  role text not null check (role in ('viewer', 'uploader', 'admin')),
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  used_at timestamptz
);
create index tokens_user on tokens (user_id, created_at desc);

-- What browsers show.
create table sessions (
  hash bytea primary key check (length(hash) = 32),
  user_id uuid not null references users (id) on delete cascade,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);
create index sessions_user on sessions (user_id);
create index sessions_end on sessions (expires_at);

-- Without references: it outlives what it tells of.
create table audit (
  id bigint generated always as identity primary key,
  at timestamptz not null default now(),
  user_id uuid,
  role text not null,
  action text not null,
  subject text,
  outcome text not null,
  address text not null,
  request_id text not null,
  details jsonb not null default '{}'
);

create table signing_keys (
  id integer generated always as identity primary key,
  secret bytea not null check (length(secret) = 32),
  created_at timestamptz not null default now()
);

-- When each bucket will be empty again. Of a crash nothing but some patience is lost, so it is not logged.
create unlogged table buckets (
  key text primary key,
  empty_at timestamptz not null
);
create index buckets_empty on buckets (empty_at);
`;

export const down = `
drop table buckets;
drop table signing_keys;
drop table audit;
drop table sessions;
drop table tokens;
drop table users;
`;
