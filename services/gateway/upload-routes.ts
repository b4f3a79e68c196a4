/** Uploads that can be resumed: the addresses of the tus protocol. */
import { z } from "zod";
import type { ErrorType } from "../kernel/errors.ts";
import type { Method, Route, RouteAnswer } from "./dispatch.ts";
import { videoSchema } from "./domain/documents.ts";
import { byId, nothing } from "./domain/parameters.ts";
import { CHECKSUM_ALGORITHMS, OFFSET_OCTETS, UPLOADS_PATH } from "./domain/tus.ts";
import { batchBody } from "./resumable.ts";
import { route, type GatewayState } from "./state.ts";

const tag = "Resumable upload";

const version = { "Tus-Resumable": "1.0.0" };
const position = {
  "Upload-Offset": "Bytes that are durable: where the next one goes.",
  "Upload-Expires": "When an upload that gets no more bytes is let go.",
  "X-Video-Id": "The video that it becomes.",
};
const description = {
  ...position,
  "Upload-Length": "Bytes it will have.",
  "Upload-Metadata": "As it was said.",
  "Upload-Concat": "As it was said.",
};
const bytes = {
  "Upload-Checksum": `The checksum of the body: one of ${CHECKSUM_ALGORITHMS}, a space, and Base64.`,
  "Upload-Length": "Bytes it will have: said when the upload is made, or once later where that was deferred.",
};
const sending: readonly ErrorType[] = [
  "UPLOAD_NOT_FOUND",
  "UPLOAD_EXPIRED",
  "UPLOAD_PROTOCOL_UNSUPPORTED",
  "UPLOAD_TOO_LARGE",
  "UPLOAD_CHECKSUM_MISMATCH",
  "UPLOAD_ABORTED",
  "UPLOAD_STALLED",
  "UPLOAD_LOCKED",
  "NOT_ENOUGH_DISKS",
];

interface TusRoute {
  readonly id: string;
  readonly method: Method;
  readonly summary: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly needed?: readonly string[];
  readonly reads?: boolean;
  readonly answers: Readonly<Record<number, RouteAnswer>>;
  readonly errors: readonly ErrorType[];
}

/** One request of the protocol; what it says, it says in headers. */
function tusRoute(
  path: string,
  params: z.ZodType<{ id?: string }>,
  { reads, headers, needed = [], ...about }: TusRoute,
): Route<GatewayState> {
  const isSpoken = about.method !== "OPTIONS";
  return route({
    ...about,
    path,
    tag,
    needs: isSpoken ? "uploader" : "anonymous",
    limit: about.id === "createUpload" ? "upload" : "part",
    params,
    query: nothing,
    headers: { ...(isSpoken ? version : {}), ...headers },
    neededHeaders: [...(isSpoken ? Object.keys(version) : []), ...needed],
    ...(reads === true ? { body: { streams: [OFFSET_OCTETS] } } : {}),
    handler: async ({ resumable }, request) => await resumable.answer(request),
  });
}

const capabilities: RouteAnswer = {
  description: "What is offered.",
  headers: {
    "Tus-Version": "1.0.0",
    "Tus-Extension": "The extensions of the protocol that are spoken.",
    "Tus-Max-Size": "The largest upload, bytes.",
    "Tus-Checksum-Algorithm": CHECKSUM_ALGORITHMS,
  },
};
const options: TusRoute = {
  id: "",
  method: "OPTIONS",
  summary: "What this server speaks of tus.",
  answers: { 204: capabilities },
  errors: [],
};

const batchResult = z
  .strictObject({
    status: z.int().describe("what it alone would have been answered"),
    location: z.string().nullable().describe("where its bytes go"),
    video: videoSchema.nullable(),
    error: z.strictObject({ code: z.string(), title: z.string(), detail: z.string() }).nullable(),
  })
  .meta({ id: "UploadCreation", description: "One upload of several that were made at once." });

const upload = `${UPLOADS_PATH}/:id`;

export const uploadRoutes: readonly Route<GatewayState>[] = [
  tusRoute(UPLOADS_PATH, nothing, { ...options, id: "describeUploads" }),
  tusRoute(UPLOADS_PATH, nothing, {
    id: "createUpload",
    method: "POST",
    summary: "Begins an upload, and makes the video that waits for it. Its first bytes may come along.",
    headers: {
      ...bytes,
      "Upload-Defer-Length": "1 when the length is not known yet: then without `Upload-Length`.",
      "Upload-Metadata":
        "`key value` pairs with commas between them, each value in Base64: `title T3VyIGZpbG0=,tags c2VhLHN1bg==`. The keys are `filename`, `filetype`, and the fields of `POST /videos/upload`: `title`, `description`, `tags` (`sea,sun`), `visibility`.",
      "Upload-Concat":
        "`partial`; or `final;` and the addresses of partial uploads, with spaces between them: it has their bytes, and no length of its own.",
    },
    reads: true,
    answers: { 201: { description: "It takes bytes.", headers: { Location: "The upload.", ...position } } },
    errors: [...sending, "UPLOAD_EMPTY", "UPLOAD_OFFSET_CONFLICT", "UPLOADS_TOO_MANY", "UNSUPPORTED_MEDIA_TYPE"],
  }),
  route({
    id: "createUploads",
    method: "POST",
    path: `${UPLOADS_PATH}/batch`,
    summary: "Begins several uploads at once.",
    tag,
    needs: "uploader",
    limit: "upload",
    params: nothing,
    query: nothing,
    body: { json: batchBody },
    answers: {
      207: {
        description: "One result each, in the order of the request.",
        json: z.strictObject({ data: z.array(batchResult).readonly() }),
      },
    },
    errors: [],
    handler: async ({ resumable }, request) => await resumable.createAll(request),
  }),
  tusRoute(upload, byId, { ...options, id: "describeUpload" }),
  tusRoute(upload, byId, {
    id: "getUpload",
    method: "HEAD",
    summary: "How much of an upload is durable.",
    answers: { 200: { description: "Where it goes on.", headers: description } },
    errors: ["UPLOAD_NOT_FOUND", "UPLOAD_EXPIRED", "UPLOAD_PROTOCOL_UNSUPPORTED"],
  }),
  tusRoute(upload, byId, {
    id: "appendToUpload",
    method: "PATCH",
    summary: "Goes on with an upload.",
    headers: { "Upload-Offset": "Where the first byte of the body goes: the offset that HEAD answers.", ...bytes },
    needed: ["Upload-Offset"],
    reads: true,
    answers: { 204: { description: "Every byte that came is durable.", headers: position } },
    errors: [...sending, "UPLOAD_OFFSET_CONFLICT", "UPLOAD_IS_FINAL", "UNSUPPORTED_MEDIA_TYPE"],
  }),
  tusRoute(upload, byId, {
    id: "deleteUpload",
    method: "DELETE",
    summary: "Ends an upload: what came of it is let go.",
    answers: { 204: { description: "It is gone." } },
    errors: ["UPLOAD_NOT_FOUND", "UPLOAD_EXPIRED", "UPLOAD_PROTOCOL_UNSUPPORTED"],
  }),
  tusRoute(upload, byId, {
    id: "overrideUploadMethod",
    method: "POST",
    summary: "Any of the other requests, for clients that can only send POST.",
    headers: { "X-HTTP-Method-Override": "PATCH, DELETE or HEAD.", "Upload-Offset": "For PATCH.", ...bytes },
    needed: ["X-HTTP-Method-Override"],
    reads: true,
    answers: {
      200: { description: "As HEAD answers.", headers: description },
      204: { description: "As PATCH or DELETE answers.", headers: position },
    },
    errors: [...sending, "UPLOAD_OFFSET_CONFLICT", "UPLOAD_IS_FINAL", "UNSUPPORTED_MEDIA_TYPE"],
  }),
];
