/** Users as rows. */
import { execute, one, rows, transaction, type Database, type Tx } from "../../../mixins/database/sql.ts";
import { failure } from "../../kernel/errors.ts";
import type { Identity, SigningKey, User, UserRole } from "../contract.ts";
import { secretHash } from "../domain/secrets.ts";

interface UserRow {
  readonly id: string;
  readonly name: string;
  readonly role: UserRole;
  readonly createdAt: Date;
  readonly disabledAt: Date | null;
}

const columns = `u.id, u.name, u.role, u.created_at as "createdAt", u.disabled_at as "disabledAt"`;

function userOf({ id, name, role, createdAt, disabledAt }: UserRow): User {
  return { id, name, role, createdAt: createdAt.toISOString(), disabledAt: disabledAt?.toISOString() ?? null };
}

export interface NewUser {
  readonly id: string;
  readonly name: string;
  readonly role: UserRole;
  /** Its record; null for a user that has tokens only. */
  readonly password: string | null;
}

/** USER_EXISTS when the name is taken, or the id. */
export async function createUser(db: Database, { id, name, role, password }: NewUser): Promise<User> {
  const made = await one<UserRow>(
    db,
    `insert into users as u (id, name, role, password) values ($1, $2, $3, $4) on conflict do nothing returning ${columns}`,
    [id, name, role, password],
  );
  if (!made) throw failure("USER_EXISTS", `There is a user ${name} already.`);
  return userOf(made);
}

export async function listUsers(db: Database): Promise<readonly User[]> {
  return (await rows<UserRow>(db, `select ${columns} from users u order by u.name`)).map(userOf);
}

export interface UserChange {
  readonly id: string;
  readonly role?: UserRole | undefined;
  readonly disabled?: boolean | undefined;
  /** Its record. */
  readonly password?: string | undefined;
}

/** USER_NOT_FOUND, LAST_ADMIN. What lets in a user that was disabled, or had another password, is gone in the same transaction. */
export async function updateUser(db: Database, change: UserChange): Promise<User> {
  return await transaction(db, async (tx) => {
    const { id, role, disabled, password } = change;
    // Whoever takes rights away waits for whoever else does: two administrators who disable each other at once would leave none.
    await execute(tx, "select pg_advisory_xact_lock(hashtext('tritontube.users'))");
    const changed = await one<UserRow>(
      tx,
      `update users u set role = coalesce($2, role), password = coalesce($3, password),
         disabled_at = case when $4::boolean then coalesce(disabled_at, now()) when not $4 then null else disabled_at end
       where id = $1 returning ${columns}`,
      [id, role ?? null, password ?? null, disabled ?? null],
    );
    if (!changed) throw failure("USER_NOT_FOUND", `There is no user ${id}.`);
    if (role !== undefined || disabled === true) await assertAdminLeft(tx);
    if (password !== undefined || disabled === true) await execute(tx, "delete from sessions where user_id = $1", [id]);
    if (disabled === true) await execute(tx, "delete from tokens where user_id = $1", [id]);
    return userOf(changed);
  });
}

async function assertAdminLeft(tx: Tx): Promise<void> {
  if (await one(tx, "select 1 from users where role = 'admin' and disabled_at is null")) return;
  throw failure("LAST_ADMIN", "Then nobody could administer this server any more: make another administrator first.");
}

/** A user who may come in, with the record of the password; undefined for any other name. */
export async function credentialOf(
  db: Database,
  by: { name: string } | { id: string },
): Promise<{ user: User; record: string } | undefined> {
  const [column, value] = "name" in by ? ["name", by.name.toLowerCase()] : ["id", by.id];
  const found = await one<UserRow & { record: string }>(
    db,
    `select ${columns}, u.password as record from users u where u.${column} = $1 and u.disabled_at is null and u.password is not null`,
    [value],
  );
  return found && { user: userOf(found), record: found.record };
}

/** How long a browser stays signed in: whoever comes back within it need not remember the password. */
const SESSION = "14 days";

export async function openSession(db: Database, userId: string, session: string): Promise<string> {
  const made = await one<{ expiresAt: Date }>(
    db,
    `insert into sessions (hash, user_id, expires_at) values ($1, $2, now() + interval '${SESSION}') returning expires_at as "expiresAt"`,
    [secretHash(session), userId],
  );
  return made?.expiresAt.toISOString() ?? "";
}

export async function closeSession(db: Database, session: string): Promise<void> {
  await execute(db, "delete from sessions where hash = $1", [secretHash(session)]);
}

export async function identifySession(db: Database, session: string): Promise<Identity | undefined> {
  const found = await one<UserRow>(
    db,
    `select ${columns} from sessions s join users u on u.id = s.user_id
     where s.hash = $1 and s.expires_at > now() and u.disabled_at is null`,
    [secretHash(session)],
  );
  return found && { user: userOf(found), role: found.role };
}

/** Signs for a day; what it signed is valid for at most another one (services/gateway/domain/signature.ts). */
const KEY_AGE = "1 day";
const KEY_END = "2 days 1 hour";

/** Makes a new key when the newest is a day old. Two who do it at once leave one more key than needed. */
export async function signingKeys(db: Database, secret: Uint8Array): Promise<readonly SigningKey[]> {
  await execute(
    db,
    `insert into signing_keys (secret) select $1 where not exists (select 1 from signing_keys where created_at > now() - interval '${KEY_AGE}')`,
    [secret],
  );
  const found = await rows<{ id: number; secret: Buffer; createdAt: Date }>(
    db,
    `select id, secret, created_at as "createdAt" from signing_keys where created_at > now() - interval '${KEY_END}' order by id desc`,
  );
  return found.map((key) => ({ id: key.id, secret: key.secret.toString("base64url"), createdAt: key.createdAt.toISOString() }));
}

/** What has run out lets nobody in; here it also stops taking up room. */
export async function prune(db: Database): Promise<void> {
  await execute(db, "delete from sessions where expires_at < now()");
  await execute(db, "delete from tokens where expires_at < now() - interval '30 days'");
  await execute(db, `delete from signing_keys where created_at < now() - interval '${KEY_END}'`);
}
