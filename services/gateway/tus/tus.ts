/**
 * The tus protocol 1.0.0, by @tus/server where that keeps it. What it does not do, or does otherwise than the protocol says, is done here: versions,
 * overridden methods, types of content, checksums, concatenation, and the documents of errors (docs/decisions/0017).
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { Metadata, Server } from "@tus/server";
import { errorType, failure, type ErrorType } from "../../kernel/errors.ts";
import { CHECKSUM_ALGORITHMS, checksumOf, concatOf, OFFSET_OCTETS, TUS_VERSION, UPLOADS_PATH, type Concat } from "../domain/tus.ts";
import { refuseEncoded } from "../http/body.ts";
import type { Answer } from "../http/reply.ts";
import type { TusPorts, TusUpload } from "./ports.ts";
import { UploadStore } from "./store.ts";

export interface TusRequest {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly method: string;
  /** The upload that the address names; what a new one is to be called where it names none. */
  readonly id: string;
  readonly ports: TusPorts;
}

export interface TusLimits {
  readonly bytesMax: number;
  readonly idleMs: number;
}

export async function answerTus(request: TusRequest, limits: TusLimits): Promise<Answer> {
  const { req, res, method } = request;
  res.setHeader("Tus-Resumable", TUS_VERSION);
  if (method !== "OPTIONS") assertVersion(req, res);
  if (method === "PATCH" && headerOf(req, "content-type") !== OFFSET_OCTETS) {
    throw failure("UNSUPPORTED_MEDIA_TYPE", `The body of a PATCH has the type ${OFFSET_OCTETS}.`);
  }
  refuseEncoded(req);
  const concat = method === "POST" ? concatOf(headerOf(req, "upload-concat")) : { kind: "whole" as const };
  return concat.kind === "final" ? await join(request, concat) : await answerByLibrary(request, concat.kind, limits);
}

function assertVersion(req: IncomingMessage, res: ServerResponse): void {
  if (headerOf(req, "tus-resumable") === TUS_VERSION) return;
  res.setHeader("Tus-Version", TUS_VERSION);
  throw failure("UPLOAD_PROTOCOL_UNSUPPORTED", `Send Tus-Resumable: ${TUS_VERSION}, the version of tus that is spoken here.`);
}

async function join({ req, id, ports }: TusRequest, { partials }: Extract<Concat, { kind: "final" }>): Promise<Answer> {
  if (headerOf(req, "upload-length") !== undefined) throw failure("INVALID_REQUEST", "The length of a final upload is that of its parts.");
  const metadata = headerOf(req, "upload-metadata") ?? "";
  const upload = await ports.join(
    { id, length: null, metadata, values: metadataOf(metadata) },
    headerOf(req, "upload-concat") ?? "",
    partials,
  );
  return { status: 201, headers: { Location: `${UPLOADS_PATH}/${id}`, ...headersOf(upload) } };
}

function metadataOf(header: string): Record<string, string | null> {
  try {
    return header === "" ? {} : Metadata.parse(header);
  } catch (error) {
    throw failure("INVALID_REQUEST", "Upload-Metadata is pairs of a key and a value in Base64, with commas between them.", {
      cause: error,
    });
  }
}

async function answerByLibrary(request: TusRequest, kind: "whole" | "partial", limits: TusLimits): Promise<Answer> {
  const { req, method, id } = request;
  const store = new UploadStore({
    ...request,
    ...limits,
    kind,
    metadata: headerOf(req, "upload-metadata") ?? "",
    checksum: checksumOf(headerOf(req, "upload-checksum")),
  });
  let thrown: unknown;
  const server = new Server({
    path: UPLOADS_PATH,
    datastore: store,
    locker: store,
    maxSize: limits.bytesMax,
    relativeLocation: true,
    // The library's own answer would let every page of the world in.
    allowedOrigins: () => false,
    namingFunction: () => id,
    getFileIdFromRequest: () => id,
    onResponseError: (_request, error) => void (thrown = error),
  });
  const response = await server.handleWeb(new Request(`http://localhost${UPLOADS_PATH}/${id}`, { method, headers: headersFor(req) }));
  if (thrown !== undefined) throw refusal(thrown, store.current);
  if (response.status >= 400) throw refusal({ status_code: response.status, body: await response.text() }, store.current);
  return { status: response.status, headers: { ...kept(response.headers), ...(method === "DELETE" ? {} : headersOf(store.current)) } };
}

/** What the library reads. What it would make of others is done here, or has no place here. */
const READ = [
  "tus-resumable",
  "upload-offset",
  "upload-length",
  "upload-defer-length",
  "upload-metadata",
  "content-length",
  "content-type",
];

function headersFor(req: IncomingMessage): Headers {
  const headers = new Headers();
  for (const name of READ) {
    const value = headerOf(req, name);
    if (value !== undefined) headers.set(name, value);
  }
  return headers;
}

function headerOf({ headers }: IncomingMessage, name: string): string | undefined {
  const value = headers[name];
  return typeof value === "string" ? value : undefined;
}

/** The protocol's own headers; others are not the library's business. */
function kept(headers: Headers): Record<string, string> {
  const own = [...headers].filter(([name]) => /^(?:tus-|upload-|location$)/.test(name));
  return { ...Object.fromEntries(own), ...(headers.has("tus-extension") ? { "Tus-Checksum-Algorithm": CHECKSUM_ALGORITHMS } : {}) };
}

function headersOf(upload: TusUpload | undefined): Record<string, string> {
  if (!upload) return {};
  const { kind, state, video, metadata, concat, expiresAt } = upload;
  return {
    ...(video === null ? {} : { "X-Video-Id": video }),
    ...(state === "open" ? { "Upload-Expires": new Date(expiresAt).toUTCString() } : {}),
    ...(kind === "whole" ? {} : { "Upload-Concat": concat ?? "partial" }),
    ...(metadata === "" ? {} : { "Upload-Metadata": metadata }),
  };
}

/** The library throws objects with a status and a line of text. */
function refusal(thrown: unknown, upload: TusUpload | undefined): unknown {
  const { status_code: status, body } = thrown as { status_code?: unknown; body?: unknown };
  if (errorType(thrown) !== undefined || typeof status !== "number") return thrown;
  if (status === 409 && upload) return failure("UPLOAD_OFFSET_CONFLICT", `The upload ${upload.id} goes on at byte ${upload.offset}.`);
  if (status === 413 && upload?.length) {
    return failure(
      "UPLOAD_TOO_LARGE",
      `The upload was said to have ${upload.length} bytes, of which ${upload.offset} are here: these are more than the rest.`,
    );
  }
  return failure(TYPES[status] ?? "INVALID_REQUEST", `${String(body).trim().replace(/\.$/, "")}.`);
}

const TYPES: Readonly<Record<number, ErrorType>> = { 404: "UPLOAD_NOT_FOUND", 410: "UPLOAD_EXPIRED", 413: "UPLOAD_TOO_LARGE" };
