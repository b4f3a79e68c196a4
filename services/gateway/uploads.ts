/** An upload in one request: each file becomes a blob while it arrives, then a video. */
import { randomBytes } from "node:crypto";
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
const details = z.strictObject({
  title: z.string().transform(cleanLine).pipe(z.string().max(200)).optional(),
  description: z.string().transform(cleanText).pipe(z.string().max(5000)).optional(),
  tags: z
    .string()
    .transform(splitTags)
    .pipe(z.array(z.string().max(50)).max(30))
    .optional(),
  // Until there are rights, whatever is stored can be seen by everyone: nobody may believe otherwise.
  visibility: z.literal("public", "must be public: unlisted and private come with sign-in").optional(),
});
type Details = z.output<typeof details>;

export const uploadQuery = details.extend({ filename: z.string().max(1000).optional() });
type UploadRequest = Request<unknown, z.output<typeof uploadQuery>>;

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
    if (this.#running >= this.#limits.atOnce) {
      throw failure("TOO_BUSY", `This server takes ${this.#limits.atOnce} uploads at the same time.`);
    }
    this.#running += 1;
    try {
      return await read(request, this.#limits);
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

async function receiveRaw({ req, res, query, caller }: UploadRequest, limits: UploadLimits): Promise<Reply> {
  const header = req.headers["x-filename"];
  const filename = query.filename ?? (typeof header === "string" ? headerText(header) : "");
  const body = openBody(req, res, limits);
  try {
    const stored = await store(caller, body, limits);
    return accepted(await create(caller, { filename: cleanFilename(filename), stored }, query));
  } finally {
    body.destroy();
  }
}

/** Videos are made when the whole form has arrived: whoever gets no answer has made none, and a field may stand behind its file. */
async function receiveForm({ req, res, query, caller }: UploadRequest, limits: UploadLimits): Promise<Reply> {
  const body = openBody(req, res, { ...limits, overheadBytes: FORM_OVERHEAD_BYTES });
  const fields = { ...query };
  try {
    const received = await readForm<Received>(req.headers, body, {
      field: (name, value) => void Object.assign(fields, checkedField(name, value, fields)),
      file: async (name, filename, content) => {
        if (name !== "file") throw unknownField(name);
        return { filename: cleanFilename(filename ?? ""), stored: await storeOne(caller, content, limits) };
      },
    });
    return await createAll(caller, received, fields, String(res.getHeader("X-Request-Id")));
  } finally {
    body.destroy();
  }
}

/** A field is refused when it comes, not after the gigabytes that follow it. Tags may come in several, which count together. */
function checkedField(name: string, value: string, before: Details): Details {
  return checked(details, { [name]: name === "tags" ? [...(before.tags ?? []), value].join(",") : value });
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

async function create(caller: Caller, { filename, stored }: Received, said: Details): Promise<Video> {
  if (stored instanceof Error) throw stored;
  return await call(caller, videos.create, {
    id: uuidV7(Date.now(), randomBytes(10)),
    filename,
    title: said.title || titleOf(filename),
    description: said.description ?? "",
    tags: said.tags ?? [],
    source: { blob: stored.blob, size: stored.size },
  });
}

async function createAll(caller: Caller, received: readonly Received[], said: Details, requestId: string): Promise<Reply> {
  const [only, ...others] = received;
  if (!only) throw failure("INVALID_REQUEST", "The form holds no file.", { fields: [{ path: "file", message: "is missing" }] });
  if (others.length === 0) return accepted(await create(caller, only, said));
  const results = await Promise.allSettled(received.map((file) => create(caller, file, said)));
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
