/** What a client of the HTTP contract does, in a few words. */
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { eventually } from "./eventually.ts";

export interface VideoJson {
  readonly id: string;
  readonly title: string;
  readonly status: string;
  readonly playable: boolean;
  readonly progress: number;
  readonly views: number;
  readonly duration: number | null;
  readonly width: number | null;
  readonly height: number | null;
  readonly renditions: readonly { name: string; width: number; height: number }[];
  readonly manifests: { dash: string; hls: string };
  readonly thumbnail: string | null;
  readonly error: { code: string; message: string } | null;
}

export async function uploadFile(url: string, path: string): Promise<VideoJson> {
  const response = await fetch(`${url}/api/v1/videos/upload?title=${encodeURIComponent(basename(path))}`, {
    method: "POST",
    headers: { "content-type": "video/mp4", "x-filename": encodeURIComponent(basename(path)) },
    body: await readFile(path),
  });
  const body = await response.text();
  if (response.status !== 202) throw new Error(`upload answered ${response.status}: ${body}`);
  return (JSON.parse(body) as { data: VideoJson }).data;
}

export async function getVideo(url: string, id: string): Promise<VideoJson> {
  const response = await fetch(`${url}/api/v1/videos/${id}`);
  if (response.status !== 200) throw new Error(`GET answered ${response.status}: ${await response.text()}`);
  return ((await response.json()) as { data: VideoJson }).data;
}

interface StatusJson {
  readonly status: string;
  readonly renditions: readonly { readonly name: string; readonly segmentsDone: number }[];
  readonly secondsLeft: number | null;
  readonly error: { readonly code: string; readonly message: string } | null;
}

export async function getStatus(url: string, id: string): Promise<StatusJson> {
  const response = await fetch(`${url}/api/v1/videos/${id}/status`);
  return ((await response.json()) as { data: StatusJson }).data;
}

/** How many segments of any picture are stored. */
export async function segmentsStored(url: string, id: string): Promise<number> {
  const { renditions } = await getStatus(url, id);
  return Math.max(0, ...renditions.filter(({ name }) => name !== "audio").map(({ segmentsDone }) => segmentsDone));
}

/** Waits until the video has one of these states, and answers it. */
export async function untilStatus(url: string, id: string, statuses: readonly string[], timeoutMs = 120_000): Promise<VideoJson> {
  return await eventually(
    async () => {
      const video = await getVideo(url, id);
      return statuses.includes(video.status) ? video : undefined;
    },
    { timeoutMs, what: `${id} to be ${statuses.join(" or ")}` },
  );
}

/** The addresses of every segment that an HLS master playlist leads to, in order, initialisations first. `text` fetches a playlist. */
export async function segmentAddresses(master: string, text: (address: string) => Promise<string> = textOf): Promise<string[]> {
  const playlists = linesOf(await text(master)).flatMap((line) => /URI="([^"]+)"/.exec(line)?.[1] ?? (line.startsWith("#") ? [] : [line]));
  const found = await Promise.all(
    [...new Set(playlists)].map(async (playlist) => {
      const address = new URL(playlist, master).href;
      const lines = linesOf(await text(address));
      return lines
        .flatMap((line) => /^#EXT-X-MAP:URI="([^"]+)"/.exec(line)?.[1] ?? (line.startsWith("#") ? [] : [line]))
        .map((part) => new URL(part, address).href);
    }),
  );
  return found.flat();
}

async function textOf(address: string): Promise<string> {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address} answered ${response.status}`);
  return await response.text();
}

const linesOf = (content: string): string[] => content.split(/\r?\n/).filter((line) => line !== "");
