/** How honest the server is about the time that is left: what it said while a film was converted, against what it took then. */
import { setTimeout as sleep } from "node:timers/promises";
import { getStatus } from "../../test/support/client.ts";
import { removeFolder, startTritonTube } from "../../test/support/tritontube.ts";
import { median, percentile } from "../statistics.ts";
import type { Say } from "./cost.ts";
import { upload } from "./upload.ts";

const ASK_MS = 500;

interface Word {
  /** Monotonic clock, ms. */
  readonly at: number;
  readonly secondsLeft: number;
}

export async function checkEstimates(film: string, say: Say): Promise<void> {
  const tube = await startTritonTube();
  try {
    const { id } = await upload(tube.url, film);
    const { words, readyAt } = await untilReady(tube.url, id);
    const whole = (readyAt - (words[0]?.at ?? readyAt)) / 1000;
    const errors = words.map(({ at, secondsLeft }) => Math.abs(secondsLeft - (readyAt - at) / 1000));
    const told = (seconds: number): string => `${seconds.toFixed(1)} s (${((100 * seconds) / whole).toFixed(0)} %)`;
    say(
      `time left, told ${words.length} times over the last ${whole.toFixed(0)} s: wrong by ${told(median(errors))} in the median, by ${told(percentile(errors, 0.9))} at the 90th percentile`,
    );
  } finally {
    await tube.stop();
    await removeFolder(tube.dataDir);
  }
}

/** What it says until the video is ready, and when that was. */
async function untilReady(url: string, id: string): Promise<{ words: readonly Word[]; readyAt: number }> {
  const words: Word[] = [];
  for (;;) {
    const { status, secondsLeft, error } = await getStatus(url, id);
    const at = performance.now();
    if (status === "ready") return { words, readyAt: at };
    if (error !== null) throw new Error(`the film was not converted: ${error.message}`);
    if (secondsLeft !== null) words.push({ at, secondsLeft });
    await sleep(ASK_MS);
  }
}
