/**
 * `npm run test:compose [-- --published]`: the cluster of docker-compose.yml, from nothing. Images are built, everything becomes healthy, a video is uploaded
 * and played; then a gateway, a transcoder, a disk and a NATS server are killed in turn while clients go on, and transcoders go from two to four in the middle
 * of a job. Tells which requests were not answered with 200 (uploads: 202); one retry has to be enough for each. What was uploaded before and meanwhile has
 * to show every frame. At the end everything is taken down.
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

/** A video that two transcoders are not done with before the others, which are there after some 10 s, have taken work: 120 s were too few on a fast machine. */
const LONG_SECONDS = 480;
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
    const stored: string[] = [];
    for (const service of KILLED) stored.push(...(await survive(client, service, short)));
    await playAgain(client, [short.id, ...stored], folder);
    await grow(client, folder);
    await askPanels(compose, say);
  } finally {
    tell(client);
    client.close();
  }
  if (client.failures.length > 0) throw new Error(`Failed twice: ${client.failures.join("; ")}`);
}

function tell({ requests, firstFailures, failures }: Client): void {
  say(
    `${requests} requests; ${firstFailures.length} were not answered with 200 or 202 at first, ${failures.length} not at the second attempt either`,
  );
  for (const failure of new Set(firstFailures)) say(`  at first: ${failure}`);
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
  const end = async (): Promise<string | undefined> => {
    const { data } = await client.json<{ data: { status: string } }>(`/api/v1/videos/${id}/status`);
    return ["ready", "failed"].includes(data.status) ? data.status : undefined;
  };
  const status = await eventually(end, { timeoutMs: READY_MS, what: `the video ${id} is ready` });
  if (status === "failed") throw new Error(`The video ${id} has failed.`);
}

async function play(client: Client, id: string, seconds: number, folder: string): Promise<void> {
  const frames = await framesOf(client, id, seconds, folder);
  say(`a video of ${seconds} s: ready, and ${frames} of ${frames} frames were played through HTTPS`);
}

/** What was there before everything died, and what came meanwhile: some seconds for each, and there are as many as were made within AFTERWARDS_MS. */
async function playAgain(client: Client, ids: readonly string[], folder: string): Promise<void> {
  for (const id of ids) {
    await ready(client, id);
    await framesOf(client, id, SHORT_SECONDS, folder);
  }
  say(
    `after the deaths: the first video and the ${ids.length - 1} that were uploaded meanwhile are ready, and all of their frames were played`,
  );
}

/** Every frame, through HLS: what was fetched is put together and decoded. Throws when one is missing. */
async function framesOf(client: Client, id: string, seconds: number, folder: string): Promise<number> {
  const parts: Buffer[] = [];
  for (const path of await piecesOf(client, id)) parts.push((await client.ask(path)).body);
  const file = join(folder, `${id}.mp4`);
  await writeFile(file, Buffer.concat(parts));
  const frames = await countDecoded(file);
  if (frames !== seconds * RATE) throw new Error(`${frames} of ${seconds * RATE} frames of ${id} were played.`);
  return frames;
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

/** Kills one container of a service while clients look, watch and upload; then it is started again. Answers the videos that were uploaded. */
async function survive(client: Client, service: string, { id, path }: Uploaded): Promise<readonly string[]> {
  const [victim = ""] = await compose.containers(service);
  const pieces = await piecesOf(client, id);
  const before = { requests: client.requests, failed: client.firstFailures.length };
  const stored: string[] = [];
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
      const { id: made } = await upload(client, next);
      stored.push(made);
      await ready(client, made);
    }
  };
  await Promise.all([docker("kill", victim), look(), look(), store()]);
  await compose.up();
  const { requests, failed } = before;
  say(
    `${service} killed: ${client.requests - requests} requests meanwhile, ${client.firstFailures.length - failed} of them had to be asked again; ${stored.length} videos were uploaded`,
  );
  return stored;
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
  await ready(client, id);
  const worked = await compose.queried(
    `select worker || ': ' || count(*) from jobs where video_id = '${id}' and worker is not null group by worker`,
  );
  const idle = ids.filter((host) => !worked.some((worker) => worker.startsWith(host)));
  if (idle.length > 0) throw new Error(`Of four transcoders, ${idle.join(", ")} took no work of the job; ${worked.join(", ")}.`);
  say(`transcoders went from two to four within ${seconds} s, and each took work: ${worked.join(", ")}`);
  await play(client, id, LONG_SECONDS, folder);
}

await main();
