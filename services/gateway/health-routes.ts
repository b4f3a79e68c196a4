/** Whether all is well. Load balancers and monitors look for it at the root; the API's own documents are below its base. */
import type { z } from "zod";
import type { Route } from "./dispatch.ts";
import { healthSchema, livenessSchema, readinessSchema } from "./domain/documents.ts";
import { API } from "./domain/links.ts";
import { nothing } from "./domain/parameters.ts";
import type { Reply } from "./http/reply.ts";
import { route, type GatewayState } from "./state.ts";

interface Probe {
  readonly id: string;
  readonly path: string;
  readonly summary: string;
  readonly json: z.ZodType;
  /** Whether it may say that all is not well. */
  readonly fails: boolean;
  readonly handler: (state: GatewayState) => Promise<Reply>;
}

const probes: readonly Probe[] = [
  {
    id: "getHealth",
    path: "/health",
    summary: "Whether the main job works, part by part.",
    json: healthSchema,
    fails: true,
    handler: async ({ health }) => await health.report(),
  },
  {
    id: "getLiveness",
    path: "/health/live",
    summary: "Whether the process runs.",
    json: livenessSchema,
    fails: false,
    handler: async ({ health }) => health.live(),
  },
  {
    id: "getReadiness",
    path: "/health/ready",
    summary: "Whether requests can be sent here.",
    json: readinessSchema,
    fails: true,
    handler: async ({ health }) => health.ready(),
  },
];

export const healthRoutes: readonly Route<GatewayState>[] = ["", API].flatMap((base) => probes.map((probe) => probeRoute(base, probe)));

function probeRoute(base: string, { id, path, summary, json, fails, handler }: Probe): Route<GatewayState> {
  return route({
    id: base === "" ? `${id}AtRoot` : id,
    method: "GET",
    path: `${base}${path}`,
    summary,
    tag: "Health",
    needs: "anonymous",
    limit: "none",
    params: nothing,
    query: nothing,
    answers: { 200: { description: "All is well, or well enough.", json }, ...(fails ? { 503: { description: "Not now.", json } } : {}) },
    errors: [],
    handler,
  });
}
