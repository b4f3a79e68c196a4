/** Who watches: what players tell, and what owners and administrators learn from it. */
import { z } from "zod";
import { countedAs } from "../kernel/address.ts";
import { failure } from "../kernel/errors.ts";
import { call } from "../kernel/rpc.ts";
import { HOURS, POPULAR_MAX, viewingReport, videos, type ViewingEvent } from "../videos/contract.ts";
import type { Request, Route } from "./dispatch.ts";
import { one, popularSchema, statisticsSchema } from "./domain/documents.ts";
import { API } from "./domain/links.ts";
import { byId, nothing, whole } from "./domain/parameters.ts";
import { videoDocument } from "./domain/video.ts";
import { ok, type Reply } from "./http/reply.ts";
import { playbackQuery } from "./playback-routes.ts";
import { disguised } from "./teller.ts";
import { route, type GatewayState } from "./state.ts";

const tag = "Analytics";
const HOUR_MS = 3_600_000;
const PERIOD_MS = 30 * 24 * HOUR_MS;
/** Of a chart nobody sees more. */
const POINTS_MAX = 1000;

const time = z.iso.datetime({ offset: true, error: "must be a time such as 2026-11-22T16:00:00Z" });
const periodQuery = z.strictObject({
  from: time.optional().describe("the beginning; default 30 days before the end"),
  to: time.optional().describe("the end, which is not part of it; default now"),
  interval: z.enum(["hour", "day", "week"]).default("day").describe("what one point of the chart stands for, in UTC"),
});
type PeriodQuery = z.output<typeof periodQuery>;

const reportQuery = playbackQuery.omit({ CMCD: true });

const statistics = { 200: { description: "Sums, a chart, and how long people stay.", json: one(statisticsSchema) } };

export const analyticsRoutes: readonly Route<GatewayState>[] = [
  route({
    id: "reportViewing",
    method: "POST",
    path: `${API}/videos/:id/events`,
    summary: "Takes what a player tells of somebody who watches. The same report again counts nothing.",
    // A signed address opens it as it opens segments.
    tag: "Playback",
    needs: "anonymous",
    limit: "beat",
    params: byId,
    query: reportQuery,
    body: { json: viewingReport },
    answers: { 202: { description: "It was taken. What lies outside of the video, or of the last hours, counts nothing." } },
    errors: ["VIDEO_NOT_FOUND", "VIDEO_NOT_PLAYABLE", "SIGNATURE_INVALID"],
    handler: reportViewing,
  }),
  route({
    id: "getAnalytics",
    method: "GET",
    path: `${API}/videos/:id/analytics`,
    summary: "Who has watched a video, for its owner.",
    tag,
    needs: "uploader",
    limit: "read",
    params: byId,
    query: periodQuery,
    answers: statistics,
    errors: ["VIDEO_NOT_FOUND"],
    handler: async (_, { caller, as, params: { id }, query }) => ok(await call(caller, videos.analytics, { id, as, ...periodOf(query) })),
  }),
  route({
    id: "getOverview",
    method: "GET",
    path: `${API}/analytics/overview`,
    summary: "Who has watched anything, for administrators.",
    tag,
    needs: "admin",
    limit: "read",
    params: nothing,
    query: periodQuery,
    answers: statistics,
    errors: [],
    handler: async (_, { caller, query }) => ok(await call(caller, videos.overview, periodOf(query))),
  }),
  route({
    id: "listPopular",
    method: "GET",
    path: `${API}/analytics/popular`,
    summary: "What most people watch lately: a view counts half as much a day later.",
    tag,
    needs: "anonymous",
    limit: "read",
    params: nothing,
    query: z.strictObject({ limit: whole(1, POPULAR_MAX).default(20).describe("how many") }),
    answers: { 200: { description: "The most popular first.", json: z.strictObject({ data: z.array(popularSchema).readonly() }) } },
    errors: [],
    handler: async (_, { caller, query: { limit } }) => {
      const found = await call(caller, videos.popular, { limit });
      return ok(found.map(({ video, ...each }) => ({ ...each, video: videoDocument(video) })));
    },
  }),
];

type Report = { session: string; events: ViewingEvent[] };

async function reportViewing(
  { identities }: GatewayState,
  request: Request<{ id: string }, z.output<typeof reportQuery>, Report>,
): Promise<Reply> {
  const { caller, as, client, params, body } = request;
  const [key] = await identities.keys(caller);
  if (!key) throw failure("SERVICE_UNAVAILABLE", "There is no key to disguise viewers with.");
  const viewer = disguised(params.id, as.id ?? countedAs(client.address), key);
  await call(caller, videos.watched, { ...params, ...body, as, viewer });
  return { status: 202 };
}

function periodOf({ from, to, interval }: PeriodQuery): { from: string; to: string; interval: PeriodQuery["interval"] } {
  const end = to === undefined ? Date.now() : Date.parse(to);
  const start = from === undefined ? end - PERIOD_MS : Date.parse(from);
  if (start >= end)
    throw failure("INVALID_REQUEST", "from must be before to.", { fields: [{ path: "from", message: "must be before to" }] });
  if (end - start > POINTS_MAX * HOURS[interval] * HOUR_MS) {
    const message = `must make at most ${POINTS_MAX} points of the chart`;
    throw failure("INVALID_REQUEST", `The interval ${message}.`, { fields: [{ path: "interval", message }] });
  }
  return { from: new Date(start).toISOString(), to: new Date(end).toISOString(), interval };
}
