/** The server, as this page sees it: /api/v1 and nothing else. What it takes and answers is made of the API's description (gen/api.ts). */
import type { Operations, Problem, Processing, Session, Video } from "./gen/api.ts";

export type { Processing, Session, Stage, Video } from "./gen/api.ts";

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

/** The server itself gives up on its own parts after 10 s. */
const ANSWER_MS = 15_000;

/** Newest first; `limit` up to 100. */
export async function listVideos(limit: number, cursor: string | null, signal: AbortSignal): Promise<VideoPage> {
  const query = { limit, ...(cursor === null ? {} : { cursor }) };
  const { data, meta } = await request("GET /api/v1/videos", { query }, signal);
  return { videos: data, total: meta.total, nextCursor: meta.nextCursor };
}

export async function getVideo(id: string, signal: AbortSignal): Promise<Video> {
  return (await request("GET /api/v1/videos/{id}", { path: { id } }, signal)).data;
}

export async function getProcessing(id: string, signal: AbortSignal): Promise<Processing> {
  return (await request("GET /api/v1/videos/{id}/status", { path: { id } }, signal)).data;
}

export async function deleteVideo(id: string, signal: AbortSignal): Promise<void> {
  await request("DELETE /api/v1/videos/{id}", { path: { id } }, signal);
}

/** What is asked about the session is asked whatever page is open. */
const never = new AbortController().signal;

/** Who asks. `mode` "none": nobody signs in here. */
export async function getSession(): Promise<Session> {
  return (await request("GET /api/v1/session", {}, never)).data;
}

export async function signIn(name: string, password: string): Promise<Session> {
  return (await request("POST /api/v1/session", { body: { name, password } }, never)).data;
}

export async function signOut(): Promise<void> {
  await request("DELETE /api/v1/session", {}, never);
}

/** What any operation may be asked with. */
interface Asked {
  readonly path?: Readonly<Record<string, unknown>>;
  readonly query?: Readonly<Record<string, unknown>>;
  readonly body?: object;
}

async function request<O extends keyof Operations>(
  operation: O,
  asked: Operations[O]["asked"],
  signal: AbortSignal,
): Promise<Operations[O]["answer"]> {
  const { body }: Asked = asked;
  const [method = "", template = ""] = operation.split(" ");
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]);
  try {
    const response = await fetch(addressOf(template, asked), {
      method,
      signal: deadline,
      headers: { accept: "application/json", ...(body ? { "content-type": "application/json" } : {}) },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const text = await response.text();
    if (!response.ok) throw problem(response.status, text, response.headers.get("retry-after"));
    return (text === "" ? undefined : JSON.parse(text)) as Operations[O]["answer"];
  } catch (error) {
    if (error instanceof ApiError || signal.aborted) throw error;
    throw new ApiError(0, "The server does not answer.", { detail: "Check the connection." });
  }
}

function addressOf(template: string, { path = {}, query = {} }: Asked): string {
  const address = template.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(path[name])));
  const search = new URLSearchParams(Object.entries(query).map(([name, value]) => [name, String(value)]));
  return search.size === 0 ? address : `${address}?${search}`;
}

export function problem(status: number, text: string, retryAfter: string | null): ApiError {
  const body = parseProblem(text);
  const fields = (body.errors ?? []).map((field) => `${field.path}: ${field.message}`);
  return new ApiError(status, body.title ?? `The server answered ${status}.`, {
    detail: [body.detail ?? "", ...fields].filter(Boolean).join("\n"),
    retryAfterS: Number(retryAfter) || 0,
  });
}

/** A proxy in between answers in HTML: then the status has to do. */
function parseProblem(text: string): Partial<Problem> {
  try {
    return (JSON.parse(text) ?? {}) as Partial<Problem>;
  } catch {
    return {};
  }
}
