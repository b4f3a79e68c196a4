/** The REST interface as data: what can be asked, with what, and who answers. */
import { z } from "zod";
import { failure } from "../kernel/errors.ts";
import { call } from "../kernel/rpc.ts";
import { renditionName, uuid } from "../kernel/schemas.ts";
import { videos } from "../videos/contract.ts";
import { routesOf, type Request, type Route } from "./dispatch.ts";
import { API, PAGE_MAX, pageLinks } from "./domain/links.ts";
import { videoDocument } from "./domain/video.ts";
import type { Health } from "./health.ts";
import type { Answer, Content, Reply } from "./http/reply.ts";
import type { PlaybackDirectory } from "./playback.ts";
import { uploadQuery, type Uploads } from "./uploads.ts";
import { waiterOf } from "./waiting.ts";

/** What the gateway remembers between requests. None of it is a truth. */
export interface GatewayState {
  readonly playback: PlaybackDirectory;
  readonly uploads: Uploads;
  readonly health: Health;
  /** The page's files by address. */
  readonly page: ReadonlyMap<string, Content>;
}

const nothing = z.strictObject({});
const byId = z.strictObject({ id: uuid });

/** A whole number in an address or a query, written in one way only: a segment has one address. */
const whole = (min: number, max: number) => {
  const message = `must be a whole number from ${min} to ${max}`;
  return z
    .string()
    .regex(/^(?:0|[1-9][0-9]{0,8})$/, message)
    .transform(Number)
    .refine((value) => value >= min && value <= max, message);
};

const stream = byId.extend({ revision: whole(1, 999_999_999), rendition: renditionName });
const segment = stream.extend({ number: whole(1, 999_999_999) });

const listQuery = z
  .strictObject({
    page: whole(1, PAGE_MAX).optional(),
    limit: whole(1, 100).default(20),
    cursor: z.string().min(1).max(200).optional(),
    status: videos.list.params.shape.status,
  })
  .refine(({ page, cursor }) => page === undefined || cursor === undefined, { path: ["cursor"], message: "cannot stand beside page" });

const route = routesOf<GatewayState>();
const video = `${API}/videos/:id`;
const rendition = `${video}/streams/:revision/:rendition`;

export const apiRoutes: readonly Route<GatewayState>[] = [
  route({
    method: "GET",
    path: `${API}/videos`,
    summary: "Lists videos, newest first.",
    params: nothing,
    query: listQuery,
    handler: listVideos,
  }),
  route({
    method: "POST",
    path: `${API}/videos/upload`,
    summary: "Takes in a video as the body, or several as a form.",
    params: nothing,
    query: uploadQuery,
    handler: async ({ uploads }, request) => await uploads.receive(request),
  }),
  route({
    method: "GET",
    path: video,
    summary: "Everything that is known of a video.",
    params: byId,
    query: nothing,
    handler: async (_, { caller, params }) => ok(videoDocument(await call(caller, videos.get, params))),
  }),
  route({
    method: "DELETE",
    path: video,
    summary: "Puts a video into the trash: it is gone from every list and from playback at once.",
    params: byId,
    query: nothing,
    handler: removeVideo,
  }),
  route({
    method: "GET",
    path: `${video}/status`,
    summary: "How far the processing of a video is.",
    params: byId,
    query: nothing,
    handler: async (_, { caller, params }) => ok(await call(caller, videos.status, params)),
  }),
  route({
    method: "GET",
    path: `${video}/manifest.mpd`,
    summary: "The MPEG-DASH manifest.",
    params: byId,
    query: nothing,
    handler: async ({ playback }, { caller, params }) => await playback.dash(caller, params.id),
  }),
  route({
    method: "GET",
    path: `${video}/master.m3u8`,
    summary: "The HLS multivariant playlist.",
    params: byId,
    query: nothing,
    handler: async ({ playback }, { caller, params }) => await playback.hls(caller, params.id),
  }),
  route({
    method: "GET",
    path: `${video}/thumbnail.jpg`,
    summary: "A picture of the video.",
    params: byId,
    query: nothing,
    handler: async ({ playback }, { caller, params }) => await playback.thumbnail(caller, params.id),
  }),
  route({
    method: "GET",
    path: `${rendition}/playlist.m3u8`,
    summary: "The HLS playlist of one rendition.",
    params: stream,
    query: nothing,
    handler: async ({ playback }, { caller, params }) => await playback.playlist(caller, params),
  }),
  route({
    method: "GET",
    path: `${rendition}/init.mp4`,
    summary: "What a player reads before the first segment of a rendition.",
    params: stream,
    query: nothing,
    handler: async ({ playback }, { caller, params }) => await playback.initialisation(caller, params),
  }),
  route({
    method: "GET",
    path: `${rendition}/:number.m4s`,
    summary: "One segment of a rendition.",
    params: segment,
    query: nothing,
    handler: async ({ playback }, { caller, params, res }) => await playback.segment(caller, params, waiterOf(res)),
  }),
  // Load balancers and monitors look for them at the root; the API's own documents, below its base.
  ...["", API].flatMap((base) => [
    route({
      method: "GET",
      path: `${base}/health`,
      summary: "Whether the main job works, part by part.",
      params: nothing,
      query: nothing,
      handler: async ({ health }) => await health.report(),
    }),
    route({
      method: "GET",
      path: `${base}/health/live`,
      summary: "Whether the process runs.",
      params: nothing,
      query: nothing,
      handler: async ({ health }) => health.live(),
    }),
    route({
      method: "GET",
      path: `${base}/health/ready`,
      summary: "Whether requests can be sent here.",
      params: nothing,
      query: nothing,
      handler: async ({ health }) => health.ready(),
    }),
  ]),
];

/** The page, and each of its files by its own address. */
export function pageRoutes(page: GatewayState["page"]): readonly Route<GatewayState>[] {
  const files = [...page.keys()].map((path) => pageRoute({ path, file: path, params: nothing }));
  return [pageRoute({ path: "/", file: INDEX, params: nothing }), pageRoute({ path: "/watch/:id", file: INDEX, params: byId }), ...files];
}

const INDEX = "/index.html";

/** Pages take any query: addresses that are passed around collect them (`?utm_source=`). */
function pageRoute({ path, file, params }: { path: string; file: string; params: z.ZodType }): Route<GatewayState> {
  const handler = async ({ page }: GatewayState): Promise<Content> => {
    const content = page.get(file);
    if (!content) throw failure("ROUTE_NOT_FOUND", "The page is not built: npm run build:web builds it.");
    return content;
  };
  return route({ method: "GET", path, summary: "The page.", params, query: z.unknown(), handler });
}

function ok(data: object): Answer {
  return { status: 200, json: { data } };
}

async function listVideos(_: GatewayState, { caller, query }: Request<unknown, z.output<typeof listQuery>>): Promise<Reply> {
  const { page, limit, cursor, status } = query;
  const given = { ...(page ? { page } : {}), ...(cursor ? { cursor } : {}), ...(status ? { status } : {}) };
  const { items, total, hasMore, nextCursor } = await call(caller, videos.list, { ...given, limit });
  const position = { page: cursor === undefined ? (page ?? 1) : null, limit, total, hasMore, nextCursor };
  const link = pageLinks({ path: `${API}/videos`, filters: status ? { status } : {}, ...position });
  return { status: 200, json: { data: items.map(videoDocument), meta: position }, headers: link === "" ? {} : { Link: link } };
}

async function removeVideo({ playback }: GatewayState, { caller, params: { id } }: Request<{ id: string }, unknown>): Promise<Reply> {
  await call(caller, videos.remove, { id });
  playback.forget(id);
  return { status: 204 };
}
