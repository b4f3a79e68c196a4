/**
 * A client in TypeScript: everything that it asks and is answered has the types of the API's description. Copy it into an application beside
 * web/src/gen/api.ts, which are the types and nothing else, and import `Client`: it runs wherever there is `fetch`. film.ts shows what it does.
 */
import type { Operations, Problem, Processing, Video } from "../web/src/gen/api.ts";

interface Asked {
  readonly path?: Readonly<Record<string, unknown>>;
  readonly query?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: object;
}

/** What a server does not do. Branch on its `code`, which is stable, never on its words. */
export class Refusal extends Error {
  /** Of HTTP. */
  readonly status: number;
  readonly code: string;
  /** What was wrong with which field. */
  readonly errors: NonNullable<Problem["errors"]>;
  /** After which to ask again; 0 where that is of no use. */
  readonly retryAfterS: number;

  constructor({ status, statusText, headers }: Response, { code = "UNKNOWN", detail = statusText, errors = [] }: Partial<Problem>) {
    super(`${code}: ${detail}`);
    this.status = status;
    this.code = code;
    this.errors = errors;
    this.retryAfterS = Number(headers.get("Retry-After")) || 0;
  }
}

/** What was answered, and the headers that tell something beside it; null for one that was not sent. */
interface Answered<O extends keyof Operations> {
  readonly answer: Operations[O]["answer"];
  /** The same as before, so there is no answer: 304, for an `If-None-Match`. */
  readonly isSame: boolean;
  header(name: Operations[O]["told"]): string | null;
}

/** One of what `/events` tells: `video.status`, `video.progress`, and at the end `video.ready`, `video.failed` or `video.deleted`. */
export interface VideoEvent {
  readonly event: string;
  readonly at: string;
  readonly data: Processing;
}

export class Client {
  readonly #server: string;
  readonly #token: string | undefined;

  /** Without a token it asks as nobody in particular. */
  constructor(server: string, token: string | undefined) {
    this.#server = server.replace(/\/$/, "");
    this.#token = token;
  }

  /** Any operation that asks and answers in JSON, by its method and path. */
  async ask<O extends keyof Operations>(operation: O, asked: Operations[O]["asked"]): Promise<Operations[O]["answer"]> {
    return (await this.exchange(operation, asked)).answer;
  }

  /** The same, for whoever wants an `ETag` or a `Location`, too. */
  async exchange<O extends keyof Operations>(operation: O, asked: Operations[O]["asked"]): Promise<Answered<O>> {
    const { path = {}, query = {}, headers, body }: Asked = asked;
    const [method = "", template = ""] = operation.split(" ");
    const address = template.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(path[name])));
    const given = Object.entries(query).filter(([, value]) => value !== undefined);
    const search = given.map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`);
    const json = body && { headers: { ...headers, "Content-Type": "application/json" }, body: JSON.stringify(body) };
    const response = await this.send(`${address}?${search.join("&")}`, { method, headers: { ...headers }, ...json });
    const text = await response.text();
    const answer = (text === "" ? undefined : JSON.parse(text)) as Operations[O]["answer"];
    return { answer, isSame: response.status === 304, header: (name) => response.headers.get(name) };
  }

  /** What is not JSON: files, captions, media. Throws a Refusal. */
  async send(address: string, request: RequestInit): Promise<Response> {
    const headers = new Headers(request.headers);
    if (this.#token !== undefined) headers.set("Authorization", `Bearer ${this.#token}`);
    const response = await fetch(`${this.#server}${address}`, { ...request, headers });
    if (response.ok || response.status === 304) return response;
    // HEAD has no body, and what stands in between may answer with a page.
    throw new Refusal(response, (await response.json().catch(() => ({}))) as Partial<Problem>);
  }

  /** A file that somebody chose, or one of `openAsBlob` in Node; `fields` are those of the form: title, description, tags, visibility. */
  async upload(file: Blob, name: string, fields: Readonly<Record<string, string>> = {}): Promise<Video> {
    const form = new FormData();
    // Fields that stand before the file are looked at before its bytes are sent.
    for (const [field, value] of Object.entries(fields)) form.append(field, value);
    form.append("file", file, name);
    const response = await this.send("/api/v1/videos/upload", { method: "POST", body: form });
    return ((await response.json()) as { data: Video }).data;
  }

  /** What becomes of a video, from how it is now to its end. */
  async *follow(id: string, signal?: AbortSignal): AsyncGenerator<VideoEvent> {
    let last: string | undefined;
    for (;;) {
      const headers = last === undefined ? {} : { "Last-Event-ID": last };
      const response = await this.send(`/api/v1/videos/${id}/events`, { headers, signal: signal ?? null });
      // The last event that was heard was the last one.
      if (response.status === 204 || !response.body) return;
      for await (const { id: name, event, data } of eventsIn(response.body)) {
        last = name;
        yield { event, ...(JSON.parse(data) as Pick<VideoEvent, "at" | "data">) };
      }
    }
  }

  /** Waits until it can be watched to its end; throws what it failed with. */
  async untilReady(id: string, heard: (event: VideoEvent) => void = () => {}): Promise<Video> {
    for await (const event of this.follow(id)) {
      heard(event);
      const { status, error } = event.data;
      if (status === "failed") throw new Error(`${error?.code}: ${error?.message}`);
    }
    return (await this.ask("GET /api/v1/videos/{id}", { path: { id } })).data;
  }
}

/** Server-sent events, as far as this server writes them: each ends with an empty line, and each of its lines is a field. */
async function* eventsIn(body: ReadableStream<Uint8Array>): AsyncGenerator<{ id: string; event: string; data: string }> {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ""; ;) {
    const { done, value } = await reader.read();
    if (done) return;
    const events = (text + value).split("\n\n");
    text = events.pop() ?? "";
    for (const event of events) {
      const fields = event.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)] as const);
      const { id = "", event: name = "", data = "" } = Object.fromEntries(fields);
      if (data !== "") yield { id, event: name, data };
    }
  }
}
