/**
 * `npm run test:compose [-- --published]`: the cluster of docker-compose.yml, from nothing. Images are built, everything becomes healthy, a video is uploaded
 * and played; then a gateway, a transcoder, a disk and a NATS server are killed in turn while clients go on, and transcoders go from two to four in the middle
 * of a job. Tells which requests failed; one retry has to be enough for each. At the end everything is taken down.
 *
 * Needs a Docker engine with compose 2, and ffmpeg. Base images are stand-ins made of Debian's packages (bases.sh); `--published` takes those of Docker Hub.
 */
import { createReadStream } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { eventually } from "../support/eventually.ts";
import { countDecoded } from "../support/ffmpeg.ts";
import { another, makeSource } from "../support/media.ts";
import { removeFolder, temporaryFolder } from "../support/tritontube.ts";
import { Client } from "./client.ts";
import { Compose, docker, shown } from "./docker.ts";
import { askPanels } from "./panels.ts";

/** A video that several transcoders have something to do for while others are started. */
const LONG_SECONDS = 120;
const SHORT_SECONDS = 12;
/** Frames a second, of what is uploaded. */
const RATE = 30;
const READY_MS = 10 * 60_000;
/** How long clients go on after each death, so that all that notices it late has noticed it: a node is given up after 6 to 12 s. */
const AFTERWARDS_MS = 15_000;
const KILLED = ["gateway", "transcoder", "disk2", "nats2"];

interface Uploaded {
  readonly id: string;
  /** What was uploaded. */
  readonly path: string;
}

const { values } = parseArgs({ options: { published: { type: "boolean", default: false } } });
const compose = new Compose(`tritontube-test-${process.pid}`);
const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function main(): Promise<void> {
  await docker("info").catch(() => {
    throw new Error("There is no Docker engine that answers. Install docker.io and docker-compose (2 or newer), and start dockerd.");
  });
  if (!values.published) await shown("sh", "test/compose/bases.sh");
  say(values.published ? "base images: those of Docker Hub" : "base images: stand-ins made of Debian's packages, not the published ones");
  const folder = await temporaryFolder("compose");
  try {
    await shown("sh", "deploy/docker/secrets.sh");
    const began = performance.now();
    await compose.up();
    say(`built and healthy after ${Math.round((performance.now() - began) / 1000)} s`);
    for (const image of ["tritontube", "tritontube-transcoder"]) say(`image ${image}: ${await megabytes(image)} MB`);
    await useIt(folder);
  } catch (error) {
    say(await compose.logs().catch(String));
    throw error;
  } finally {
    await compose.down();
    await removeFolder(folder);
  }
}

async function megabytes(image: string): Promise<number> {
  return Math.round(Number(await docker("image", "inspect", "--format", "{{.Size}}", image)) / 1e6);
}

async function useIt(folder: string): Promise<void> {
  const ca = await compose.inside("proxy", "cat", "/data/caddy/pki/authorities/local/root.crt");
  const client = new Client(await compose.published("proxy", 443), ca);
  try {
    const short = await upload(client, await makeSource(folder, { seconds: SHORT_SECONDS }));
    await ready(client, short.id);
    await play(client, short.id, SHORT_SECONDS, folder);
    for (const service of KILLED) await survive(client, service, short);
    await grow(client, folder);
    await askPanels(compose, say);
    say(
      `${client.requests} requests; ${client.firstFailures.length} had no good answer at first, ${client.failures.length} none at the second attempt`,
    );
    for (const failure of new Set(client.firstFailures)) say(`  at first: ${failure}`);
    if (client.failures.length > 0) throw new Error(`Failed twice: ${client.failures.join("; ")}`);
  } finally {
    client.close();
  }
}

async function upload(client: Client, path: string): Promise<Uploaded> {
  const { data } = await client.json<{ data: { id: string } }>("/api/v1/videos/upload?title=compose", {
    method: "POST",
    headers: { "content-type": "video/mp4" },
    body: () => createReadStream(path),
  });
  return { id: data.id, path };
}

async function ready(client: Client, id: string): Promise<void> {
  const state = async (): Promise<boolean> => {
    const { data } = await client.json<{ data: { status: string } }>(`/api/v1/videos/${id}/status`);
    if (data.status === "failed") throw new Error(`The video ${id} has failed.`);
    return data.status === "ready";
  };
  await eventually(state, { timeoutMs: READY_MS, what: `the video ${id} is ready` });
}

/** Every frame, through HLS: what was fetched is put together and decoded. */
async function play(client: Client, id: string, seconds: number, folder: string): Promise<void> {
  const parts: Buffer[] = [];
  for (const path of await piecesOf(client, id)) parts.push((await client.ask(path)).body);
  const file = join(folder, `${id}.mp4`);
  await writeFile(file, Buffer.concat(parts));
  const frames = await countDecoded(file);
  if (frames !== seconds * RATE) throw new Error(`${frames} of ${seconds * RATE} frames of ${id} were played.`);
  say(`a video of ${seconds} s: ready, and ${frames} of ${seconds * RATE} frames were played through HTTPS`);
}

/** The addresses of the initialisation and of the segments of one rendition. */
async function piecesOf(client: Client, id: string): Promise<readonly string[]> {
  const master = `/api/v1/videos/${id}/master.m3u8`;
  const [playlist = ""] = await linesOf(client, master);
  const lines = (await client.ask(resolved(playlist, master))).body.toString().split("\n");
  const uris = lines.flatMap((line) => /^#EXT-X-MAP:URI="([^"]+)"/.exec(line)?.[1] ?? (line === "" || line.startsWith("#") ? [] : [line]));
  return uris.map((uri) => resolved(uri, resolved(playlist, master)));
}

async function linesOf(client: Client, path: string): Promise<readonly string[]> {
  const text = (await client.ask(path)).body.toString();
  return text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

function resolved(uri: string, base: string): string {
  const { pathname, search } = new URL(uri, new URL(base, "https://localhost"));
  return pathname + search;
}

/** Kills one container of a service while clients look, watch and upload; then it is started again. */
async function survive(client: Client, service: string, { id, path }: Uploaded): Promise<void> {
  const [victim = ""] = await compose.containers(service);
  const pieces = await piecesOf(client, id);
  const before = { requests: client.requests, failed: client.firstFailures.length };
  const until = Date.now() + AFTERWARDS_MS;
  const look = async (): Promise<void> => {
    for (let n = 0; Date.now() < until; n++) {
      await client.ask("/api/v1/videos?limit=5");
      await client.ask(`/api/v1/videos/${id}`);
      await client.ask(pieces[n % pieces.length]!);
    }
  };
  const store = async (): Promise<void> => {
    const next = `${path}.next`;
    while (Date.now() < until) {
      // The same bytes would not be converted again.
      await writeFile(next, another(await readFile(path)));
      await ready(client, (await upload(client, next)).id);
    }
  };
  await Promise.all([docker("kill", victim), look(), look(), store()]);
  await compose.up();
  const { requests, failed } = before;
  say(
    `${service} killed: ${client.requests - requests} requests meanwhile, ${client.firstFailures.length - failed} of them had to be asked again`,
  );
}

/** Two more transcoders in the middle of a job: they take work of it. */
async function grow(client: Client, folder: string): Promise<void> {
  const { id } = await upload(client, await makeSource(folder, { seconds: LONG_SECONDS }));
  const began = performance.now();
  await compose.up({ transcoder: 4 });
  const seconds = Math.round((performance.now() - began) / 1000);
  const ids = await Promise.all(
    (await compose.containers("transcoder")).map(async (name) => await docker("inspect", "--format", "{{.Config.Hostname}}", name)),
  );
  const atWork = async (): Promise<boolean> => {
    const workers = await compose.queried("select distinct worker from jobs where kind like 'video.%' and worker is not null");
    return ids.every((host) => workers.some((worker) => worker.startsWith(host)));
  };
  await eventually(atWork, { timeoutMs: READY_MS, what: "all four transcoders have worked" });
  say(`transcoders went from two to four within ${seconds} s, and each took work`);
  await ready(client, id);
  await play(client, id, LONG_SECONDS, folder);
}

await main();
