/** Users, for administrators; tokens, for whoever has them; and what was done. */
import { randomUUID } from "node:crypto";
import { z } from "zod";
import { call } from "../kernel/rpc.ts";
import { uuid } from "../kernel/schemas.ts";
import { newPassword, TOKEN_DAYS_MAX, userName, userRole, users } from "../users/contract.ts";
import type { Route } from "./dispatch.ts";
import { auditSchema, newTokenSchema, one, tokenSchema, userSchema } from "./domain/documents.ts";
import { API } from "./domain/links.ts";
import { byId, nothing, whole } from "./domain/parameters.ts";
import { ok } from "./http/reply.ts";
import { route, type GatewayState } from "./state.ts";

const people = { tag: "Users", needs: "admin", limit: "write" } as const;
const programs = { tag: "Tokens", needs: "viewer", limit: "write" } as const;

const newUser = z.strictObject({ name: userName, role: userRole, password: newPassword.optional() });
const userChange = z.strictObject({ role: userRole.optional(), disabled: z.boolean().optional(), password: newPassword.optional() });
const newToken = z.strictObject({
  name: z.string().min(1).max(100).describe("what it is for"),
  role: userRole.optional().describe("at most one's own, which is the default"),
  days: z.int().min(1).max(TOKEN_DAYS_MAX).default(90).describe("how long it is valid"),
});
const auditQuery = z.strictObject({
  limit: whole(1, 100).default(50).describe("entries on a page"),
  before: z
    .string()
    .regex(/^[0-9]{1,18}$/, "must be the id of an entry")
    .optional()
    .describe("only entries older than this one"),
});

export const userRoutes: readonly Route<GatewayState>[] = [
  route({
    ...people,
    id: "listUsers",
    method: "GET",
    path: `${API}/users`,
    summary: "Everybody who may sign in, by name.",
    params: nothing,
    query: nothing,
    answers: { 200: { description: "All of them.", json: one(z.array(userSchema).readonly()) } },
    errors: [],
    handler: async (_, { caller, as }) => ok(await call(caller, users.list, { as })),
  }),
  route({
    ...people,
    id: "createUser",
    method: "POST",
    path: `${API}/users`,
    summary: "Lets somebody in. Without a password, only by tokens.",
    params: nothing,
    query: nothing,
    body: { json: newUser },
    answers: { 201: { description: "The user.", json: one(userSchema) } },
    errors: ["USER_EXISTS"],
    audit: ({ body }) => ({ name: body.name, role: body.role }),
    handler: async (_, { caller, as, body }) => ({
      status: 201,
      json: { data: await call(caller, users.create, { ...body, as, id: randomUUID() }) },
    }),
  }),
  route({
    ...people,
    id: "updateUser",
    method: "PATCH",
    path: `${API}/users/:id`,
    summary: "Changes a role, sets a new password, shuts somebody out or lets them in again.",
    params: byId,
    query: nothing,
    body: { json: userChange },
    answers: { 200: { description: "The user as it is now.", json: one(userSchema) } },
    errors: ["USER_NOT_FOUND", "LAST_ADMIN"],
    audit: ({ body: { password, ...said } }) => ({ ...said, password: password !== undefined }),
    handler: async (_, { caller, as, params, body }) => ok(await call(caller, users.update, { ...body, ...params, as })),
  }),
  route({
    ...people,
    id: "listAudit",
    method: "GET",
    path: `${API}/admin/audit`,
    summary: "What was done, by whom, from where: newest first.",
    tag: "Administration",
    params: nothing,
    query: auditQuery,
    answers: { 200: { description: "Entries.", json: one(z.array(auditSchema).readonly()) } },
    errors: [],
    handler: async (_, { caller, as, query }) =>
      ok(await call(caller, users.audit, { as, limit: query.limit, ...(query.before === undefined ? {} : { before: query.before }) })),
  }),
  route({
    ...programs,
    id: "listTokens",
    method: "GET",
    path: `${API}/tokens`,
    summary: "One's own tokens.",
    params: nothing,
    query: nothing,
    answers: { 200: { description: "Without their secrets.", json: one(z.array(tokenSchema).readonly()) } },
    errors: ["FORBIDDEN"],
    handler: async (_, { caller, as }) => ok(await call(caller, users.tokens, { as })),
  }),
  route({
    ...programs,
    id: "createToken",
    method: "POST",
    path: `${API}/tokens`,
    summary: "Makes a token for a program, which shows it as `Authorization: Bearer …`.",
    params: nothing,
    query: nothing,
    body: { json: newToken },
    answers: { 201: { description: "The only answer that has its secret.", json: one(newTokenSchema) } },
    errors: ["FORBIDDEN"],
    audit: ({ body }) => ({ ...body }),
    handler: async (_, { caller, as, body: { role, ...about } }) => ({
      status: 201,
      json: { data: await call(caller, users.createToken, { ...about, as, ...(role === undefined ? {} : { role }) }) },
      secret: true,
    }),
  }),
  route({
    ...programs,
    id: "revokeToken",
    method: "DELETE",
    path: `${API}/tokens/:id`,
    summary: "Makes a token worthless.",
    params: z.strictObject({ id: uuid }),
    query: nothing,
    answers: { 204: { description: "It is." } },
    errors: ["TOKEN_NOT_FOUND", "FORBIDDEN"],
    audit: () => ({}),
    async handler(_, { caller, as, params }) {
      await call(caller, users.revokeToken, { as, id: params.id });
      return { status: 204 };
    },
  }),
];
