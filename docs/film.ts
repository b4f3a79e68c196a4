/**
 * What the client (client.ts) does, with Node: uploads a file, hears how it is processed, finds it, renames it, captions it, hands it on, and takes it out
 * of the trash.
 *
 *   TRITONTUBE=http://127.0.0.1:3000 TOKEN=… node docs/film.ts film.mp4
 */
import { openAsBlob } from "node:fs";
import { basename } from "node:path";
import { Client, Refusal } from "./client.ts";

const server = process.env["TRITONTUBE"] ?? "http://127.0.0.1:3000";
const client = new Client(server, process.env["TOKEN"]);
const film = process.argv[2] ?? "film.mp4";

const { id, title } = await client.upload(await openAsBlob(film), basename(film), { visibility: "private" });
const { duration, renditions } = await client.untilReady(id, ({ event, data }) =>
  console.log(`${event} ${Math.round(data.progress * 100)} %${data.playable ? ", and can be watched" : ""}`),
);
console.log(`${title}: ${duration} s in ${renditions.map(({ name }) => name).join(", ")}`);

const { data: found } = await client.ask("GET /api/v1/videos", { query: { q: title, sort: "-views", visibility: "private" } });
console.log(`found: ${found.some((video) => video.id === id)}`);

// Who shows the ETag that he has read overwrites nobody's words.
const read = await client.exchange("GET /api/v1/videos/{id}", { path: { id } });
const headers = { "If-Match": read.header("ETag") ?? "*" };
const { data: renamed } = await client.ask("PATCH /api/v1/videos/{id}", { path: { id }, headers, body: { title: "Our film" } });
console.log(`renamed: ${renamed.title}`);
const late = await client
  .ask("PATCH /api/v1/videos/{id}", { path: { id }, headers, body: { title: "Late" } })
  .catch((error: unknown) => error);
console.log(`too late: ${late instanceof Refusal && late.code}`);

const captions = "WEBVTT\n\n00:00.000 --> 00:01.000\nHello\n";
await client.send(`/api/v1/videos/${id}/captions/en.vtt`, { method: "PUT", headers: { "Content-Type": "text/vtt" }, body: captions });

// Nobody else can watch it, but who is handed this.
const { data: signed } = await client.ask("POST /api/v1/videos/{id}/signature", { path: { id }, body: { seconds: 3600 } });
const manifest = await fetch(new URL(signed.manifests.hls, server));
console.log(`anybody may play it: ${(await manifest.text()).startsWith("#EXTM3U")}`);

await client.ask("DELETE /api/v1/videos/{id}", { path: { id } });
const { data: restored } = await client.ask("POST /api/v1/videos/{id}/restore", { path: { id } });
console.log(`back from the trash: ${restored.status}`);
