/** An upload in one request: each file becomes a blob while it arrives, then a video. */
import { createHash, randomBytes } from "node:crypto";
import type { Readable } from "node:stream";
import { z } from "zod";
import { errorType, failure } from "../kernel/errors.ts";
import { call, type Caller } from "../kernel/rpc.ts";
import { storage, type StoredBlob } from "../storage/contract.ts";
import { videos, type Video } from "../videos/contract.ts";
import { checked, type Request } from "./dispatch.ts";
import { uuidV7 } from "./domain/ids.ts";
import { videoPath } from "./domain/links.ts";
import { cleanFilename, cleanLine, cleanText, headerText, splitTags, titleOf } from "./domain/names.ts";
import { problemOf } from "./domain/problem.ts";
import { videoDocument } from "./domain/video.ts";
import { openBody } from "./http/body.ts";
import { FORM_OVERHEAD_BYTES, readForm } from "./http/form.ts";
import type { Reply } from "./http/reply.ts";

export interface UploadLimits {
  readonly bytesMax: number;
  readonly idleMs: number;
  /** Requests at the same time. */
  readonly atOnce: number;
}

/** What is said about a video besides its bytes. Empty is as good as not said: browsers send empty fields. */
export const uploadFields = z.strictObject({
  title: z
    .string()
    .transform(cleanLine)
    .pipe(z.string().max(200))
    .optional()
    .describe("up to 200 characters in one line; else the file's name"),
  description: z.string().transform(cleanText).pipe(z.string().max(5000)).optional().describe("up to 5000 characters, in lines"),
  tags: z
    .string()
    .or(z.array(z.string()).transform((tags) => tags.join(",")))
    .transform(splitTags)
    .pipe(z.array(z.string().max(50)).max(30))
    .optional()
    .describe("up to 30, of up to 50 characters each, with commas between them: `sea,sun`"),
  visibility: z
    .enum(["public", "unlisted", "private", ""])
    .optional()
    .describe("who finds and sees it; `public` where it is left out or empty"),
});
type Details = z.output<typeof uploadFields>;

export const uploadQuery = uploadFields.extend({
  filename: z.string().max(1000).optional().describe("the file's name, when the body is the file"),
});
type UploadRequest = Request<unknown, z.output<typeof uploadQuery>>;
/** Who uploads: the owner of what becomes of it. */
type Uploader = Pick<UploadRequest, "caller" | "as" | "req">;

/** The video exists and its conversion is on its way. */
const ACCEPTED = 202;

/** A file whose bytes are safe, or the reason why they are not. */
interface Received {
  readonly filename: string;
  readonly stored: StoredBlob | Error;
}

export class Uploads {
  readonly #limits: UploadLimits;
  #running = 0;

  constructor(limits: UploadLimits) {
    this.#limits = limits;
  }

  /** 202 with the video; for a form with several files, with one result a file. */
  async receive(request: UploadRequest): Promise<Reply> {
    const read = readerFor(request.req.headers["content-type"]);
    requestKey(request);
    return await this.admit(() => read(request, this.#limits));
  }

  /** Runs what takes bytes in, if there is a place for it. TOO_BUSY. */
  async admit<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#limits.atOnce) {
      throw failure("TOO_BUSY", `This server takes ${this.#limits.atOnce} uploads at the same time.`);
    }
    this.#running += 1;
    try {
      return await work();
    } finally {
      this.#running -= 1;
    }
  }
}

/** A body without a type is taken for bytes (RFC 9110, 8.3): what they are is seen later. */
function readerFor(contentType = "application/octet-stream"): (request: UploadRequest, limits: UploadLimits) => Promise<Reply> {
  const type = contentType.split(";", 1)[0]?.trim().toLowerCase() ?? "";
  if (type === "multipart/form-data") return receiveForm;
  if (type === "application/octet-stream" || /^video\/[a-z0-9!#$&^_.+-]+$/.test(type)) return receiveRaw;
  throw failure("UNSUPPORTED_MEDIA_TYPE", "Send the file as video/* or application/octet-stream, or a form as multipart/form-data.");
}

async function receiveRaw(request: UploadRequest, limits: UploadLimits): Promise<Reply> {
  const { req, res, query, caller } = request;
  const header = req.headers["x-filename"];
  const filename = query.filename ?? (typeof header === "string" ? headerText(header) : "");
  const body = openBody(req, res, limits);
  try {
    const stored = await store(caller, body, limits);
    return accepted(await createOne(request, [{ filename: cleanFilename(filename), stored }], query));
  } finally {
    body.destroy();
  }
}

/** Videos are made when the whole form has arrived: whoever gets no answer has made none, and a field may stand behind its file. */
async function receiveForm(request: UploadRequest, limits: UploadLimits): Promise<Reply> {
  const { req, res, query, caller } = request;
  const body = openBody(req, res, { ...limits, overheadBytes: FORM_OVERHEAD_BYTES });
  const fields = { ...query };
  const told = new Set<string>();
  try {
    const received = await readForm<Received>(req.headers, body, {
      field(name, value) {
        if (name !== "tags" && told.has(name)) throw toldTwice(name);
        told.add(name);
        Object.assign(fields, checkedField(name, value, fields));
      },
      file: async (name, filename, content) => {
        if (name !== "file") throw unknownField(name);
        return { filename: cleanFilename(filename ?? ""), stored: await storeOne(caller, content, limits) };
      },
    });
    return await createAll(request, received, fields, String(res.getHeader("X-Request-Id")));
  } finally {
    body.destroy();
  }
}

/** A field is refused when it comes, not after the gigabytes that follow it. Tags may come in several, which count together. */
function checkedField(name: string, value: string, before: Details): Details {
  return checked(uploadFields, { [name]: name === "tags" ? [...(before.tags ?? []), value].join(",") : value });
}

function toldTwice(path: string): Error {
  return failure("INVALID_REQUEST", `The form is not valid: ${path} must be given once.`, {
    fields: [{ path, message: "must be given once" }],
  });
}

function unknownField(path: string): Error {
  return failure("INVALID_REQUEST", `The form is not valid: files stand in the field "file", not in "${cleanLine(path).slice(0, 50)}".`, {
    fields: [{ path, message: "is not known here" }],
  });
}

/** An empty file is that file's failure alone; anything else that goes wrong with bytes is the whole form's. */
async function storeOne(caller: Caller, content: Readable, limits: UploadLimits): Promise<StoredBlob | Error> {
  try {
    return await store(caller, content, limits);
  } catch (error) {
    if (errorType(error) === "UPLOAD_EMPTY") return error as Error;
    throw error;
  }
}

/** What ended the stream is the reason, whatever became of it on its way through storage. */
async function store(caller: Caller, content: Readable, { bytesMax }: UploadLimits): Promise<StoredBlob> {
  try {
    return await call(caller, storage.write, { maxBytes: bytesMax }, { stream: content });
  } catch (error) {
    throw errorType(content.errored) === undefined ? error : content.errored;
  }
}

/** The name that the client gave its request, if it did. */
function requestKey({ req }: Uploader): string | undefined {
  const key = req.headers["idempotency-key"];
  if (key === undefined || (typeof key === "string" && /^[\x21-\x7e]{1,255}$/.test(key))) return key;
  throw failure("INVALID_REQUEST", "An Idempotency-Key has 1 to 255 visible characters.", {
    fields: [{ path: "Idempotency-Key", message: "must have 1 to 255 visible characters" }],
  });
}

/** The same files, in the same order, with the same words: the same request. */
function digestOf(received: readonly Received[], said: Details): string {
  const files = received.map(({ filename, stored }) => [filename, stored instanceof Error ? null : stored.blob]);
  const { title, description, tags, visibility } = said;
  return createHash("sha256")
    .update(JSON.stringify([files, title, description, tags, visibility]))
    .digest("hex");
}

async function createOne(uploader: Uploader, received: readonly Received[], said: Details, index = 0): Promise<Video> {
  const { caller, as } = uploader;
  const { filename, stored } = received[index] as Received;
  if (stored instanceof Error) throw stored;
  const key = requestKey(uploader);
  return await call(caller, videos.create, {
    id: uuidV7(Date.now(), randomBytes(10)),
    filename,
    title: said.title || titleOf(filename),
    description: said.description ?? "",
    tags: said.tags ?? [],
    ...(said.visibility ? { visibility: said.visibility } : {}),
    as,
    source: { blob: stored.blob, size: stored.size },
    ...(key === undefined ? {} : { request: { key: `${key} ${index}`, digest: digestOf(received, said) } }),
  });
}

async function createAll(uploader: Uploader, received: readonly Received[], said: Details, requestId: string): Promise<Reply> {
  if (received.length === 0)
    throw failure("INVALID_REQUEST", "The form holds no file.", { fields: [{ path: "file", message: "is missing" }] });
  if (received.length === 1) return accepted(await createOne(uploader, received, said));
  const results = await Promise.allSettled(received.map((_, index) => createOne(uploader, received, said, index)));
  const failed = results.find(({ status }) => status === "rejected");
  if (failed?.status === "rejected" && results.every(({ status }) => status === "rejected")) throw failed.reason;
  const data = results.map((result, index) => resultOf(received[index]?.filename ?? "", result, requestId));
  return { status: ACCEPTED, json: { data } };
}

function accepted(video: Video): Reply {
  return { status: ACCEPTED, json: { data: videoDocument(video) }, headers: { Location: videoPath(video.id) } };
}

function resultOf(filename: string, result: PromiseSettledResult<Video>, id: string): object {
  if (result.status === "fulfilled") return { filename, status: ACCEPTED, video: videoDocument(result.value), error: null };
  const { status, code, title, detail } = problemOf(result.reason, { id, path: "" });
  return { filename, status, video: null, error: { code, title, detail } };
}
