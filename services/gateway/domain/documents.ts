/** The documents that the API answers, as schemas: the API's description is made from them, and tests hold every answer against it. */
import { z } from "zod";
import { roles } from "../../kernel/principal.ts";
import { renditionName, uuid } from "../../kernel/schemas.ts";

const time = z.iso.datetime().describe("RFC 3339, UTC");
const count = z.int().nonnegative();
const share = z.number().min(0).max(1);
const address = z.string().describe("an address on this server");
const reason = z
  .strictObject({ code: z.string().describe("a code of the table of errors"), message: z.string() })
  .meta({ id: "Reason", description: "Why something failed." });

const videoStatus = z.enum(["uploading", "queued", "processing", "ready", "failed", "deleted"]);
const visibility = z.enum(["public", "unlisted", "private"]);

const renditionSchema = z
  .strictObject({
    name: renditionName,
    width: count,
    height: count,
    bitrate: z.number().describe("bits a second of the heaviest segment"),
    codecs: z.string().describe("RFC 6381"),
  })
  .meta({ id: "Rendition", description: "One quality of a video." });

export const videoSchema = z
  .strictObject({
    id: uuid,
    title: z.string(),
    description: z.string(),
    tags: z.array(z.string()).readonly(),
    status: videoStatus,
    playable: z.boolean().describe("whether its first seconds can be watched"),
    progress: share.describe("0 to 1, of the work between the upload and `ready`"),
    visibility,
    owner: uuid.nullable(),
    createdAt: time,
    updatedAt: time,
    deletedAt: time.nullable(),
    duration: z.number().nullable().describe("seconds"),
    size: count.describe("bytes of the source"),
    width: count.nullable(),
    height: count.nullable(),
    frameRate: z.number().nullable(),
    container: z.string().nullable(),
    videoCodec: z.string().nullable(),
    audioCodec: z.string().nullable(),
    renditions: z.array(renditionSchema).readonly(),
    views: count.describe("how often it was watched: ten seconds or all of it, each viewer once in half an hour"),
    manifests: z.strictObject({ dash: address.nullable(), hls: address.nullable() }).describe("null until the video is playable"),
    thumbnail: address.nullable(),
    storyboard: address.nullable(),
    captions: z.array(z.strictObject({ language: z.string().describe("a tag of BCP 47"), url: address })).readonly(),
    error: reason.nullable(),
  })
  .meta({ id: "Video", description: "What a person uploads and watches. Null is “not known yet” or “there is none”." });
export type VideoDocument = z.output<typeof videoSchema>;

const pageSchema = z
  .strictObject({
    page: count.nullable().describe("null when a cursor was given: then pages have no numbers"),
    limit: count,
    total: count,
    totalEstimated: z.boolean().describe("whether the total is a guess: of a long list, a thousand are counted"),
    hasMore: z.boolean(),
    nextCursor: z.string().nullable(),
    corrected: z.string().nullable().describe("what was searched for instead, since what was asked for finds nothing"),
  })
  .meta({ id: "Page", description: "Where in a list one is." });

const stageSchema = z
  .strictObject({
    name: z.enum(["inspect", "video", "audio", "picture"]),
    state: z.enum(["waiting", "running", "done", "failed", "cancelled"]),
    progress: share,
    attempts: count,
    error: z.looseObject({ type: z.string(), message: z.string() }).nullable(),
  })
  .meta({ id: "Stage", description: "One kind of the work on a video." });

export const processingSchema = z
  .strictObject({
    id: uuid,
    status: videoStatus,
    playable: z.boolean(),
    progress: share,
    stages: z.array(stageSchema).readonly(),
    renditions: z
      .array(z.strictObject({ name: renditionName, segmentsDone: count, segmentsTotal: count, progress: share }))
      .readonly()
      .describe("per rendition, segments stored of all that were planned"),
    spansDone: count.describe("conversion jobs that are done"),
    spansTotal: count,
    secondsLeft: z.number().nullable().describe("an estimate; null before there is any"),
    attempts: count,
    error: reason.nullable(),
  })
  .meta({ id: "Processing", description: "How far the work on a video is." });

/** One file of a form with several. */
export const uploadResultSchema = z
  .strictObject({
    filename: z.string(),
    status: z.int().describe("what the file alone would have been answered"),
    video: videoSchema.nullable(),
    error: z.strictObject({ code: z.string(), title: z.string(), detail: z.string() }).nullable(),
  })
  .meta({ id: "UploadResult", description: "What became of one file of a form." });

/** What became of one video of a batch. */
export const batchResultSchema = z
  .strictObject({
    id: uuid,
    status: z.int().describe("what the operation alone would have been answered"),
    video: videoSchema.nullable().describe("as it is now; null when it is gone, or nothing was done"),
    error: z.strictObject({ code: z.string(), title: z.string(), detail: z.string() }).nullable(),
  })
  .meta({ id: "BatchResult", description: "What became of one video of a batch." });

export const recommendationSchema = z
  .strictObject({
    video: videoSchema,
    reason: z.strictObject({
      kind: z.enum(["tags", "owner", "popular", "new"]),
      tags: z.array(z.string()).readonly().optional().describe("those that both videos have"),
    }),
  })
  .meta({ id: "Recommendation", description: "A video for whoever watches another one, and why." });

const watched = { views: count, viewers: count.describe("each once a day"), watchSeconds: z.number().nonnegative() };
export const statisticsSchema = z
  .strictObject({
    ...watched,
    viewings: count.describe("of players that tell; the rest but views is of those"),
    averageViewSeconds: z.number().nonnegative(),
    startupSeconds: z
      .number()
      .nonnegative()
      .nullable()
      .describe("until the first picture, of half of the viewings less; null when none told"),
    rebufferRatio: share.describe("of the time, how much was waited for more"),
    errors: count,
    series: z.array(z.strictObject({ at: time, ...watched })).readonly(),
    retention: z.array(share).readonly().describe("which share of the viewings has seen each hundredth of the video; none for many videos"),
  })
  .meta({ id: "Statistics", description: "Who has watched in a time." });

export const popularSchema = z
  .strictObject({ video: videoSchema, score: z.number().nonnegative(), views: count.describe("of the last fortnight") })
  .meta({ id: "PopularVideo", description: "A video that many have watched lately." });

const health = z.enum(["ok", "degraded", "down"]);
const healthCheck = z.looseObject({ status: health }).meta({ id: "HealthCheck", description: "One part of the main job." });
export const healthSchema = z
  .strictObject({
    status: health,
    checks: z.strictObject({ database: healthCheck, broker: healthCheck, disks: healthCheck, queue: healthCheck, transcoder: healthCheck }),
    version: z.string(),
    uptime: z.number().describe("seconds"),
  })
  .meta({ id: "Health", description: "Whether the main job works, and which part is to blame when it does not." });
export const livenessSchema = z.strictObject({ status: z.literal("ok"), uptime: z.number() });
export const readinessSchema = z.strictObject({ status: z.enum(["ok", "down"]), missing: z.array(z.string()).optional() });

const role = z.enum(["viewer", "uploader", "admin"]);
export const userSchema = z.strictObject({ id: uuid, name: z.string(), role, createdAt: time, disabledAt: time.nullable() }).meta({
  id: "User",
  description: "Somebody who may sign in.",
  examples: [
    { id: "01890000-0000-7000-8000-0000000000aa", name: "ann", role: "uploader", createdAt: "2026-11-22T16:00:00.000Z", disabledAt: null },
  ],
});
export const sessionSchema = z
  .strictObject({
    mode: z.enum(["none", "token", "basic"]).describe("`none`: nobody signs in here"),
    role: z.enum(roles),
    user: userSchema.nullable(),
  })
  .meta({ id: "Session", description: "Who asks.", examples: [{ mode: "token", role: "anonymous", user: null }] });
export const tokenSchema = z
  .strictObject({ id: uuid, name: z.string(), role, createdAt: time, expiresAt: time, usedAt: time.nullable() })
  .meta({ id: "Token", description: "What a program shows. When it was used is noted once a minute." });
export const newTokenSchema = tokenSchema
  .extend({ secret: z.string() })
  .meta({ id: "NewToken", description: "A token with its secret, which is never shown again." });
export const auditSchema = z
  .strictObject({
    id: z.string(),
    at: time,
    user: uuid.nullable(),
    role: z.string(),
    action: z.string().describe("an operation of this API"),
    subject: z.string().nullable().describe("what it was done to"),
    outcome: z.string().describe("`done`, or the code of the failure"),
    address: z.string(),
    requestId: z.string(),
    details: z.record(z.string(), z.unknown()),
  })
  .meta({ id: "AuditEntry", description: "Something that was done." });
export const signedSchema = z
  .strictObject({
    expiresAt: time,
    signature: z.string(),
    video: address,
    events: address,
    manifests: z.strictObject({ dash: address, hls: address }),
    thumbnail: address,
    storyboard: address,
  })
  .meta({
    id: "SignedAddresses",
    description:
      "Addresses that let whoever has them watch, until they expire. They are signed also where there is nothing behind them yet.",
  });

/** The envelope of one thing, and of a list of them. */
export const one = <T extends z.ZodType>(data: T) => z.strictObject({ data });
export const listOf = <T extends z.ZodType>(item: T) => z.strictObject({ data: z.array(item).readonly(), meta: pageSchema });

export const problemSchema = z
  .strictObject({
    type: z.string().describe("the code as a URN"),
    title: z.string().describe("the same for each refusal with this code"),
    status: z.int().describe("of HTTP"),
    detail: z.string().describe("what was wrong this time, for a person"),
    instance: z.string().describe("the address that was asked"),
    code: z.string().describe("a stable word of the table of errors: what programs branch on"),
    requestId: z.string().describe("by which an operator finds it in the logs"),
    errors: z
      .array(
        z.strictObject({
          path: z.string().describe("`title`, `tags.0`, `set.title`, the name of a header; empty for the whole body"),
          message: z.string().describe("follows the path: `must be …`"),
        }),
      )
      .optional()
      .describe("what validation refused, one entry a field"),
    message: z.string().optional().describe("the detail once more, at the addresses of the first TritonTube"),
  })
  .meta({
    id: "Problem",
    description: "RFC 9457.",
    examples: [
      {
        type: "urn:tritontube:error:INVALID_REQUEST",
        title: "The request is not valid.",
        status: 400,
        detail: "The request is not valid: limit must be a whole number from 1 to 100.",
        instance: "/api/v1/videos",
        code: "INVALID_REQUEST",
        requestId: "6f1de3b2-5a0c-4b5e-9a57-1f0c8e2f6a11",
        errors: [{ path: "limit", message: "must be a whole number from 1 to 100" }],
      },
    ],
  });
