/** Work that waits, runs or has failed, for administrators. */
import { z } from "zod";
import { jobId, jobKind, jobs, jobState } from "../jobs/contract.ts";
import { call } from "../kernel/rpc.ts";
import { uuid } from "../kernel/schemas.ts";
import { videos } from "../videos/contract.ts";
import type { Request, Route } from "./dispatch.ts";
import { one } from "./domain/documents.ts";
import { API } from "./domain/links.ts";
import { nothing, whole } from "./domain/parameters.ts";
import { ok, type Reply } from "./http/reply.ts";
import { route, type GatewayState } from "./state.ts";

const tag = "Jobs";
const admin = `${API}/admin/jobs`;

const count = z.int().nonnegative();
const time = z.iso.datetime();
const jobSchema = z
  .object({
    id: jobId,
    kind: jobKind,
    state: jobState,
    videoId: uuid.nullable(),
    priority: z.int().describe("higher is sooner, within a kind"),
    attempts: count,
    maxAttempts: count,
    progress: z.number().min(0).max(1),
    worker: z.string().nullable().describe("who holds it, or held it last"),
    failure: z.object({ type: z.string(), message: z.string(), log: z.string().optional() }).nullable().describe("of the last attempt"),
    createdAt: time,
    runAt: time.nullable().describe("not before this; null: waits for bytes of an upload"),
    finishedAt: time.nullable(),
  })
  .meta({ id: "Job", description: "A piece of work that must happen." });

const listQuery = z.strictObject({
  kind: jobKind.optional().describe("only jobs of this kind"),
  state: jobState.optional().describe("only jobs in this state"),
  before: jobId.optional().describe("only jobs older than this one: the id of the last one of the page before"),
  limit: whole(1, 100).default(20).describe("jobs on a page"),
});

export const jobRoutes: readonly Route<GatewayState>[] = [
  route({
    id: "listJobs",
    method: "GET",
    path: admin,
    summary: "Jobs, the newest first.",
    tag,
    needs: "admin",
    limit: "read",
    params: nothing,
    query: listQuery,
    answers: { 200: { description: "A page of jobs.", json: one(z.array(jobSchema).readonly()) } },
    errors: [],
    handler: async (_, { caller, query }) => ok(await call(caller, jobs.list, query)),
  }),
  route({
    id: "retryJob",
    method: "POST",
    path: `${admin}/:id/retry`,
    summary: "A failed job is tried again; one of a failed video together with all that is left of its work.",
    tag,
    needs: "admin",
    limit: "write",
    params: z.strictObject({ id: jobId }),
    query: nothing,
    answers: { 200: { description: "It waits to be done.", json: one(jobSchema) } },
    errors: ["JOB_NOT_FOUND", "JOB_NOT_FAILED", "VIDEO_NOT_FOUND"],
    audit: () => ({}),
    handler: retry,
  }),
];

async function retry(_: GatewayState, { caller, as, params: { id } }: Request<{ id: string }>): Promise<Reply> {
  const { videoId } = await call(caller, jobs.get, { id });
  if (videoId === null) await call(caller, jobs.retry, { id });
  else await call(caller, videos.retryJob, { id: videoId, job: id, as });
  return ok(await call(caller, jobs.get, { id }));
}
