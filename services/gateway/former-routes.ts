/** The addresses of the first TritonTube: its application goes on with this server. What is new is only in the API of today. */
import { z } from "zod";
import { failure } from "../kernel/errors.ts";
import { call } from "../kernel/rpc.ts";
import { videos } from "../videos/contract.ts";
import type { Request, Route } from "./dispatch.ts";
import type { VideoDocument } from "./domain/documents.ts";
import { formerVideo } from "./domain/former.ts";
import { API, PAGE_MAX } from "./domain/links.ts";
import { byId, nothing, whole } from "./domain/parameters.ts";
import { videoDocument } from "./domain/video.ts";
import type { Answer, Reply } from "./http/reply.ts";
import { playbackRoutes, viewerOf } from "./playback-routes.ts";
import { route, type GatewayState } from "./state.ts";

const tag = "Former";
const document = z.looseObject({});
const sortKeys = { uploadTime: "createdAt", title: "title", duration: "duration" } as const;

const listQuery = z.strictObject({
  page: whole(1, PAGE_MAX).default(1),
  limit: whole(1, 100).default(12),
  search: z.string().max(200).optional(),
  sortBy: z.enum(["uploadTime", "title", "duration"]).default("uploadTime"),
  sortOrder: z.enum(["asc", "desc"]).default("desc"),
});

/** What an MPD names stands beside it. */
const contentRoutes = playbackRoutes
  .filter(({ method, path }) => method === "GET" && path.startsWith(`${API}/videos/:id/`))
  .map((each) => ({ ...each, id: `former_${each.id}`, tag, path: each.path.replace(`${API}/videos`, "/content") }));

export const formerRoutes: readonly Route<GatewayState>[] = [
  route({
    id: "formerList",
    method: "GET",
    path: "/api/videos",
    summary: "Lists videos.",
    tag,
    needs: "anonymous",
    limit: "read",
    params: nothing,
    query: listQuery,
    answers: { 200: { description: "A page.", json: document } },
    errors: [],
    handler: listVideos,
  }),
  route({
    id: "formerGet",
    method: "GET",
    path: "/api/videos/:id",
    summary: "A video that is ready.",
    tag,
    needs: "anonymous",
    limit: "read",
    params: byId,
    query: nothing,
    answers: { 200: { description: "The video.", json: document } },
    errors: ["VIDEO_NOT_FOUND"],
    handler: getVideo,
  }),
  route({
    id: "formerUpload",
    method: "POST",
    path: "/api/upload",
    summary: "Takes in a video out of a form.",
    tag,
    needs: "uploader",
    limit: "upload",
    params: nothing,
    query: nothing,
    body: { streams: ["multipart/form-data"] },
    answers: { 202: { description: "The video.", json: document } },
    errors: ["UPLOAD_EMPTY", "UPLOAD_TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE"],
    handler: async ({ uploads }, request) => formerReply(await uploads.receive(request)),
  }),
  route({
    id: "formerDelete",
    method: "DELETE",
    path: "/api/delete/:id",
    summary: "Puts a video into the trash.",
    tag,
    needs: "uploader",
    limit: "write",
    params: byId,
    query: nothing,
    answers: { 204: { description: "It is gone." } },
    errors: ["VIDEO_NOT_FOUND"],
    audit: () => ({}),
    handler: async (_, { caller, as, params: { id } }) => {
      await call(caller, videos.remove, { id, as });
      return { status: 204 };
    },
  }),
  route({
    id: "formerThumbnail",
    method: "GET",
    path: "/thumbnail/:id",
    summary: "A picture of the video.",
    tag,
    needs: "anonymous",
    limit: "media",
    params: byId,
    query: z.strictObject({ signature: z.string().max(200).optional() }),
    answers: { 200: { description: "The picture.", media: "image/jpeg" } },
    errors: ["PICTURE_NOT_FOUND"],
    handler: async ({ playback }, request) => await playback.thumbnail(viewerOf(request), request.params.id),
  }),
  ...contentRoutes,
];

async function listVideos(_: GatewayState, { caller, as, query }: Request<unknown, z.output<typeof listQuery>>): Promise<Answer> {
  const { page, limit, search, sortBy, sortOrder } = query;
  const sort = `${sortOrder === "desc" ? "-" : ""}${sortKeys[sortBy]}` as const;
  const { items, total, hasMore } = await call(caller, videos.list, { as, page, limit, sort, ...(search ? { q: search } : {}) });
  return { status: 200, json: { data: items.map((each) => formerVideo(videoDocument(each))), total, page, limit, hasMore } };
}

/** The application takes the first 200 for the end of the conversion, whatever the status says. */
async function getVideo(_: GatewayState, { caller, as, params: { id } }: Request<{ id: string }>): Promise<Answer> {
  const found = videoDocument(await call(caller, videos.get, { id, as }));
  if (found.status !== "ready") throw failure("VIDEO_NOT_FOUND", `The video ${id} is not ready.`);
  return { status: 200, json: formerVideo(found) };
}

/** The first of several files: the application sends one. */
function formerReply(reply: Reply): Answer {
  const { data } = (reply as Answer).json as { data: VideoDocument | readonly { video: VideoDocument | null }[] };
  const made = "id" in data ? data : data.find(({ video }) => video !== null)?.video;
  return { status: 202, json: made ? formerVideo(made) : {} };
}
