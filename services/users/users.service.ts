/** Users: who may come in, with what, and what they did. The truth is in PostgreSQL; every instance may do everything. */
import { randomBytes } from "node:crypto";
import type { ServiceSchema } from "moleculer";
import { databaseMixin, type WithDatabase } from "../../mixins/database/database.mixin.ts";
import { repeat, type Repeated } from "../../mixins/repeat.ts";
import { errorType, failure, messageOf } from "../kernel/errors.ts";
import { anonymous, hasRole, type Principal, type Role } from "../kernel/principal.ts";
import { broadcast, implement } from "../kernel/rpc.ts";
import { users, usersChanged, type Identity } from "./contract.ts";
import { hashPassword } from "./domain/password.ts";
import { newSecret } from "./domain/secrets.ts";
import { provePassword } from "./sign-in.ts";
import { auditBefore, record } from "./store/audit.ts";
import { createToken, identifyToken, revokeToken, tokensOf } from "./store/tokens.ts";
import { closeSession, createUser, identifySession, listUsers, openSession, prune, signingKeys, updateUser } from "./store/users.ts";

const PRUNE_MS = 3_600_000;

interface UsersService extends WithDatabase {
  pruning: Repeated;
}

const service: ServiceSchema<object, object, object, UsersService> = {
  name: "users",
  mixins: [databaseMixin],

  actions: implement<UsersService>()(users, {
    async signIn({ name, password, address, requestId }, ctx) {
      const about = { action: "signIn", subject: name.slice(0, 64), address, requestId, details: {} };
      try {
        const identity = await provePassword(this.db, ctx, { by: { name }, password, address });
        const session = newSecret("session");
        const expiresAt = await openSession(this.db, identity.user.id, session);
        await record(this.db, { ...about, as: { id: identity.user.id, role: identity.role }, outcome: "done" });
        return { session, expiresAt, identity };
      } catch (error) {
        await record(this.db, { ...about, as: anonymous, outcome: errorType(error) ?? "INTERNAL" });
        throw error;
      }
    },
    async signOut({ session }) {
      await closeSession(this.db, session);
      await broadcast(this.broker, usersChanged, { id: null });
      return null;
    },
    async identify(shown, ctx) {
      if (shown.kind === "password") return await provePassword(this.db, ctx, { by: { name: shown.name }, ...shown });
      const found = shown.kind === "token" ? identifyToken(this.db, shown.token) : identifySession(this.db, shown.session);
      return known(await found, shown.kind);
    },

    async create({ as, password, ...about }) {
      demand(as, "admin");
      return await createUser(this.db, { ...about, password: password === undefined ? null : await hashPassword(password) });
    },
    async list({ as }) {
      demand(as, "admin");
      return await listUsers(this.db);
    },
    async update({ as, id, role, disabled, password }) {
      demand(as, "admin");
      const changed = await updateUser(this.db, { id, role, disabled, password: password && (await hashPassword(password)) });
      await broadcast(this.broker, usersChanged, { id });
      return changed;
    },
    async changePassword({ as, password, next, address }, ctx) {
      const id = userOf(as);
      await provePassword(this.db, ctx, { by: { id }, password, address });
      await updateUser(this.db, { id, password: await hashPassword(next) });
      await broadcast(this.broker, usersChanged, { id });
      return null;
    },

    async createToken({ as, name, role, days }) {
      const userId = userOf(as);
      const least = role ?? (as.role === "anonymous" ? "viewer" : as.role);
      demand(as, least);
      const secret = newSecret("token");
      return { ...(await createToken(this.db, { userId, name, role: least, days, secret })), secret };
    },
    async tokens({ as }) {
      return await tokensOf(this.db, userOf(as));
    },
    async revokeToken({ as, id }) {
      await revokeToken(this.db, userOf(as), id);
      await broadcast(this.broker, usersChanged, { id: as.id });
      return null;
    },

    async record(entry) {
      await record(this.db, entry);
      return null;
    },
    async audit({ as, before, limit }) {
      demand(as, "admin");
      return await auditBefore(this.db, before, limit);
    },

    async signingKeys() {
      return await signingKeys(this.db, randomBytes(32));
    },
  }),

  async started() {
    const tell = (error: unknown): void =>
      this.logger.warn("old sessions could not be removed; trying again", { reason: messageOf(error) });
    this.pruning = repeat(PRUNE_MS, async () => await prune(this.db), tell);
  },

  async stopped() {
    await this.pruning?.stop();
  },
};

function demand(as: Principal, least: Role): void {
  if (!hasRole(as, least)) throw failure("FORBIDDEN", `This takes the role ${least}; yours is ${as.role}.`);
}

/** Where nobody signs in, there is nobody to have a token or a password. */
function userOf({ id }: Principal): string {
  if (id !== null) return id;
  throw failure("FORBIDDEN", "This takes a user who has signed in.");
}

function known(identity: Identity | undefined, kind: string): Identity {
  if (identity) return identity;
  throw failure("UNAUTHENTICATED", `The ${kind} is not valid, or not any more.`);
}

export default service;
