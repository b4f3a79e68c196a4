/** What programs show. */
import { randomUUID } from "node:crypto";
import { execute, one, rows, type Database } from "../../../mixins/database/sql.ts";
import { failure } from "../../kernel/errors.ts";
import type { Identity, Token, UserRole } from "../contract.ts";
import { secretHash } from "../domain/secrets.ts";

interface TokenRow {
  readonly id: string;
  readonly name: string;
  readonly role: UserRole;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly usedAt: Date | null;
}

const columns = `id, name, role, created_at as "createdAt", expires_at as "expiresAt", used_at as "usedAt"`;
/** Enough for every program of a person; a list of them stays readable. */
const TOKENS_MAX = 100;

function tokenOf({ createdAt, expiresAt, usedAt, ...about }: TokenRow): Token {
  return { ...about, createdAt: createdAt.toISOString(), expiresAt: expiresAt.toISOString(), usedAt: usedAt?.toISOString() ?? null };
}

export interface NewToken {
  readonly userId: string;
  readonly name: string;
  readonly role: UserRole;
  readonly days: number;
  readonly secret: string;
}

export async function createToken(db: Database, { userId, name, role, days, secret }: NewToken): Promise<Token> {
  const made = await one<TokenRow>(
    db,
    `insert into tokens (id, user_id, name, role, hash, expires_at)
     select $1, $2, $3, $4, $5, now() + $6 * interval '1 day' where (select count(*) from tokens where user_id = $2) < $7 returning ${columns}`,
    [randomUUID(), userId, name, role, secretHash(secret), days, TOKENS_MAX],
  );
  if (!made) throw failure("INVALID_REQUEST", `A user may have ${TOKENS_MAX} tokens: revoke one first.`);
  return tokenOf(made);
}

export async function tokensOf(db: Database, userId: string): Promise<readonly Token[]> {
  return (await rows<TokenRow>(db, `select ${columns} from tokens where user_id = $1 order by created_at desc, id`, [userId])).map(tokenOf);
}

export async function revokeToken(db: Database, userId: string, id: string): Promise<void> {
  const gone = await execute(db, "delete from tokens where id = $1 and user_id = $2", [id, userId]);
  if (gone === 0) throw failure("TOKEN_NOT_FOUND", `You have no token ${id}.`);
}

/** Notes the use, at most once a minute: a row that each request changes would be the busiest of all. A token lets in with the lesser of two roles: its own, and its user's of today. */
export async function identifyToken(db: Database, secret: string): Promise<Identity | undefined> {
  const found = await one<{
    id: string;
    name: string;
    role: UserRole;
    tokenRole: UserRole;
    createdAt: Date;
    stale: boolean;
    tokenId: string;
  }>(
    db,
    `select u.id, u.name, u.role, u.created_at as "createdAt", t.role as "tokenRole", t.id as "tokenId",
       t.used_at is null or t.used_at < now() - interval '1 minute' as stale
     from tokens t join users u on u.id = t.user_id where t.hash = $1 and t.expires_at > now() and u.disabled_at is null`,
    [secretHash(secret)],
  );
  if (!found) return undefined;
  if (found.stale) await execute(db, "update tokens set used_at = now() where id = $1", [found.tokenId]);
  const { id, name, role, createdAt, tokenRole } = found;
  return { user: { id, name, role, createdAt: createdAt.toISOString(), disabledAt: null }, role: lesser(role, tokenRole) };
}

function lesser(a: UserRole, b: UserRole): UserRole {
  const order: readonly UserRole[] = ["viewer", "uploader", "admin"];
  return order[Math.min(order.indexOf(a), order.indexOf(b))] ?? "viewer";
}
