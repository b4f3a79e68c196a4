/** People and their programs: what they show, what they may, what they did. */
import { z } from "zod";
import { principal, type Role } from "../kernel/principal.ts";
import { action, contract, event, returns } from "../kernel/rpc.ts";
import { uuid } from "../kernel/schemas.ts";

/** In lower case, so that nobody can look like another. */
export const userName = z
  .string()
  .transform((name) => name.toLowerCase())
  .pipe(z.string().regex(/^[a-z0-9](?:[a-z0-9._@-]{0,62}[a-z0-9])?$/, "must be 1 to 64 letters, digits, or . _ @ - in between"));
/** Long ones only: rules for what they are made of make people choose worse ones (NIST SP 800-63B, 5.1.1.2). */
const PASSWORD_LENGTH_MIN = 10;
export const newPassword = z
  .string()
  .min(PASSWORD_LENGTH_MIN, `must have at least ${PASSWORD_LENGTH_MIN} characters`)
  .max(256)
  .transform((text) => text.normalize("NFKC"));
/** One that is shown may be of any kind: it is only compared. */
const shownPassword = z
  .string()
  .max(256)
  .transform((text) => text.normalize("NFKC"));
export const userRole = z.enum(["viewer", "uploader", "admin"]) satisfies z.ZodType<Role>;
export type UserRole = z.infer<typeof userRole>;
export const TOKEN_DAYS_MAX = 366;
/** Of a token or a session, as it is shown. */
const secret = z.string().min(1).max(200);
/** Of the client, for limits and for the audit. */
const address = z.string().max(64);

export interface User {
  readonly id: string;
  readonly name: string;
  readonly role: UserRole;
  readonly createdAt: string;
  readonly disabledAt: string | null;
}

/** A token as its owner sees it: its secret was shown once. */
export interface Token {
  readonly id: string;
  readonly name: string;
  readonly role: UserRole;
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly usedAt: string | null;
}

/** Who a credential stands for, and what it lets them do: a token may carry a lesser role than its user's. */
export interface Identity {
  readonly user: User;
  readonly role: UserRole;
}

const auditEntry = z.strictObject({
  as: principal,
  /** What was done: an operation of the API, or `signIn`. */
  action: z.string().min(1).max(64),
  /** The thing that it was done to. */
  subject: z.string().max(200).nullable(),
  /** "done", or the code of the failure. */
  outcome: z.string().max(64),
  address,
  requestId: z.string().max(64),
  details: z.record(z.string(), z.unknown()).default({}),
});

export interface AuditEntry {
  readonly id: string;
  readonly at: string;
  readonly user: string | null;
  readonly role: string;
  readonly action: string;
  readonly subject: string | null;
  readonly outcome: string;
  readonly address: string;
  readonly requestId: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** A secret that signs addresses for a while, and proves them for longer. */
export interface SigningKey {
  readonly id: number;
  /** base64url */
  readonly secret: string;
  readonly createdAt: string;
}

export const users = contract("users", {
  /** A session for a browser. UNAUTHENTICATED for a wrong name or password, in the same words and time; RATE_LIMITED after several. */
  signIn: action({
    params: z.strictObject({ name: z.string().max(64), password: shownPassword, address, requestId: z.string().max(64) }),
    returns: returns<{ session: string; expiresAt: string; identity: Identity }>(),
    scope: "cluster",
    idempotent: false,
  }),
  signOut: action({ params: z.strictObject({ session: secret }), returns: returns<null>(), scope: "cluster", idempotent: true }),
  /** Who shows this. UNAUTHENTICATED for what is not known, expired, revoked, or of a disabled user. */
  identify: action({
    params: z.discriminatedUnion("kind", [
      z.strictObject({ kind: z.literal("token"), token: secret }),
      z.strictObject({ kind: z.literal("session"), session: secret }),
      z.strictObject({ kind: z.literal("password"), name: z.string().max(64), password: shownPassword, address }),
    ]),
    returns: returns<Identity>(),
    scope: "cluster",
    idempotent: true,
  }),

  /** Administrators only, as are `list` and `update`. USER_EXISTS. */
  create: action({
    params: z.strictObject({ as: principal, id: uuid, name: userName, role: userRole, password: newPassword.optional() }),
    returns: returns<User>(),
    scope: "cluster",
    idempotent: false,
  }),
  /** By name. */
  list: action({ params: z.strictObject({ as: principal }), returns: returns<readonly User[]>(), scope: "cluster", idempotent: true }),
  /** A new password or a disabled user ends all sessions, and disabling the tokens, too. LAST_ADMIN when nobody would be left to administer. */
  update: action({
    params: z.strictObject({
      as: principal,
      id: uuid,
      role: userRole.optional(),
      password: newPassword.optional(),
      disabled: z.boolean().optional(),
    }),
    returns: returns<User>(),
    scope: "cluster",
    idempotent: true,
  }),
  /** The caller's own password, for the one it has. */
  changePassword: action({
    params: z.strictObject({ as: principal, password: shownPassword, next: newPassword, address }),
    returns: returns<null>(),
    scope: "cluster",
    idempotent: false,
  }),

  /** A token of the caller. Its secret is in this answer and nowhere else. FORBIDDEN for a role above the caller's. */
  createToken: action({
    params: z.strictObject({
      as: principal,
      name: z.string().min(1).max(100),
      role: userRole.optional(),
      days: z.int().min(1).max(TOKEN_DAYS_MAX),
    }),
    returns: returns<Token & { secret: string }>(),
    scope: "cluster",
    idempotent: false,
  }),
  tokens: action({ params: z.strictObject({ as: principal }), returns: returns<readonly Token[]>(), scope: "cluster", idempotent: true }),
  /** TOKEN_NOT_FOUND, also for those of others. */
  revokeToken: action({
    params: z.strictObject({ as: principal, id: uuid }),
    returns: returns<null>(),
    scope: "cluster",
    idempotent: true,
    doneWhen: "TOKEN_NOT_FOUND",
  }),

  record: action({ params: auditEntry, returns: returns<null>(), scope: "cluster", idempotent: false }),
  /** Newest first; administrators only. */
  audit: action({
    params: z.strictObject({
      as: principal,
      before: z
        .string()
        .regex(/^[0-9]{1,18}$/)
        .optional(),
      limit: z.int().min(1).max(100),
    }),
    returns: returns<readonly AuditEntry[]>(),
    scope: "cluster",
    idempotent: true,
  }),

  /** Newest first: the first one signs, all of them prove. */
  signingKeys: action({ params: z.strictObject({}), returns: returns<readonly SigningKey[]>(), scope: "cluster", idempotent: true }),
});

/** Somebody's credentials or rights changed: what was remembered of anybody is forgotten. */
export const usersChanged = event<{ id: string | null }>("users.changed");
