/** Fifty short videos that people upload while a film is converted: how long each takes until its first frame can be had, against the same shorts on an idle system. */
import { setTimeout as sleep } from "node:timers/promises";
import { segmentAddresses } from "../../test/support/client.ts";
import { eventually } from "../../test/support/eventually.ts";
import { removeFolder, startTritonTube, type TritonTube } from "../../test/support/tritontube.ts";
import { percentile } from "../statistics.ts";
import type { Say } from "./cost.ts";
import { shortOf, filmOf } from "./films.ts";
import { upload, wallClock } from "./upload.ts";

const SHORTS = 50;
const SHORT_S = 5;
/** Of an idle system: enough for a percentile of 95. */
const IDLE_SHORTS = 20;
/** From one to the next. On two cores one of 480p takes some two seconds of CPU. */
const EVERY_MS = 4000;

export async function watchShorts(folder: string, say: Say): Promise<void> {
  const film = await filmOf(folder, 10);
  const shorts: string[] = [];
  for (let index = 0; index < IDLE_SHORTS + SHORTS; index++) shorts.push(await shortOf(folder, await filmOf(folder, 1), index, SHORT_S));
  const tube = await startTritonTube();
  try {
    const idle: number[] = [];
    for (const short of shorts.slice(0, IDLE_SHORTS)) idle.push(await alone(tube, short));
    await upload(tube.url, film);
    const loaded = await Promise.all(
      // Others: what was converted once is not converted again.
      shorts.slice(IDLE_SHORTS).map(async (short, index) => {
        await sleep((index + 1) * EVERY_MS);
        return (await watchable(tube, short)).seconds;
      }),
    );
    const [before, beside] = [percentile(idle, 0.95), percentile(loaded, 0.95)];
    say(
      `first frame of a video of ${SHORT_S} s of 480p: median ${percentile(idle, 0.5).toFixed(2)} s, 95th percentile ${before.toFixed(2)} s on an idle system`,
    );
    say(
      `beside a film, one each ${EVERY_MS / 1000} s: median ${percentile(loaded, 0.5).toFixed(2)} s, 95th percentile ${beside.toFixed(2)} s (${(beside / before).toFixed(2)} times)`,
    );
  } finally {
    await tube.stop();
    await removeFolder(tube.dataDir);
  }
}

/** The next one comes when nothing is left to do of this one. */
async function alone(tube: TritonTube, short: string): Promise<number> {
  const { id, seconds } = await watchable(tube, short);
  await eventually(async () => (await videoOf(tube, id)).status === "ready", { what: "the short to be ready" });
  return seconds;
}

/** From the last byte until the first segment of its picture came over the network. */
async function watchable(tube: TritonTube, short: string): Promise<{ id: string; seconds: number }> {
  const { id, lastByteAt } = await upload(tube.url, short);
  await eventually(async () => (await videoOf(tube, id)).playable, { timeoutMs: 600_000, what: "the short to be playable" });
  const [, first = ""] = await segmentAddresses(`${tube.url}/api/v1/videos/${id}/master.m3u8`);
  await (await fetch(first)).arrayBuffer();
  return { id, seconds: (wallClock() - lastByteAt) / 1000 };
}

async function videoOf({ url }: TritonTube, id: string): Promise<{ status: string; playable: boolean }> {
  const { data } = (await (await fetch(`${url}/api/v1/videos/${id}`)).json()) as { data: { status: string; playable: boolean } };
  return data;
}
