/** Signing in and out of the page. */
import { z } from "zod";
import { call } from "../kernel/rpc.ts";
import { newPassword, users } from "../users/contract.ts";
import type { Route } from "./dispatch.ts";
import { sessionCookie, sessionOf } from "./domain/credentials.ts";
import { one, sessionSchema } from "./domain/documents.ts";
import { API } from "./domain/links.ts";
import { nothing } from "./domain/parameters.ts";
import type { Answer } from "./http/reply.ts";
import { route, type GatewayState } from "./state.ts";

const tag = "Signing in";
const path = `${API}/session`;

const shown = z.strictObject({ name: z.string().min(1).max(64), password: z.string().min(1).max(256) });
const change = z.strictObject({ password: z.string().min(1).max(256), next: newPassword });

export const sessionRoutes: readonly Route<GatewayState>[] = [
  route({
    id: "getSession",
    method: "GET",
    path,
    summary: "Who asks, and what they may.",
    tag,
    needs: "anonymous",
    limit: "read",
    params: nothing,
    query: nothing,
    answers: { 200: { description: "The role is `anonymous` for who has not signed in.", json: one(sessionSchema) } },
    errors: [],
    handler: async ({ identities }, { as, identity }) =>
      secretOf(200, { mode: identities.mode, role: as.role, user: identity?.user ?? null }),
  }),
  route({
    id: "signIn",
    method: "POST",
    path,
    summary: "Opens a session: its cookie speaks for the user from then on, in requests of this server's own page.",
    tag,
    needs: "anonymous",
    limit: "signIn",
    params: nothing,
    query: nothing,
    body: { json: shown },
    answers: { 201: { description: "Signed in.", json: one(sessionSchema), headers: { "Set-Cookie": "The session." } } },
    errors: ["UNAUTHENTICATED", "RATE_LIMITED"],
    async handler({ identities }, { caller, body, client, res }) {
      const requestId = String(res.getHeader("X-Request-Id"));
      const { session, expiresAt, identity } = await call(caller, users.signIn, { ...body, address: client.address, requestId });
      const maxAgeS = Math.floor((Date.parse(expiresAt) - Date.now()) / 1000);
      const cookie = sessionCookie(session, { secure: client.secure, maxAgeS });
      return { ...secretOf(201, { mode: identities.mode, role: identity.role, user: identity.user }), headers: { "Set-Cookie": cookie } };
    },
  }),
  route({
    id: "signOut",
    method: "DELETE",
    path,
    summary: "Ends the session.",
    tag,
    needs: "anonymous",
    limit: "write",
    params: nothing,
    query: nothing,
    answers: { 204: { description: "Signed out." } },
    errors: [],
    async handler(_, { caller, client, req }) {
      const session = sessionOf(req.headers.cookie, client.secure);
      if (session !== undefined) await call(caller, users.signOut, { session });
      return { status: 204, headers: { "Set-Cookie": sessionCookie("", { secure: client.secure, maxAgeS: 0 }) } };
    },
  }),
  route({
    id: "changePassword",
    method: "PUT",
    path: `${path}/password`,
    summary: "Changes one's own password: every session ends.",
    tag,
    needs: "viewer",
    limit: "signIn",
    params: nothing,
    query: nothing,
    body: { json: change },
    answers: { 204: { description: "Changed." } },
    errors: ["UNAUTHENTICATED", "RATE_LIMITED"],
    audit: () => ({}),
    async handler(_, { caller, as, body, client }) {
      await call(caller, users.changePassword, { ...body, as, address: client.address });
      return { status: 204 };
    },
  }),
];

/** Never compressed: beside words that a page could choose, the length of an answer would tell of the secret in it (BREACH). */
function secretOf(status: number, data: object): Answer {
  return { status, json: { data }, secret: true };
}
