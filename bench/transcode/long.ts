/**
 * `npm run test:long [-- --minutes 10] [-- --films FOLDER]`: a video of ten minutes in Chromium, from its first second while it is processed, to its end.
 * The player's events are printed with the time and the place in the video, pictures of the page lie in coverage/long. It ends with 1 when the picture
 * stood still while a segment was to come, when the player gave up, or when the video had been ready before it began.
 *
 * 480p, since the ladder of 1080p takes two cores as long as it plays.
 */
import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { Page } from "playwright-core";
import { launchBrowser, newVisit } from "../../test/support/browser.ts";
import { getVideo } from "../../test/support/client.ts";
import { buildPage } from "../../test/support/page.ts";
import { removeFolder, startTritonTube } from "../../test/support/tritontube.ts";
import { filmOf } from "./films.ts";
import { upload } from "./upload.ts";

const PICTURES = join(import.meta.dirname, "../../coverage/long");
const ASK_MS = 1000;
/** How much longer than the film all of it may take, ms. */
const SLACK_MS = 300_000;

interface PlayerEvent {
  readonly name: string;
  /** Seconds since the page was opened, and place in the video. */
  readonly at: number;
  readonly place: number;
  /** Addresses of segments that have been asked for and have not come. */
  readonly missing: readonly string[];
}

/** Runs in the page: what happens to the video, and which segments it waits for. */
const LISTEN = `
globalThis.playerEvents = [];
const missing = new Set();
const fetched = globalThis.fetch;
globalThis.fetch = async (input, init) => {
  const address = new URL(input instanceof Request ? input.url : input, location.href).pathname;
  if (!address.endsWith(".m4s")) return await fetched(input, init);
  missing.add(address);
  try {
    const response = await fetched(input, init);
    if (response.ok) missing.delete(address);
    return response;
  } catch (error) {
    missing.delete(address);
    throw error;
  }
};
const NAMES = ["playing", "waiting", "stalled", "seeking", "pause", "ended", "error", "resize"];
new MutationObserver(() => {
  for (const video of document.querySelectorAll("video:not([data-heard])")) {
    video.dataset.heard = "";
    for (const name of NAMES)
      video.addEventListener(name, () =>
        globalThis.playerEvents.push({ name, at: performance.now() / 1000, place: video.currentTime, missing: [...missing] }));
  }
}).observe(document, { childList: true, subtree: true });
`;

const { values } = parseArgs({
  options: { minutes: { type: "string", default: "10" }, films: { type: "string", default: join(tmpdir(), "tritontube-films") } },
});
const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function main(minutes: number): Promise<boolean> {
  const film = await filmOf(values.films, minutes, 480);
  await Promise.all([buildPage(), mkdir(PICTURES, { recursive: true })]);
  const tube = await startTritonTube();
  const browser = await launchBrowser();
  try {
    const { page } = await newVisit(browser, tube.url);
    await page.addInitScript(LISTEN);
    await page.goto("/");
    const { id } = await upload(tube.url, film);
    await page.goto(`/watch/${id}`);
    const events = await watch(page, minutes * 60_000 + SLACK_MS, async () => (await getVideo(tube.url, id)).status);
    return verdict(events, minutes * 60);
  } finally {
    await browser.close();
    await tube.stop();
    await removeFolder(tube.dataDir);
  }
}

/** Prints what happens until the end, or until the patience is over. */
async function watch(
  page: Page,
  patienceMs: number,
  status: () => Promise<string>,
): Promise<readonly (PlayerEvent & { status: string })[]> {
  const events: (PlayerEvent & { status: string })[] = [];
  const until = performance.now() + patienceMs;
  while (performance.now() < until && !events.some(({ name }) => name === "ended" || name === "error")) {
    await sleep(ASK_MS);
    const heard = await page.evaluate<PlayerEvent[]>("globalThis.playerEvents.splice(0)");
    const now = heard.length > 0 ? await status() : "";
    for (const event of heard) {
      events.push({ ...event, status: now });
      say(
        `${event.at.toFixed(1)} s: ${event.name} at ${event.place.toFixed(2)} s of the video, which is ${now}; missing: ${event.missing.join(", ") || "nothing"}`,
      );
    }
    const began = heard.find(({ name }) => name === "playing");
    if (began) say(`picture: ${await shoot(page, `playing-${began.place.toFixed(0)}-s`)}`);
  }
  say(`picture: ${await shoot(page, "end")}`);
  return events;
}

async function shoot(page: Page, name: string): Promise<string> {
  const path = join(PICTURES, `${name}.png`);
  await page.screenshot({ path });
  return path;
}

function verdict(events: readonly (PlayerEvent & { status: string })[], seconds: number): boolean {
  const first = events.find(({ name }) => name === "playing");
  const end = events.find(({ name }) => name === "ended");
  const began = events.indexOf(first!);
  const stalls = events.filter(({ name, missing }, index) => name === "waiting" && index > began && missing.length > 0);
  say(
    `began at ${first?.place.toFixed(2)} s while the video was ${first?.status}, ended at ${end?.place.toFixed(2)} s; stood still for a missing segment ${stalls.length} times`,
  );
  return first?.status === "processing" && first.place < 1 && end !== undefined && Math.abs(end.place - seconds) < 1 && stalls.length === 0;
}

process.exitCode = (await main(Number(values.minutes))) ? 0 : 1;
