/** The storage cluster, for administrators: its disks, the ring and how it changes, what is stored. The same as the commands of `npm run repl`. */
import { z } from "zod";
import { blobs } from "../blobs/contract.ts";
import { errorType, messageOf } from "../kernel/errors.ts";
import { call, type Caller } from "../kernel/rpc.ts";
import { uuid } from "../kernel/schemas.ts";
import { ring, type ChangeKind } from "../ring/contract.ts";
import { upkeep } from "../upkeep/contract.ts";
import type { Route } from "./dispatch.ts";
import { one } from "./domain/documents.ts";
import { API } from "./domain/links.ts";
import { byId, nothing } from "./domain/parameters.ts";
import { backlogSchema, diskSchema, ringSchema, planSchema, stagedSchema, usageSchema } from "./domain/storage-documents.ts";
import { ok, type Reply } from "./http/reply.ts";
import { route, type GatewayState } from "./state.ts";

const looks = { tag: "Storage", needs: "admin", limit: "read", method: "GET", params: nothing, query: nothing } as const;
const changes = { tag: "Storage", needs: "admin", limit: "write", query: nothing } as const;

const admin = `${API}/admin`;
const { weight } = ring.stage.params.shape;
const forced = z.strictObject({
  force: z.literal("true").optional().describe("also a disk that does not answer: its content counts as lost"),
});

const fewerCopies = z.strictObject({
  fewer: z.literal("true").optional().describe("also one that keeps fewer copies than the ring does now"),
});

/** What is staged is answered with what it would do, together with all that was staged before. */
const stagedAnswer = { 200: { description: "It is staged. Nothing moves before it is applied.", json: one(stagedSchema) } } as const;

async function stage(
  caller: Caller,
  id: string,
  change: ChangeKind,
  more: { weight?: number | null; force?: boolean } = {},
): Promise<Reply> {
  await call(caller, ring.stage, { disk: id, change, ...more });
  return ok(await staged(caller));
}

async function staged(caller: Caller): Promise<object> {
  const all = await call(caller, ring.staged, {});
  try {
    return { changes: all, plan: await call(caller, ring.plan, {}), refusal: null };
  } catch (error) {
    if (errorType(error) !== "RING_CHANGE_REFUSED") throw error;
    return { changes: all, plan: null, refusal: messageOf(error) };
  }
}

const lookRoutes: readonly Route<GatewayState>[] = [
  route({
    ...looks,
    id: "getRing",
    path: `${admin}/ring`,
    summary: "The ring: its epoch, what is staged, and what moves.",
    answers: { 200: { description: "As it is now.", json: one(ringSchema) } },
    errors: ["RING_EMPTY"],
    async handler(_, { caller }) {
      const [{ epoch, partitionBits, replicas }, all, moves] = await Promise.all([
        call(caller, ring.get, {}),
        call(caller, ring.staged, {}),
        call(caller, ring.moves, {}),
      ]);
      return ok({ epoch, partitions: 2 ** partitionBits, replicas, staged: all, moves });
    },
  }),
  route({
    ...looks,
    id: "getRingPlan",
    path: `${admin}/ring/plan`,
    summary: "What applying the staged changes would move.",
    answers: { 200: { description: "The plan.", json: one(planSchema) } },
    query: fewerCopies,
    errors: ["RING_EMPTY", "RING_CHANGE_REFUSED"],
    handler: async (_, { caller, query }) => ok(await call(caller, ring.plan, { fewer: query.fewer === "true" })),
  }),
  route({
    ...looks,
    id: "listDisks",
    path: `${admin}/disks`,
    summary: "Every disk that is known, asked now.",
    answers: { 200: { description: "All of them.", json: one(z.array(diskSchema).readonly()) } },
    errors: [],
    handler: async (_, { caller }) => ok(await call(caller, ring.disks, {})),
  }),
  route({
    ...looks,
    id: "getStorageUsage",
    path: `${admin}/storage/usage`,
    summary: "What is stored, and what it takes. Counts every row.",
    answers: { 200: { description: "Counted now.", json: one(usageSchema) } },
    errors: [],
    handler: async (_, { caller }) => ok(await call(caller, blobs.usage, {})),
  }),
  route({
    ...looks,
    id: "listRepairs",
    path: `${admin}/storage/repairs`,
    summary: "Copies that disks lack and will be brought.",
    answers: { 200: { description: "By disk; none is good.", json: one(z.array(backlogSchema).readonly()) } },
    errors: [],
    handler: async (_, { caller }) => ok(await call(caller, blobs.backlog, {})),
  }),
];

export const storageRoutes: readonly Route<GatewayState>[] = [
  ...lookRoutes,
  route({
    ...changes,
    id: "addDisk",
    method: "POST",
    path: `${admin}/disks`,
    summary: "Makes a disk known, and stages it to get a share.",
    params: nothing,
    body: { json: z.strictObject({ address: ring.register.params.shape.address.describe("host:port"), weight }) },
    answers: stagedAnswer,
    errors: ["DISK_UNAVAILABLE", "DISK_UNAUTHENTICATED", "RING_EMPTY", "RING_CHANGE_REFUSED"],
    audit: ({ body }) => ({ ...body }),
    async handler(_, { caller, body }) {
      const { id } = await call(caller, ring.register, { address: body.address });
      return await stage(caller, id, "add", { weight: body.weight });
    },
  }),
  route({
    ...changes,
    id: "drainDisk",
    method: "POST",
    path: `${admin}/disks/:id/drain`,
    summary: "Stages a disk to give its share away.",
    params: byId,
    answers: stagedAnswer,
    errors: ["DISK_NOT_FOUND", "RING_EMPTY", "RING_CHANGE_REFUSED"],
    audit: () => ({}),
    handler: async (_, { caller, params }) => await stage(caller, params.id, "drain"),
  }),
  route({
    ...changes,
    id: "weighDisk",
    method: "PUT",
    path: `${admin}/disks/:id/weight`,
    summary: "Stages another weight of a disk.",
    params: byId,
    body: { json: z.strictObject({ weight: weight.describe("bytes; null for its capacity") }) },
    answers: stagedAnswer,
    errors: ["DISK_NOT_FOUND", "RING_EMPTY", "RING_CHANGE_REFUSED"],
    audit: ({ body }) => ({ ...body }),
    handler: async (_, { caller, params, body }) => await stage(caller, params.id, "weight", body),
  }),
  route({
    ...changes,
    id: "removeDisk",
    method: "DELETE",
    path: `${admin}/disks/:id`,
    summary: "Stages a disk that holds nothing to be forgotten.",
    params: byId,
    query: forced,
    answers: stagedAnswer,
    errors: ["DISK_NOT_FOUND", "RING_EMPTY", "RING_CHANGE_REFUSED"],
    audit: ({ query }) => ({ ...query }),
    handler: async (_, { caller, params, query }) => await stage(caller, params.id, "remove", { force: query.force === "true" }),
  }),
  route({
    ...changes,
    id: "scrubDisk",
    method: "POST",
    path: `${admin}/disks/:id/scrub`,
    summary: "Verifies every chunk of a disk, beginning now; pauses that, or lets it go on.",
    params: byId,
    body: { json: z.strictObject({ command: ring.scrub.params.shape.command }) },
    answers: { 204: { description: "The disk does so." } },
    errors: ["DISK_NOT_FOUND", "DISK_UNAVAILABLE", "DISK_MISTAKEN"],
    audit: ({ body }) => ({ ...body }),
    async handler(_, { caller, params, body }) {
      await call(caller, ring.scrub, { disk: params.id, ...body });
      return { status: 204 };
    },
  }),
  route({
    ...changes,
    id: "verifyStorage",
    method: "POST",
    path: `${admin}/storage/verify`,
    summary: "Compares what one disk, or every disk, holds with what it should hold; what lacks is brought, what is too much is deleted.",
    params: nothing,
    body: { json: upkeep.compare.params },
    answers: { 202: { description: "It is done soon.", json: one(z.strictObject({ disks: z.array(uuid).readonly() })) } },
    errors: ["DISK_NOT_FOUND"],
    audit: ({ body }) => ({ ...body }),
    handler: async (_, { caller, body }) => ({ status: 202, json: { data: await call(caller, upkeep.compare, body) } }),
  }),
  route({
    ...changes,
    id: "unstageChanges",
    method: "DELETE",
    path: `${admin}/ring/changes`,
    summary: "Forgets everything that is staged.",
    params: nothing,
    answers: { 204: { description: "Nothing is staged." } },
    errors: [],
    audit: () => ({}),
    async handler(_, { caller }) {
      await call(caller, ring.unstage, {});
      return { status: 204 };
    },
  }),
  route({
    ...changes,
    id: "applyRing",
    method: "POST",
    path: `${admin}/ring/apply`,
    summary: "Makes the staged changes, if the ring is still the one that the plan was made for.",
    params: nothing,
    body: { json: ring.apply.params },
    answers: { 200: { description: "The new ring; what has to move begins to.", json: one(z.strictObject({ epoch: z.int() })) } },
    errors: ["RING_EMPTY", "RING_CHANGED", "RING_CHANGE_REFUSED"],
    audit: ({ body }) => ({ ...body }),
    handler: async (_, { caller, body }) => ok(await call(caller, ring.apply, body)),
  }),
];
