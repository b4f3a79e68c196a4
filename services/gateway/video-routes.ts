/** Videos: list, search, take in, look at. */
import { z } from "zod";
import { countedAs } from "../kernel/address.ts";
import { ownBytes } from "../kernel/bytes.ts";
import { call } from "../kernel/rpc.ts";
import { CURSOR_LENGTH_MAX, isSettled, videos, type Video, type VideoPage } from "../videos/contract.ts";
import type { Request, Route } from "./dispatch.ts";
import { listOf, one, processingSchema, recommendationSchema, uploadResultSchema, videoSchema } from "./domain/documents.ts";
import { contentTag, videoTag } from "./domain/edition.ts";
import { API, PAGE_MAX, pageLinks } from "./domain/links.ts";
import { byId, bySignature, nothing, seconds, whole, yesOrNo } from "./domain/parameters.ts";
import { videoDocument } from "./domain/video.ts";
import { JSON_TYPE, ok, type Content, type Reply } from "./http/reply.ts";
import { route, type GatewayState } from "./state.ts";
import { uploadFields, uploadQuery } from "./uploads.ts";

const tag = "Videos";
const EVENT_STREAM = "text/event-stream";
const video = `${API}/videos/:id`;

const { shape: asked } = videos.list.params;
const listQuery = z
  .strictObject({
    page: whole(1, PAGE_MAX).optional().describe("by number; beyond the last, go on with the cursor"),
    limit: whole(1, 100).default(20).describe("videos on a page"),
    cursor: z.string().min(1).max(CURSOR_LENGTH_MAX).optional().describe("the nextCursor of an earlier page; not beside page"),
    q: asked.q.describe(
      "words that a video has in its title, its tags or its description; also their beginnings, without accents, and mistyped",
    ),
    sort: asked.sort.describe("what the list is ordered by, - for descending; default -createdAt, and relevance for a search"),
    status: asked.status.describe("only videos in this state; with `trash=true`, those that were in it when they were deleted"),
    tag: asked.tag.describe("only videos with this tag"),
    createdAfter: asked.createdAfter.describe("only videos made at this time or later"),
    createdBefore: asked.createdBefore.describe("only videos made before this time"),
    minDuration: seconds.optional().describe("only videos of so many seconds or more"),
    maxDuration: seconds.optional().describe("only videos of so many seconds or fewer"),
    visibility: asked.visibility.describe("only videos that are seen by these; unlisted and private ones are shown to their owner"),
    owner: asked.owner.describe("only videos of this user"),
    trash: yesOrNo.optional().describe("true shows what its owner has deleted and can restore"),
  })
  .refine(({ page, cursor }) => page === undefined || cursor === undefined, { path: ["cursor"], message: "cannot stand beside page" });
type ListQuery = z.output<typeof listQuery>;

export const videoRoutes: readonly Route<GatewayState>[] = [
  route({
    id: "listVideos",
    method: "GET",
    path: `${API}/videos`,
    summary: "Lists videos, and searches them.",
    tag,
    needs: "anonymous",
    limit: "read",
    params: nothing,
    query: listQuery,
    answers: {
      200: {
        description: "A page of videos.",
        json: listOf(videoSchema),
        headers: { Link: "Where to go from here (RFC 8288).", ETag: "Names these bytes." },
      },
      304: { description: "The client has it already (`If-None-Match`)." },
    },
    errors: [],
    handler: listVideos,
  }),
  route({
    id: "uploadVideos",
    method: "POST",
    path: `${API}/videos/upload`,
    summary: "Takes in a video as the body, or several as a form.",
    tag,
    needs: "uploader",
    limit: "upload",
    params: nothing,
    query: uploadQuery,
    headers: {
      "X-Filename": "The file's name, in UTF-8 or percent-encoded, when the body is the file.",
      "Idempotency-Key": "A name for this request, 1 to 255 visible characters: the same again within 24 hours makes no other video.",
    },
    body: { streams: ["video/*", "application/octet-stream", "multipart/form-data"], form: uploadFields },
    answers: {
      202: {
        description: "The bytes are safe, and the conversion is on its way. Several files are answered with one result each.",
        json: z.union([one(videoSchema), z.strictObject({ data: z.array(uploadResultSchema).readonly() })]),
        headers: { Location: "The video, when it is one." },
      },
    },
    errors: [
      "UPLOAD_EMPTY",
      "UPLOAD_ABORTED",
      "UPLOAD_STALLED",
      "UPLOAD_TOO_LARGE",
      "LENGTH_MISMATCH",
      "UNSUPPORTED_MEDIA_TYPE",
      "NOT_ENOUGH_DISKS",
      "IDEMPOTENCY_KEY_REUSED",
      "REQUEST_IN_PROGRESS",
    ],
    handler: async ({ uploads }, request) => await uploads.receive(request),
  }),
  route({
    id: "getVideo",
    method: "GET",
    path: video,
    summary: "Everything that is known of a video.",
    tag,
    needs: "anonymous",
    limit: "read",
    params: byId,
    query: bySignature,
    answers: {
      200: { description: "The video.", json: one(videoSchema), headers: { ETag: "Names this state of it." } },
      304: { description: "The client has it already (`If-None-Match`)." },
    },
    errors: ["VIDEO_NOT_FOUND", "SIGNATURE_INVALID"],
    handler: getVideo,
  }),
  route({
    id: "getProcessing",
    method: "GET",
    path: `${video}/status`,
    summary: "How far the processing of a video is.",
    tag,
    needs: "anonymous",
    limit: "read",
    params: byId,
    query: bySignature,
    answers: { 200: { description: "Stages, renditions, and an estimate of what is left.", json: one(processingSchema) } },
    errors: ["VIDEO_NOT_FOUND", "SIGNATURE_INVALID"],
    handler: async (_, { caller, as, params }) => ok(await call(caller, videos.status, { ...params, as })),
  }),
  route({
    id: "followProcessing",
    method: "GET",
    path: `${video}/events`,
    summary: "Tells how far the processing of a video is, now and whenever it changes, until it has ended.",
    tag,
    needs: "anonymous",
    limit: "read",
    params: byId,
    query: bySignature,
    headers: { "Last-Event-ID": "The `id` of the last event that was heard: what has not changed since is not told again." },
    answers: {
      200: {
        description:
          "Server-sent events: `video.status`, `video.progress`, `video.ready`, `video.failed`, `video.deleted`, each with JSON of `at` and `data` (as `/status` has it). After the last three the stream ends.",
        media: EVENT_STREAM,
      },
      204: { description: "The last event that was heard was the last one: browsers ask no more." },
    },
    errors: ["VIDEO_NOT_FOUND", "SIGNATURE_INVALID"],
    handler: followProcessing,
  }),
  route({
    id: "recommendVideos",
    method: "GET",
    path: `${video}/recommendations`,
    summary: "Videos for whoever watches this one, each with the reason why.",
    tag,
    needs: "anonymous",
    limit: "read",
    params: byId,
    query: z.strictObject({ limit: whole(1, 50).default(10).describe("how many") }),
    answers: {
      200: { description: "The best first.", json: z.strictObject({ data: z.array(recommendationSchema).readonly() }) },
    },
    errors: ["VIDEO_NOT_FOUND"],
    handler: async (_, { caller, as, params: { id }, query: { limit } }) => {
      const found = await call(caller, videos.recommendations, { id, as, limit });
      return ok(found.map((each) => ({ video: videoDocument(each.video), reason: each.reason })));
    },
  }),
];

async function followProcessing(
  { live }: GatewayState,
  { req, caller, as, client, params: { id } }: Request<{ id: string }>,
): Promise<Reply> {
  if (req.method === "HEAD") {
    await call(caller, videos.status, { id, as });
    return { type: EVENT_STREAM, flowInto() {}, close() {} };
  }
  const last = req.headers["last-event-id"]?.toString();
  const stream = await live.follow(countedAs(client.address), { as, topic: `video:${id}`, last });
  if (!stream.isSpent) return { type: EVENT_STREAM, flowInto: (to) => stream.flowInto(to), close: () => stream.close() };
  stream.close();
  return { status: 204 };
}

/** Whoever asks the same again has it already, if it did not change. */
async function listVideos({ answers }: GatewayState, { caller, as, query }: Request<unknown, ListQuery>): Promise<Reply> {
  const given = Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined)) as ListQuery;
  return await answers.list(as, JSON.stringify(given), async () => {
    const found = await call(caller, videos.list, { ...given, as });
    return { answer: listed(given, found), isSteady: found.items.every((each) => isSettled(each, Date.now())) };
  });
}

function listed({ page, limit, cursor, ...filters }: ListQuery, found: VideoPage): Content {
  const { items, total, totalEstimated, hasMore, nextCursor, corrected } = found;
  const position = { page: cursor === undefined ? (page ?? 1) : null, limit, total, hasMore, nextCursor };
  const texts = Object.entries(filters).map(([name, value]) => [name, String(value)]);
  const link = pageLinks({ path: `${API}/videos`, filters: Object.fromEntries(texts) as Record<string, string>, ...position });
  const bytes = written({ data: items.map(videoDocument), meta: { ...position, totalEstimated, corrected } });
  return { ...document(bytes, contentTag(bytes)), headers: link === "" ? {} : { Link: link } };
}

async function getVideo({ answers }: GatewayState, { caller, as, params: { id } }: Request<{ id: string }>): Promise<Reply> {
  return await answers.video(as, id, async () => {
    const of = await call(caller, videos.get, { id, as });
    return {
      answer: { of: { id, owner: of.owner, visibility: of.visibility }, content: videoReply(of) },
      isSteady: isSettled(of, Date.now()),
    };
  });
}

/** A video with its name: who edits it shows that name, and who asks for it again may have it already. */
export function videoReply(of: Video): Content {
  const bytes = written({ data: videoDocument(of) });
  return document(bytes, videoTag(of, bytes));
}

/** Answers are remembered: they hold nothing but their own bytes. */
function written(answer: object): Uint8Array {
  return ownBytes(Buffer.from(JSON.stringify(answer)));
}

function document(bytes: Uint8Array, etag: string): Content {
  return { type: JSON_TYPE, size: bytes.length, etag, caching: "private, no-cache", held: true, bytes: () => bytes };
}
