/**
 * What the services may do in the database. They use it as a role that owns nothing: whoever smuggles a statement into one of theirs reads and
 * writes rows, but cannot change the schema, read a file or run a program. Migrations run as the owner, who gives these rights to that role.
 */
import { Client } from "pg";
import { failure } from "../../services/kernel/errors.ts";

type Right = "insert" | "update" | "delete";

/** Of each table, beside reading it. No more than statements and triggers use: what was done stays in the audit, users and rings are never deleted. */
export const RIGHTS: Readonly<Record<string, readonly Right[]>> = {
  audit: ["insert"],
  blobs: ["insert", "update", "delete"],
  buckets: ["insert", "update", "delete"],
  captions: ["insert", "update", "delete"],
  chunks: ["insert", "update", "delete"],
  disks: ["insert", "update"],
  idempotency_keys: ["insert", "update", "delete"],
  jobs: ["insert", "update", "delete"],
  missing_copies: ["insert", "update", "delete"],
  partitions: ["insert", "update", "delete"],
  plays: ["insert", "update", "delete"],
  renditions: ["insert", "update", "delete"],
  ring_changes: ["insert", "update", "delete"],
  rings: ["insert"],
  schema_migrations: [],
  search_vocabulary: ["insert"],
  segments: ["insert", "delete"],
  sessions: ["insert", "delete"],
  signing_keys: ["insert", "delete"],
  tokens: ["insert", "update", "delete"],
  upload_parts: ["insert", "delete"],
  uploads: ["insert", "update", "delete"],
  users: ["insert", "update"],
  video_views: ["insert", "update"],
  videos: ["insert", "update", "delete"],
  view_hours: ["insert", "update"],
  viewings: ["insert", "update", "delete"],
};

/** SQLSTATE of a wrong password, and of a role that another database of the same server got at the same moment. */
const WRONG_PASSWORD = "28P01";
const NOT_ALLOWED = "42501";
const made = new Set(["42710", "23505"]);

/**
 * Lets the role of `url` use the schema that `owner` has made. A role that is not there is made, and a password that is not that of `url` is set, where
 * the owner may do so; else INVALID_REQUEST says what to do. Nothing is taken away from the role: an older node that starts beside newer ones must not take their rights.
 */
export async function admit(owner: Client, url: string): Promise<void> {
  const { username, password } = new URL(url);
  const role = decodeURIComponent(username);
  const { rows } = await owner.query<Powers>(
    `select current_user = $1 as same, exists (select 1 from pg_roles where rolname = $1) as known,
       (select rolsuper or rolcreaterole from pg_roles where rolname = current_user) as makes`,
    [role],
  );
  const [powers] = rows;
  if (!powers || powers.same) return;
  await haveRole(owner, { role, password: decodeURIComponent(password), url }, powers);
  const statements = await owner.query<{ statement: string }>(LACKING, [role, ...wanted()]);
  for (const { statement } of statements.rows) await owner.query(statement);
}

interface Powers {
  /** Whether both are one role: then there is nothing to give. */
  readonly same: boolean;
  readonly known: boolean;
  /** Whether the owner may make roles. */
  readonly makes: boolean;
}

interface Credentials {
  readonly role: string;
  readonly password: string;
  readonly url: string;
}

async function haveRole(owner: Client, { role, password, url }: Credentials, { known, makes }: Powers): Promise<void> {
  if (known && (await signsIn(url))) return;
  // Not tried in vain: PostgreSQL writes a statement that fails into its log, with the password.
  if (!makes) {
    const problem = known ? "has another password" : "is not there";
    throw failure("INVALID_REQUEST", `The role ${role} ${problem}, and the owner of the schema may not make it: make it by hand.`);
  }
  // Only a superuser may name these of a role that is there.
  const attributes = known ? "" : "nosuperuser nocreatedb nocreaterole noreplication nobypassrls";
  const verb = known ? "alter" : "create";
  const { rows } = await owner.query<{ statement: string }>(
    `select format('${verb} role %I login ${attributes} password %L', $1::text, $2::text) as statement`,
    [role, password],
  );
  await owner.query(rows[0]?.statement ?? "").catch((error: { code?: string }) => {
    if (!made.has(error.code ?? "")) throw error;
  });
}

/** False for a wrong password; throws what else keeps it away. */
async function signsIn(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url, application_name: "tritontube-migrate", connectionTimeoutMillis: 3000 });
  client.on("error", () => {});
  try {
    await client.connect();
    return true;
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (code === WRONG_PASSWORD) return false;
    // The password was right; the right to connect is given below.
    if (code === NOT_ALLOWED) return true;
    throw error;
  } finally {
    await client.end().catch(() => {});
  }
}

/** Every right and its table, as two lists of one length. */
function wanted(): [tables: string[], rights: string[]] {
  const pairs = Object.entries(RIGHTS).flatMap(([table, rights]) => ["select", ...rights].map((right) => [table, right] as const));
  return [pairs.map(([table]) => table), pairs.map(([, right]) => right)];
}

/** The statements that give the role $1 what it lacks, and take from everybody what PostgreSQL gives to everybody: to make tables, also temporary ones. */
const LACKING = `
  select format('grant %s on table public.%I to %I', string_agg(wanted, ', '), name, $1::text) as statement
  from unnest($2::text[], $3::text[]) as needed (name, wanted)
  where not has_table_privilege($1::text, format('public.%I', name), wanted) group by name
  union all
  select format('grant usage on schema public to %I', $1::text) where not has_schema_privilege($1::text, 'public', 'usage')
  union all
  select format('grant connect on database %I to %I', current_database(), $1::text)
  where not has_database_privilege($1::text, current_database(), 'connect')
  union all
  select 'revoke create on schema public from public' where has_schema_privilege($1::text, 'public', 'create')
  union all
  select format('revoke temporary on database %I from public', current_database())
  where has_database_privilege($1::text, current_database(), 'temporary')`;

/** Whether the role of this connection may do more than a service has to: it is a superuser, owns a table of ours, or may make one. */
export const OVERPOWERED = `
  select rolsuper or has_schema_privilege(rolname, 'public', 'create')
    or exists (select 1 from pg_class where relnamespace = 'public'::regnamespace and pg_has_role(rolname, relowner, 'usage')) as overpowered
  from pg_roles where rolname = current_user`;
