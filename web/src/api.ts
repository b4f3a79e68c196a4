/** The server, as this page sees it: /api/v1 and nothing else. */

export type VideoStatus = "uploading" | "queued" | "processing" | "ready" | "failed" | "deleted";

interface Reason {
  readonly code: string;
  readonly message: string;
}

/** Times are RFC 3339, durations seconds, sizes bytes, progress 0–1; null is "not known yet" or "there is none". */
export interface Video {
  readonly id: string;
  readonly title: string;
  readonly description: string;
  readonly status: VideoStatus;
  readonly playable: boolean;
  readonly progress: number;
  readonly createdAt: string;
  readonly duration: number | null;
  readonly size: number;
  readonly width: number | null;
  readonly height: number | null;
  readonly frameRate: number | null;
  readonly videoCodec: string | null;
  readonly audioCodec: string | null;
  readonly manifests: { readonly dash: string | null; readonly hls: string | null };
  readonly thumbnail: string | null;
  readonly error: Reason | null;
}

export interface Stage {
  readonly name: "inspect" | "video" | "audio" | "picture";
  readonly state: "waiting" | "running" | "done" | "failed" | "cancelled";
  readonly progress: number;
}

export interface Processing {
  readonly status: VideoStatus;
  readonly playable: boolean;
  readonly progress: number;
  readonly stages: readonly Stage[];
  readonly renditions: readonly { readonly name: string; readonly progress: number }[];
  readonly secondsLeft: number | null;
  readonly error: Reason | null;
}

export interface VideoPage {
  readonly videos: readonly Video[];
  readonly total: number;
  readonly nextCursor: string | null;
}

/** What went wrong, in words for a person. `status` is HTTP's, and 0 when the server did not answer at all. */
export class ApiError extends Error {
  readonly status: number;
  readonly title: string;
  readonly retryAfterS: number;

  constructor(status: number, title: string, { detail = "", retryAfterS = 0 } = {}) {
    super(detail);
    this.name = "ApiError";
    this.status = status;
    this.title = title;
    this.retryAfterS = retryAfterS;
  }
}

/** RFC 9457, as far as this page shows it. */
interface Problem {
  readonly title?: string;
  readonly detail?: string;
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
}

const BASE = "/api/v1";
/** The server itself gives up on its own parts after 10 s. */
const ANSWER_MS = 15_000;

const videoPath = (id: string) => `${BASE}/videos/${encodeURIComponent(id)}`;

/** Newest first; `limit` up to 100. */
export async function listVideos(limit: number, cursor: string | null, signal: AbortSignal): Promise<VideoPage> {
  const query = new URLSearchParams({ limit: String(limit), ...(cursor === null ? {} : { cursor }) });
  const body = await request<{ data: Video[]; meta: { total: number; nextCursor: string | null } }>(`${BASE}/videos?${query}`, signal);
  return { videos: body.data, total: body.meta.total, nextCursor: body.meta.nextCursor };
}

export async function getVideo(id: string, signal: AbortSignal): Promise<Video> {
  return (await request<{ data: Video }>(videoPath(id), signal)).data;
}

export async function getProcessing(id: string, signal: AbortSignal): Promise<Processing> {
  return (await request<{ data: Processing }>(`${videoPath(id)}/status`, signal)).data;
}

export async function deleteVideo(id: string, signal: AbortSignal): Promise<void> {
  await request(videoPath(id), signal, "DELETE");
}

async function request<T>(path: string, signal: AbortSignal, method = "GET"): Promise<T> {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]);
  try {
    const response = await fetch(path, { method, signal: deadline, headers: { accept: "application/json" } });
    const text = await response.text();
    if (!response.ok) throw problem(response.status, text, response.headers.get("retry-after"));
    return (text === "" ? undefined : JSON.parse(text)) as T;
  } catch (error) {
    if (error instanceof ApiError || signal.aborted) throw error;
    throw new ApiError(0, "The server does not answer.", { detail: "Check the connection." });
  }
}

function problem(status: number, text: string, retryAfter: string | null): ApiError {
  const body = parseProblem(text);
  const fields = (body.errors ?? []).map((field) => `${field.path}: ${field.message}`);
  return new ApiError(status, body.title ?? `The server answered ${status}.`, {
    detail: [body.detail ?? "", ...fields].filter(Boolean).join("\n"),
    retryAfterS: Number(retryAfter) || 0,
  });
}

/** A proxy in between answers in HTML: then the status has to do. */
function parseProblem(text: string): Problem {
  try {
    return (JSON.parse(text) ?? {}) as Problem;
  } catch {
    return {};
  }
}

/** An upload that moves no byte for this long is given up; the server ends it after a minute by itself. */
const STALL_MS = 90_000;

/** Sends one file. XMLHttpRequest, because fetch does not tell how much has been sent. `onSent` gets bytes of the file. */
export function uploadVideo(file: File, title: string, onSent: (bytes: number) => void, signal: AbortSignal): Promise<Video> {
  const { promise, resolve, reject } = Promise.withResolvers<Video>();
  const xhr = new XMLHttpRequest();
  const stall = stallTimer(() => xhr.abort());
  xhr.upload.addEventListener("progress", (event) => {
    stall.restart();
    // The form around the file is counted too.
    onSent(Math.min(file.size, event.loaded));
  });
  xhr.addEventListener("load", () => {
    if (xhr.status === 202) resolve((JSON.parse(xhr.responseText) as { data: Video }).data);
    else reject(problem(xhr.status, xhr.responseText, xhr.getResponseHeader("retry-after")));
  });
  xhr.addEventListener("error", () => reject(new ApiError(0, "The connection was lost.", { detail: "Nothing was kept: send it again." })));
  xhr.addEventListener("abort", () => reject(new ApiError(0, "The upload came to a standstill.", { detail: "Check the connection." })));
  xhr.addEventListener("loadend", () => stall.stop());
  signal.addEventListener("abort", () => xhr.abort(), { once: true });
  xhr.open("POST", `${BASE}/videos/upload`);
  xhr.setRequestHeader("accept", "application/json");
  xhr.send(uploadForm(file, title));
  return promise;
}

/** The title goes first: the server reads the form as it arrives, and the file is its end. */
function uploadForm(file: File, title: string): FormData {
  const form = new FormData();
  form.append("title", title);
  form.append("file", file);
  return form;
}

function stallTimer(onStall: () => void): { restart(): void; stop(): void } {
  let timer = setTimeout(onStall, STALL_MS);
  const stop = () => clearTimeout(timer);
  return {
    stop,
    restart() {
      stop();
      timer = setTimeout(onStall, STALL_MS);
    },
  };
}
