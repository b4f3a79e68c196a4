/**
 * A client in TypeScript: everything that it asks and is answered has the types of the API's description (web/src/gen/api.ts, one file without
 * dependencies: copy it). Uploads a file, watches it being processed, finds it, captions it, hands it on, and takes it out of the trash.
 *
 *   TRITONTUBE=http://127.0.0.1:3000 TOKEN=… node docs/client.ts film.mp4
 */
import { openAsBlob } from "node:fs";
import { basename } from "node:path";
import type { Operations, Problem, Video } from "../web/src/gen/api.ts";

interface Asked {
  readonly path?: Readonly<Record<string, unknown>>;
  readonly query?: Readonly<Record<string, unknown>>;
  readonly body?: object;
}

class Client {
  readonly #server: string;
  readonly #headers: Readonly<Record<string, string>>;

  /** Without a token it asks as nobody in particular. */
  constructor(server: string, token: string | undefined) {
    this.#server = server;
    this.#headers = token === undefined ? {} : { Authorization: `Bearer ${token}` };
  }

  async ask<O extends keyof Operations>(operation: O, asked: Operations[O]["asked"]): Promise<Operations[O]["answer"]> {
    const { path = {}, query = {}, body }: Asked = asked;
    const [method = "", template = ""] = operation.split(" ");
    const address = template.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(path[name])));
    const search = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`);
    const json = body && { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
    const text = await (await this.send(`${address}?${search.join("&")}`, { method, ...json })).text();
    return (text === "" ? undefined : JSON.parse(text)) as Operations[O]["answer"];
  }

  /** What is not JSON: files, captions, media. Branch on the `code` of a refusal, which is stable, never on its words. */
  async send(address: string, { headers, ...request }: RequestInit): Promise<Response> {
    const response = await fetch(`${this.#server}${address}`, { ...request, headers: { ...this.#headers, ...(headers as object) } });
    if (response.ok) return response;
    const { code, detail } = (await response.json()) as Problem;
    throw new Error(`${code}: ${detail}`);
  }

  async upload(file: string): Promise<Video> {
    const form = new FormData();
    // Fields stand before the file: the server reads the form as it comes.
    form.append("visibility", "private");
    form.append("file", await openAsBlob(file), basename(file));
    const response = await this.send("/api/v1/videos/upload", { method: "POST", body: form });
    return ((await response.json()) as { data: Video }).data;
  }

  /** By asking; a WebSocket at `/api/v1/live` tells without. A minute of film takes some ten seconds: an hour is enough for most. */
  async untilReady(id: string, withinMs = 3_600_000): Promise<Video> {
    for (const end = Date.now() + withinMs; Date.now() < end;) {
      const { data: video } = await this.ask("GET /api/v1/videos/{id}", { path: { id } });
      if (video.status === "ready") return video;
      if (video.status === "failed") throw new Error(video.error?.message ?? "It failed.");
      console.log(`${Math.round(video.progress * 100)} %${video.playable ? ", and can be watched" : ""}`);
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
    throw new Error(`The video ${id} is still being converted: ask again later.`);
  }
}

const client = new Client(process.env["TRITONTUBE"] ?? "http://127.0.0.1:3000", process.env["TOKEN"]);
const { id, title } = await client.upload(process.argv[2] ?? "film.mp4");
const { duration, renditions } = await client.untilReady(id);
console.log(`${title}: ${duration} s in ${renditions.map(({ name }) => name).join(", ")}`);

const { data: found } = await client.ask("GET /api/v1/videos", { query: { q: title, sort: "-views", visibility: "private" } });
console.log(`found: ${found.some((video) => video.id === id)}`);

const captions = "WEBVTT\n\n00:00.000 --> 00:01.000\nHello\n";
await client.send(`/api/v1/videos/${id}/captions/en.vtt`, { method: "PUT", headers: { "Content-Type": "text/vtt" }, body: captions });

// Nobody else can watch it, but who is handed this.
const { data: signed } = await client.ask("POST /api/v1/videos/{id}/signature", { path: { id }, body: { seconds: 3600 } });
const manifest = await fetch(new URL(signed.manifests.hls, process.env["TRITONTUBE"] ?? "http://127.0.0.1:3000"));
console.log(`anybody may play it: ${(await manifest.text()).startsWith("#EXTM3U")}`);

await client.ask("DELETE /api/v1/videos/{id}", { path: { id } });
const { data: restored } = await client.ask("POST /api/v1/videos/{id}/restore", { path: { id } });
console.log(`back from the trash: ${restored.status}`);
