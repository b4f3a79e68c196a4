/** What players ask for. */
import { z } from "zod";
import { failure, type ErrorType } from "../kernel/errors.ts";
import { mayChange } from "../kernel/principal.ts";
import { call } from "../kernel/rpc.ts";
import { videos } from "../videos/contract.ts";
import type { Request, Route, RouteAnswer } from "./dispatch.ts";
import { clientData, CMCD_HEADERS, type ClientData } from "./domain/cmcd.ts";
import { one, signedSchema } from "./domain/documents.ts";
import { API, videoPath } from "./domain/links.ts";
import { byId, bySignature, captions, nothing, seconds, segment, stream } from "./domain/parameters.ts";
import { sign, SIGNATURE_SECONDS_MAX } from "./domain/signature.ts";
import { countedAs } from "../kernel/address.ts";
import type { Reply } from "./http/reply.ts";
import type { Viewer } from "./playback.ts";
import { route, type GatewayState } from "./state.ts";
import { waiterOf } from "./waiting.ts";

const video = `${API}/videos/:id`;
const rendition = `${video}/streams/:revision/:rendition`;
const HLS = "application/vnd.apple.mpegurl";

export const playbackQuery = bySignature.extend({
  CMCD: z
    .string()
    .max(2000)
    .optional()
    .describe(
      "what a player says of itself (CTA-5004), which may stand in headers as well: `sid`, `br`, `bs` and the segments make its owner's analytics",
    ),
});
type Query = z.output<typeof playbackQuery>;

const thumbnailQuery = playbackQuery.extend({
  t: seconds
    .optional()
    .describe("a time in the video, of which whole seconds count: its frame instead of the picture that stands for the whole"),
});

/** A document or a piece of media: all are read alike, with conditions and ranges. */
interface Played<P extends z.ZodType, Q extends z.ZodType<Query>> {
  readonly id: string;
  readonly path: string;
  readonly summary: string;
  readonly params: P;
  readonly query?: Q;
  readonly media: string | readonly string[];
  readonly errors?: readonly ErrorType[];
  readonly dearer?: NonNullable<Route<GatewayState>["dearer"]>;
  readonly handler: (state: GatewayState, request: Request<z.output<P>, z.output<Q>>) => Promise<Reply>;
}

function played<P extends z.ZodType, Q extends z.ZodType<Query> = typeof playbackQuery>({
  media,
  errors = [],
  handler,
  query,
  ...about
}: Played<P, Q>): Route<GatewayState> {
  return route({
    ...about,
    method: "GET",
    tag: "Playback",
    needs: "anonymous",
    limit: "media",
    // Q is another one only where it is given.
    query: query ?? (playbackQuery as z.ZodType as Q),
    answers: answersOf(media),
    errors: ["VIDEO_NOT_FOUND", "VIDEO_NOT_PLAYABLE", "RANGE_NOT_SATISFIABLE", "SIGNATURE_INVALID", ...errors],
    handler,
  });
}

function answersOf(media: string | readonly string[]): Readonly<Record<number, RouteAnswer>> {
  return {
    200: { description: "All of it.", media, headers: { ETag: "Names the bytes." } },
    206: { description: "The part that `Range` asked for.", media, headers: { "Content-Range": "Which part it is." } },
    304: { description: "The client has it already (`If-None-Match`)." },
  };
}

export const playbackRoutes: readonly Route<GatewayState>[] = [
  played({
    id: "getDashManifest",
    path: `${video}/manifest.mpd`,
    summary: "The MPEG-DASH manifest.",
    params: byId,
    media: "application/dash+xml",
    handler: async ({ playback }, request) => await playback.dash(viewerOf(request), request.params.id),
  }),
  played({
    id: "getHlsPlaylist",
    path: `${video}/master.m3u8`,
    summary: "The HLS multivariant playlist.",
    params: byId,
    media: HLS,
    handler: async ({ playback }, request) => await playback.hls(viewerOf(request), request.params.id),
  }),
  played({
    id: "getThumbnail",
    path: `${video}/thumbnail.jpg`,
    summary: "A picture of the video; with `t`, the frame at that time.",
    params: byId,
    query: thumbnailQuery,
    dearer: { parameter: "t", limit: "still" },
    media: "image/jpeg",
    errors: ["PICTURE_NOT_FOUND", "VIDEO_SEGMENT_PENDING", "TOO_BUSY"],
    handler: thumbnail,
  }),
  played({
    id: "getStoryboard",
    path: `${video}/storyboard.jpg`,
    summary: "Small pictures of the whole video, side by side.",
    params: byId,
    media: "image/jpeg",
    errors: ["PICTURE_NOT_FOUND"],
    handler: async ({ playback }, request) => await playback.storyboard(viewerOf(request), request.params.id),
  }),
  played({
    id: "getStoryboardTimes",
    path: `${video}/storyboard.vtt`,
    summary: "Which of the small pictures shows what time, as WebVTT.",
    params: byId,
    media: "text/vtt",
    errors: ["PICTURE_NOT_FOUND"],
    handler: async ({ playback }, request) => await playback.storyboardTimes(viewerOf(request), request.params.id),
  }),
  played({
    id: "getCaptions",
    path: `${video}/captions/:language.vtt`,
    summary: "The captions of a video in one language.",
    params: captions,
    media: "text/vtt",
    errors: ["CAPTIONS_NOT_FOUND"],
    handler: async ({ playback }, request) => await playback.captions(viewerOf(request), request.params),
  }),
  played({
    id: "getCaptionsPlaylist",
    path: `${video}/captions/:language.m3u8`,
    summary: "The HLS playlist of captions.",
    params: captions,
    media: HLS,
    errors: ["CAPTIONS_NOT_FOUND"],
    handler: async ({ playback }, request) => await playback.captionsPlaylist(viewerOf(request), request.params),
  }),
  played({
    id: "getRenditionPlaylist",
    path: `${rendition}/playlist.m3u8`,
    summary: "The HLS playlist of one rendition.",
    params: stream,
    media: HLS,
    errors: ["SEGMENT_NOT_FOUND"],
    handler: async ({ playback }, request) => await playback.playlist(viewerOf(request), request.params),
  }),
  played({
    id: "getInitialisation",
    path: `${rendition}/init.mp4`,
    summary: "What a player reads before the first segment of a rendition.",
    params: stream,
    media: ["video/mp4", "audio/mp4"],
    errors: ["SEGMENT_NOT_FOUND"],
    handler: async ({ playback }, request) => await playback.initialisation(viewerOf(request), request.params),
  }),
  played({
    id: "getSegment",
    path: `${rendition}/:number.m4s`,
    summary: "One segment of a rendition.",
    params: segment,
    media: ["video/mp4", "audio/mp4"],
    errors: ["SEGMENT_NOT_FOUND", "VIDEO_SEGMENT_PENDING"],
    handler: async ({ playback }, request) =>
      await playback.segment(viewerOf(request), request.params, waiterOf(request.res, request.client.address)),
  }),
  route({
    id: "signAddresses",
    method: "POST",
    path: `${video}/signature`,
    summary: "Signs addresses of a video, for whoever is handed them: its manifests carry the signature on to all that they name.",
    tag: "Playback",
    needs: "uploader",
    limit: "write",
    params: byId,
    query: nothing,
    body: {
      json: z.strictObject({
        seconds: z
          .int()
          .min(60)
          .max(SIGNATURE_SECONDS_MAX)
          .default(4 * 3600)
          .describe("how long they are valid"),
      }),
    },
    answers: { 201: { description: "Addresses on this server.", json: one(signedSchema) } },
    errors: ["VIDEO_NOT_FOUND"],
    audit: ({ body }) => ({ ...body }),
    handler: signAddresses,
  }),
];

async function thumbnail({ playback }: GatewayState, request: Request<{ id: string }, z.output<typeof thumbnailQuery>>): Promise<Reply> {
  const { params, query, res, client } = request;
  if (query.t === undefined) return await playback.thumbnail(viewerOf(request), params.id);
  return await playback.still(viewerOf(request), params.id, query.t, waiterOf(res, client.address));
}

/** Who watches, and what shows that they may. */
export function viewerOf({ caller, as, query, client, req }: Request<unknown, Query>): Viewer {
  const viewer = req.method === "GET" ? (as.id ?? countedAs(client.address)) : undefined;
  return { caller, as, signature: query.signature, viewer, data: dataOf(query.CMCD, req.headers) };
}

/** Undefined for who says nothing. */
function dataOf(parameter: string | undefined, headers: Readonly<Record<string, unknown>>): ClientData | undefined {
  const texts = [parameter, ...CMCD_HEADERS.map((name) => headers[name])].filter((text) => typeof text === "string");
  return texts.length === 0 ? undefined : clientData(texts);
}

async function signAddresses(
  { identities }: GatewayState,
  { caller, as, params: { id }, body }: Request<{ id: string }, unknown, { seconds: number }>,
): Promise<Reply> {
  const found = await call(caller, videos.get, { id, as });
  if (!mayChange(as, found)) throw failure("FORBIDDEN", "Only its owner may do this to a video.");
  const [key] = await identities.keys(caller);
  if (!key) throw failure("SERVICE_UNAVAILABLE", "There is no key to sign with.");
  const expiresS = Math.floor(Date.now() / 1000) + body.seconds;
  const signature = sign(id, expiresS, key);
  const at = (file: string): string => `${videoPath(id)}${file}?signature=${signature}`;
  const data = {
    expiresAt: new Date(expiresS * 1000).toISOString(),
    signature,
    video: at(""),
    events: at("/events"),
    manifests: { dash: at("/manifest.mpd"), hls: at("/master.m3u8") },
    thumbnail: at("/thumbnail.jpg"),
    storyboard: at("/storyboard.vtt"),
  };
  return { status: 201, json: { data }, secret: true };
}
