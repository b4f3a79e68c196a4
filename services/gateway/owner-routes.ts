/** Videos, for those whose they are: edit, delete, restore, purge, try again, many at once, read what was uploaded; and their captions. */
import { z } from "zod";
import { failure } from "../kernel/errors.ts";
import { mayChange } from "../kernel/principal.ts";
import { call } from "../kernel/rpc.ts";
import { storage } from "../storage/contract.ts";
import { videos } from "../videos/contract.ts";
import type { Request, Route } from "./dispatch.ts";
import { CAPTIONS_BYTES_MAX, webVtt } from "../kernel/captions.ts";
import { batchResultSchema, one, videoSchema } from "./domain/documents.ts";
import { editionsOf } from "./domain/edition.ts";
import { API } from "./domain/links.ts";
import { cleanLine, cleanText, uniqueTags } from "./domain/names.ts";
import { byId, captions, nothing, yesOrNo } from "./domain/parameters.ts";
import { problemOf } from "./domain/problem.ts";
import { videoDocument } from "./domain/video.ts";
import { openBody } from "./http/body.ts";
import type { Reply } from "./http/reply.ts";
import { uuid } from "../kernel/schemas.ts";
import { route, type GatewayState } from "./state.ts";
import { videoReply } from "./video-routes.ts";

const video = `${API}/videos/:id`;
const owned = { tag: "Videos", needs: "uploader", limit: "write", query: nothing } as const;

const unedited = { "If-Match": "The ETag of the video as it was read: if somebody has edited it since, nothing is done." };

/** What can be said anew of a video. What is left out stays as it is. */
const said = z
  .strictObject({
    title: z.string().transform(cleanLine).pipe(z.string().min(1).max(200)).describe("1 to 200 characters in one line"),
    description: z.string().transform(cleanText).pipe(z.string().max(5000)).describe("up to 5000 characters, in lines"),
    tags: z
      .array(z.string().max(50))
      .max(30)
      .transform(uniqueTags)
      .describe("up to 30, of up to 50 characters each, in the place of those before"),
    visibility: z.enum(["public", "unlisted", "private"]),
  })
  .partial();

const batch = z
  .strictObject({
    operation: z.enum(["delete", "restore", "purge", "update", "retry"]),
    ids: z
      .array(uuid)
      .min(1)
      .max(100)
      .refine((ids) => new Set(ids).size === ids.length, "must name each video once"),
    set: said.optional().describe("for update: what to say anew of each"),
  })
  .refine(({ operation, set }) => (operation === "update") === (set !== undefined), {
    path: ["set"],
    message: "goes with update, and only with it",
  });

const purgeQuery = z.strictObject({ purge: yesOrNo.optional().describe("true deletes it for ever, whether it is in the trash or not") });

/** Whoever needs longer for 2 MB only holds a connection. */
const CAPTIONS_IDLE_MS = 10_000;
/** Of a batch, at the same time: half of what a pool of connections has by default. */
const BATCH_AT_ONCE = 4;

export const ownerRoutes: readonly Route<GatewayState>[] = [
  route({
    ...owned,
    id: "editVideo",
    method: "PATCH",
    path: video,
    summary: "Changes what is said of a video.",
    params: byId,
    headers: unedited,
    body: { json: said },
    answers: { 200: { description: "The video as it is now.", json: one(videoSchema), headers: { ETag: "Names this edition." } } },
    errors: ["VIDEO_NOT_FOUND", "VIDEO_CHANGED"],
    handler: editVideo,
  }),
  route({
    ...owned,
    id: "deleteVideo",
    method: "DELETE",
    path: video,
    summary: "Puts a video into the trash: it is gone from every list and from playback at once.",
    params: byId,
    query: purgeQuery,
    headers: unedited,
    answers: { 204: { description: "It is gone." } },
    errors: ["VIDEO_NOT_FOUND", "VIDEO_CHANGED"],
    audit: ({ query }) => ({ ...query }),
    handler: removeVideo,
  }),
  route({
    ...owned,
    id: "restoreVideo",
    method: "POST",
    path: `${video}/restore`,
    summary: "Takes a video out of the trash, as it was.",
    params: byId,
    answers: { 200: { description: "The video.", json: one(videoSchema), headers: { ETag: "Names this edition." } } },
    errors: ["VIDEO_NOT_FOUND"],
    audit: () => ({}),
    handler: async (_, { caller, as, params: { id } }) => videoReply(await call(caller, videos.restore, { id, as })),
  }),
  route({
    ...owned,
    id: "retryVideo",
    method: "POST",
    path: `${video}/retry`,
    summary: "Processes a failed video again, from where it failed.",
    params: byId,
    answers: { 200: { description: "The video.", json: one(videoSchema), headers: { ETag: "Names this edition." } } },
    errors: ["VIDEO_NOT_FOUND", "VIDEO_NOT_FAILED"],
    handler: async (_, { caller, as, params: { id } }) => videoReply(await call(caller, videos.retry, { id, as })),
  }),
  route({
    ...owned,
    id: "changeVideos",
    method: "POST",
    path: `${API}/videos/batch`,
    summary: "Does one thing to many videos.",
    params: nothing,
    body: { json: batch },
    answers: {
      207: {
        description: "One result a video, in the order of the ids.",
        json: z.strictObject({ data: z.array(batchResultSchema).readonly() }),
      },
    },
    errors: [],
    audit: ({ body: { operation, ids } }) => ({ operation, ids }),
    handler: changeVideos,
  }),
  route({
    ...owned,
    id: "getSource",
    method: "GET",
    path: `${video}/source`,
    summary: "The file that was uploaded, for its owner.",
    limit: "media",
    params: byId,
    answers: {
      200: {
        description: "All of it.",
        media: "application/octet-stream",
        headers: { ETag: "Names the bytes.", "Content-Disposition": "The file's name." },
      },
      206: {
        description: "The part that `Range` asked for.",
        media: "application/octet-stream",
        headers: { "Content-Range": "Which part it is." },
      },
      304: { description: "The client has it already (`If-None-Match`)." },
    },
    errors: ["VIDEO_NOT_FOUND", "RANGE_NOT_SATISFIABLE"],
    handler: source,
  }),
  route({
    ...owned,
    id: "putCaptions",
    method: "PUT",
    path: `${video}/captions/:language.vtt`,
    summary: "Gives a video captions in a language, in the place of those that it had: at most 2 MiB.",
    params: captions,
    headers: unedited,
    body: { streams: ["text/vtt", "application/x-subrip"] },
    answers: { 204: { description: "They are stored, and appear in both manifests." } },
    errors: ["VIDEO_NOT_FOUND", "VIDEO_CHANGED", "CAPTIONS_INVALID", "UPLOAD_TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE"],
    handler: putCaptions,
  }),
  route({
    ...owned,
    id: "deleteCaptions",
    method: "DELETE",
    path: `${video}/captions/:language.vtt`,
    summary: "Takes the captions in a language from a video.",
    params: captions,
    headers: unedited,
    answers: { 204: { description: "They are gone." } },
    errors: ["VIDEO_NOT_FOUND", "VIDEO_CHANGED", "CAPTIONS_NOT_FOUND"],
    audit: ({ params: { language } }) => ({ language }),
    handler: async (_, { req, caller, as, params }) => {
      await call(caller, videos.removeCaptions, { ...params, as, ...unlessEdited({ req, params }) });
      return { status: 204 };
    },
  }),
];

type Said = z.output<typeof said>;

/** Without the members that were not sent. */
function given(set: Said): Said {
  return Object.fromEntries(Object.entries(set).filter(([, value]) => value !== undefined));
}

function unlessEdited({ req: { headers }, params: { id } }: Pick<Request<{ id: string }>, "req" | "params">): { editions?: number[] } {
  const editions = editionsOf(headers["if-match"], id);
  return editions ? { editions } : {};
}

async function editVideo(
  _: GatewayState,
  { req, caller, as, params: { id }, body }: Request<{ id: string }, unknown, Said>,
): Promise<Reply> {
  return videoReply(await call(caller, videos.edit, { id, as, set: given(body), ...unlessEdited({ req, params: { id } }) }));
}

async function removeVideo(
  _: GatewayState,
  { req, caller, as, params: { id }, query }: Request<{ id: string }, z.output<typeof purgeQuery>>,
): Promise<Reply> {
  await call(caller, query.purge === true ? videos.purge : videos.remove, { id, as, ...unlessEdited({ req, params: { id } }) });
  return { status: 204 };
}

type Batch = z.output<typeof batch>;

async function changeVideos(state: GatewayState, request: Request<unknown, unknown, Batch>): Promise<Reply> {
  const { ids } = request.body;
  const results: object[] = [];
  for (let at = 0; at < ids.length; at += BATCH_AT_ONCE) {
    results.push(...(await Promise.all(ids.slice(at, at + BATCH_AT_ONCE).map(async (id) => await resultOf(state, request, id)))));
  }
  return { status: 207, json: { data: results } };
}

async function resultOf(
  state: GatewayState,
  { caller, as, res, body: { operation, set } }: Request<unknown, unknown, Batch>,
  id: string,
): Promise<object> {
  const operations = {
    delete: async () => await call(caller, videos.remove, { id, as }),
    purge: async () => await call(caller, videos.purge, { id, as }),
    restore: async () => await call(caller, videos.restore, { id, as }),
    retry: async () => await call(caller, videos.retry, { id, as }),
    update: async () => await call(caller, videos.edit, { id, as, set: given(set ?? {}) }),
  };
  try {
    const changed = await operations[operation]();
    return { id, status: changed ? 200 : 204, video: changed ? videoDocument(changed) : null, error: null };
  } catch (error) {
    const { status, code, title, detail } = problemOf(error, { id: String(res.getHeader("X-Request-Id")), path: "" });
    return { id, status, video: null, error: { code, title, detail } };
  } finally {
    // Of what failed, too, nobody knows whether it was done.
    state.forget(id);
  }
}

async function source(_: GatewayState, { caller, as, params: { id } }: Request<{ id: string }>): Promise<Reply> {
  const { blob, size, filename } = await call(caller, videos.source, { id, as });
  return {
    // What it really is nobody has proved: a browser must not try to show it.
    type: "application/octet-stream",
    size,
    filename,
    etag: `"${blob}"`,
    caching: "private, no-cache",
    stream: async ({ start, end }) => await call(caller, storage.read, { blob, start, end }),
  };
}

async function putCaptions(_: GatewayState, { req, res, caller, as, params }: Request<{ id: string; language: string }>): Promise<Reply> {
  const editions = unlessEdited({ req, params });
  const type = req.headers["content-type"]?.split(";", 1)[0]?.trim().toLowerCase() ?? "";
  if (!["text/vtt", "application/x-subrip"].includes(type)) {
    throw failure("UNSUPPORTED_MEDIA_TYPE", "Send captions as text/vtt or application/x-subrip.");
  }
  const parts: Buffer[] = [];
  for await (const part of openBody(req, res, { bytesMax: CAPTIONS_BYTES_MAX, idleMs: CAPTIONS_IDLE_MS }) as AsyncIterable<Buffer>)
    parts.push(part);
  const text = Buffer.from(webVtt(Buffer.concat(parts)));
  // Whoever may not change the video stores nothing; the catalogue looks again.
  if (!mayChange(as, await call(caller, videos.get, { id: params.id, as })))
    throw failure("FORBIDDEN", "Only its owner may do this to a video.");
  const { blob, size } = await call(caller, storage.put, { bytes: text });
  await call(caller, videos.putCaptions, { ...params, as, ...editions, blob, size });
  return { status: 204 };
}
