/** Uploads that can be resumed: the protocol (tus/) on the services that keep its promises. */
import { randomBytes } from "node:crypto";
import { z } from "zod";
import { failure } from "../kernel/errors.ts";
import { call } from "../kernel/rpc.ts";
import { storage } from "../storage/contract.ts";
import { uploads } from "../uploads/contract.ts";
import { videos, type Video } from "../videos/contract.ts";
import { checked, type Request } from "./dispatch.ts";
import { uuidV7 } from "./domain/ids.ts";
import { cleanFilename, titleOf } from "./domain/names.ts";
import { methodOf, UPLOADS_PATH } from "./domain/tus.ts";
import { problemOf } from "./domain/problem.ts";
import { videoDocument } from "./domain/video.ts";
import { countedAs } from "../kernel/address.ts";
import type { Answer } from "./http/reply.ts";
import type { NewTusUpload, TusPorts } from "./tus/ports.ts";
import { answerTus, type TusLimits } from "./tus/tus.ts";
import { uploadFields, type Uploads } from "./uploads.ts";

const fileFields = {
  filename: z.string().max(1000).optional(),
  /** What a name or an operating system says of a file; what it is, the inspection says. */
  filetype: z
    .string()
    .regex(
      /^(?:|video\/[A-Za-z0-9!#$&^_.+-]+|application\/octet-stream|application\/mxf)$/,
      "must be video/*, application/octet-stream or nothing",
    )
    .optional(),
};

/** The keys of `Upload-Metadata`. The last three are what Uppy says besides, in its own words. */
const metadataSchema = uploadFields.extend({
  ...fileFields,
  name: fileFields.filename,
  type: fileFields.filetype,
  relativePath: z.unknown().optional(),
});

const newUpload = uploadFields.extend({
  ...fileFields,
  length: z.int().positive().optional().describe("bytes; may be left out, and told later"),
});
/** A page of documents; and 64 KiB of JSON hold no more that say anything (http/json.ts). */
const BATCH_MAX = 100;
export const batchBody = z.strictObject({ uploads: z.array(newUpload).min(1).max(BATCH_MAX) });
type BatchBody = z.output<typeof batchBody>;

/** A key without a value, and one that a client fills with the word null, say nothing. */
function said(values: NewTusUpload["values"]): Record<string, string> {
  return Object.fromEntries(Object.entries(values).flatMap(([key, value]) => (value === null || value === "null" ? [] : [[key, value]])));
}

export class ResumableUploads {
  readonly #limits: TusLimits;
  readonly #uploads: Uploads;

  constructor(limits: TusLimits, oneRequest: Uploads) {
    this.#limits = limits;
    this.#uploads = oneRequest;
  }

  /** Any request of the protocol. */
  async answer(request: Request<{ id?: string }>): Promise<Answer> {
    const { req, res, params } = request;
    const method = methodOf(req.method, req.headers["x-http-method-override"]);
    if (method === "POST" && params.id !== undefined) {
      throw failure("INVALID_REQUEST", "A POST to an upload says in X-HTTP-Method-Override what it stands for.");
    }
    return await answerTus({ req, res, method, id: params.id ?? newId(), ports: this.#portsFor(request) }, this.#limits);
  }

  /** Each as if it had been made alone. */
  async createAll({ caller, as, client, res, body }: Request<unknown, unknown, BatchBody>): Promise<Answer> {
    const results = body.uploads.map(async ({ length, ...about }) => {
      if (length !== undefined && length > this.#limits.bytesMax)
        throw failure("UPLOAD_TOO_LARGE", `An upload may have at most ${this.#limits.bytesMax} bytes.`);
      const id = newId();
      const video = await reserve({ caller, as }, about, length ?? 0);
      await call(caller, uploads.create, { id, as, madeBy: madeBy({ as, client }), metadata: "", video: video.id, length: length ?? null });
      return { status: 201, location: `${UPLOADS_PATH}/${id}`, video: videoDocument(video), error: null };
    });
    const settled = await Promise.allSettled(results);
    const id = String(res.getHeader("X-Request-Id"));
    return {
      status: 207,
      json: { data: settled.map((result) => (result.status === "fulfilled" ? result.value : refused(result.reason, id))) },
    };
  }

  #portsFor(request: Request<{ id?: string }>): TusPorts {
    const { caller, as } = request;
    const by = { as, madeBy: madeBy(request) };
    const { bytesMax } = this.#limits;
    return {
      async create({ id, length, metadata, values }, kind) {
        const about = checked(metadataSchema, said(values));
        const video = kind === "partial" ? null : (await reserve(request, about, length ?? 0)).id;
        return await call(caller, uploads.create, { id, ...by, metadata, video, length });
      },
      async join({ id, metadata, values }, concat, partials) {
        const video = (await reserve(request, checked(metadataSchema, said(values)), 0)).id;
        try {
          return await call(caller, uploads.join, { id, ...by, metadata, video, concat, partials: [...partials], bytesMax });
        } catch (error) {
          await call(caller, videos.abandon, { id: video });
          throw error;
        }
      },
      get: async (id) => await call(caller, uploads.get, { as, id }),
      remove: async (id) => void (await call(caller, uploads.remove, { as, id })),
      hold: async (id) => await call(caller, uploads.hold, { as, id }),
      beat: async (hold, idle) => await call(caller, uploads.beat, { hold, idle }),
      release: async (hold) => void (await call(caller, uploads.release, { hold })),
      declare: async (hold, length) => await call(caller, uploads.declare, { hold, length }),
      append: async (hold, start, parts) => await call(caller, uploads.append, { hold, start, parts: [...parts] }),
      write: async (stream, maxBytes) => await call(caller, storage.write, { maxBytes }, { stream }),
      admit: async (work) => await this.#uploads.admit(work),
    };
  }
}

function newId(): string {
  return uuidV7(Date.now(), randomBytes(10));
}

/** Whose open uploads are counted together. */
function madeBy({ as, client }: Pick<Request, "as" | "client">): string {
  return as.id === null ? `address ${countedAs(client.address)}` : `user ${as.id}`;
}

type About = z.output<typeof metadataSchema>;

async function reserve({ caller, as }: Pick<Request, "caller" | "as">, about: Partial<About>, size: number): Promise<Video> {
  const filename = cleanFilename(about.filename || about.name || "");
  return await call(caller, videos.reserve, {
    as,
    id: newId(),
    filename,
    title: about.title || titleOf(filename),
    description: about.description ?? "",
    tags: about.tags ?? [],
    ...(about.visibility ? { visibility: about.visibility } : {}),
    size,
  });
}

function refused(error: unknown, id: string): object {
  const { status, code, title, detail } = problemOf(error, { id, path: UPLOADS_PATH });
  return { status, location: null, video: null, error: { code, title, detail } };
}
