/** The cluster as an operator sees it: its nodes, its work, and its videos. */
import { loadConfig } from "../../config/index.ts";
import { secrets } from "../../config/schema.ts";
import { blobs } from "../../services/blobs/contract.ts";
import { jobs, type WorkDone } from "../../services/jobs/contract.ts";
import { failure, messageOf } from "../../services/kernel/errors.ts";
import { onlyPerson as as } from "../../services/kernel/principal.ts";
import { call, type Caller } from "../../services/kernel/rpc.ts";
import { ownersOf, ring } from "../../services/ring/contract.ts";
import { transcoder, type TranscoderInfo } from "../../services/transcoder/contract.ts";
import { videos } from "../../services/videos/contract.ts";
import type { Given, Output } from "./command.ts";
import { moment, short } from "./describe.ts";
import { bytes, duration, number, share, table } from "./text.ts";

/** Videos that one command shows: the newest. */
const VIDEOS_SHOWN = 20;
/** A node that does not answer is shown as such. */
const ASK_MS = 2000;

/** Of Moleculer. */
interface Node {
  readonly id: string;
  readonly available: boolean;
  readonly cpu: number | null;
  readonly ipList: readonly string[];
  readonly metadata: { readonly zone?: string };
  readonly services: readonly { readonly name: string }[] | null;
}

async function allNodes(caller: Caller): Promise<readonly Node[]> {
  const all = await caller.call<Node[]>("$node.list", { withServices: true });
  return all.toSorted((a, b) => a.id.localeCompare(b.id));
}

function servicesOf({ services }: Node): readonly string[] {
  const names = new Set((services ?? []).map(({ name }) => name).filter((name) => !name.startsWith("$")));
  return [...names].toSorted();
}

export async function nodes(caller: Caller): Promise<Output> {
  const all = (await allNodes(caller)).map((node) => ({
    id: node.id,
    zone: node.metadata.zone ?? null,
    up: node.available,
    cpu: node.cpu,
    services: servicesOf(node),
  }));
  const lines = all.map(({ id, zone, up, cpu, services }) => [
    id,
    zone ?? "–",
    up ? "up" : "gone",
    cpu === null ? "–" : `${cpu} %`,
    services.join(", ") || "–",
  ]);
  return { data: { nodes: all }, text: table(["node", "zone", "condition", "CPU", "services"], lines) };
}

type Answered = { readonly node: string } & (TranscoderInfo | { readonly error: string });

async function askTranscoders(caller: Caller): Promise<readonly Answered[]> {
  const working = (await allNodes(caller)).filter((node) => node.available && servicesOf(node).includes("transcoder"));
  return await Promise.all(
    working.map(async ({ id }) => {
      const asked = caller.call<TranscoderInfo>(transcoder.info.name, {}, { nodeID: id, timeout: ASK_MS });
      return await asked.catch((error: unknown) => ({ node: id, error: messageOf(error) }));
    }),
  );
}

export async function transcoders(caller: Caller): Promise<Output> {
  const all = await askTranscoders(caller);
  const lines = all.map((one) =>
    "error" in one ? [one.node, "–", "–", one.error] : [one.node, number(one.running), number(one.slots), one.ffmpeg],
  );
  return {
    data: { transcoders: all },
    text: all.length === 0 ? "no transcoder is there" : table(["transcoder", "running", "slots", "ffmpeg"], lines),
  };
}

/** What an operator wants to know first, a line each. What cannot be asked is said, too: that is when this is asked. */
export async function status(caller: Caller): Promise<Output> {
  const parts: Readonly<Record<string, () => Promise<string>>> = {
    nodes: async () => counted((await allNodes(caller)).map(({ available }) => available)),
    disks: async () => counted((await call(caller, ring.disks, {})).map(({ up }) => up)),
    ring: async () => `epoch ${(await call(caller, ring.get, {})).epoch}`,
    database: async () => `answers in ${Math.round((await call(caller, videos.health, {})).databaseMs)} ms`,
    repairs: async () =>
      `${number((await call(caller, blobs.backlog, {})).reduce((sum, { copies }) => sum + copies, 0))} copies are missing`,
    jobs: async () => {
      const depth = await call(caller, jobs.depth, {});
      const sum = (of: (one: (typeof depth)[number]) => number): string => number(depth.reduce((total, one) => total + of(one), 0));
      return `${sum((one) => one.queued)} queued, ${sum((one) => one.running)} running, ${sum((one) => one.failed)} failed`;
    },
    transcoders: async () => {
      const slots = (await askTranscoders(caller)).flatMap((one) => ("error" in one ? [] : [one]));
      return `${slots.length}, ${slots.reduce((sum, one) => sum + one.running, 0)} of ${slots.reduce((sum, one) => sum + one.slots, 0)} slots busy`;
    },
    videos: async () => number((await call(caller, videos.list, { as, limit: 1 })).total),
  };
  const said = await Promise.all(
    Object.entries(parts).map(async ([name, ask]) => [name, await ask().catch((error: unknown) => `! ${messageOf(error)}`)] as const),
  );
  return { data: Object.fromEntries(said), text: table(["part", "state"], said) };
}

function counted(up: readonly boolean[]): string {
  const there = up.filter(Boolean).length;
  return there === up.length ? `${there} up` : `${there} up, ${up.length - there} down`;
}

export async function newestVideos(caller: Caller, { words: [q] }: Given): Promise<Output> {
  const { items, total } = await call(caller, videos.list, { as, limit: VIDEOS_SHOWN, ...(q === undefined ? {} : { q }) });
  const lines = items.map((video) => [
    video.id,
    video.status,
    share(video.progress, 1),
    video.duration === null ? "–" : duration(video.duration),
    bytes(video.size),
    moment(video.createdAt),
    video.title,
  ]);
  const rest = total > items.length ? `\nand ${number(total - items.length)} more` : "";
  return { data: { videos: items, total }, text: `${table(["video", "state", "done", "length", "size", "since", "title"], lines)}${rest}` };
}

/** Where a video is on its way, and on which disks its source lies. */
export async function oneVideo(caller: Caller, { words: [id = ""] }: Given): Promise<Output> {
  if (!videos.get.params.shape.id.safeParse(id).success)
    throw failure("INVALID_REQUEST", `"${id}" is no id of a video: "videos" lists them.`);
  const [video, progress, copies, { work }] = await Promise.all([
    call(caller, videos.get, { as, id }),
    call(caller, videos.status, { as, id }),
    copiesOf(caller, id),
    call(caller, jobs.history, { videoId: id }),
  ]);
  const stages = progress.stages.map(({ name, state, progress: done, attempts, error }) => [
    name,
    state,
    share(done, 1),
    number(attempts),
    error?.message ?? "",
  ]);
  const renditions = progress.renditions.map(({ name, segmentsDone, segmentsTotal }) => [
    name,
    number(segmentsDone),
    number(segmentsTotal),
  ]);
  const text = [
    `${video.title}: ${video.status}, ${progress.spansDone} of ${progress.spansTotal} spans${video.error === null ? "" : `, ${video.error.code}: ${video.error.message}`}`,
    `processors: ${processorsOf(work, video.duration)}`,
    table(["stage", "state", "done", "attempts", "error"], stages),
    table(["rendition", "segments", "of"], renditions),
    table(
      ["disk with a part of the source", "zone", "chunks"],
      copies.map((copy) => [short(copy.disk), copy.zone, number(copy.chunks)]),
    ),
  ].join("\n");
  return { data: { video, progress, copies, cpuSeconds: cpuOf(work) }, text };
}

const cpuOf = (work: readonly WorkDone[]): number => work.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0);

/** Jobs that are done are forgotten after a week. */
function processorsOf(work: readonly WorkDone[], length: number | null): string {
  if (work.length === 0) return "not known any more";
  const each = length === null ? "" : `, ${(cpuOf(work) / length).toFixed(2)} for each second of the video`;
  return `${cpuOf(work).toFixed(1)} s${each}`;
}

async function copiesOf(caller: Caller, id: string): Promise<readonly { disk: string; zone: string; chunks: number }[]> {
  const view = await call(caller, ring.get, {});
  const source = await call(caller, videos.source, { as, id }).catch(() => undefined);
  if (!source) return [];
  const { chunks } = await call(caller, blobs.get, { blob: source.blob });
  const counts = new Map<string, { disk: string; zone: string; chunks: number }>();
  for (const name of namesIn(chunks)) {
    for (const { id: disk, zone } of ownersOf(view, name)) counts.set(disk, { disk, zone, chunks: (counts.get(disk)?.chunks ?? 0) + 1 });
  }
  return [...counts.values()].toSorted((a, b) => a.disk.localeCompare(b.disk));
}

/** The SHA-256 of each chunk, one behind the other. */
function namesIn(hashes: Uint8Array): string[] {
  const hex = Buffer.from(hashes).toString("hex");
  return hex.match(/.{64}/g) ?? [];
}

/** Of the process that evaluates the command: with NATS_URL this one, otherwise that of `npm start`. */
export async function settingsHere(): Promise<Output> {
  const shown = Object.entries(loadConfig()).map(([name, value]): [string, unknown] => [
    name,
    value !== undefined && secrets.includes(name as never) ? "[secret]" : value,
  ]);
  const lines = shown.filter(([, value]) => value !== undefined).map(([name, value]) => [name, String(value)]);
  return { data: Object.fromEntries(shown), text: table(["setting", "value"], lines) };
}
