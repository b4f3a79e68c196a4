/** In Chromium: how long after the last uploaded byte the first frame is on the screen, and a frame far in what is not encoded yet after a leap to it. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Browser, Page } from "playwright-core";
import { launchBrowser, newVisit, untilPlaying } from "../../test/support/browser.ts";
import { buildPage } from "../../test/support/page.ts";
import { removeFolder, startTritonTube } from "../../test/support/tritontube.ts";
import { median } from "../statistics.ts";
import type { Say } from "./cost.ts";
import { upload } from "./upload.ts";

/** Shares of the film to leap to: what the goal names, and a place in the middle of a span. */
const LEAPS = [0.8, 0.517] as const;

const PATIENCE_MS = 300_000;
/** The page itself writes the times down; to ask often would only take processor time from what is measured. */
const ASK_MS = 250;

interface ShownFrame {
  /** Wall clock, ms, and the frame's place in the video, s. */
  readonly at: number;
  readonly mediaTime: number;
}

/** Runs in the page: writes down each frame that the compositor was given. */
const WATCH_FRAMES = `
globalThis.shownFrames = [];
const watch = (video) => {
  const note = (_, { mediaTime, expectedDisplayTime }) => {
    globalThis.shownFrames.push({ at: performance.timeOrigin + expectedDisplayTime, mediaTime });
    video.requestVideoFrameCallback(note);
  };
  video.requestVideoFrameCallback(note);
};
new MutationObserver(() => {
  for (const video of document.querySelectorAll("video:not([data-watched])")) {
    video.dataset.watched = "";
    watch(video);
  }
}).observe(document, { childList: true, subtree: true });
`;

export interface Films {
  readonly long: string;
  readonly longest: string;
}

export async function watchFilms(
  films: Films,
  { firstFrame, seek, rounds }: { firstFrame: boolean; seek: boolean; rounds: number },
  say: Say,
): Promise<void> {
  await buildPage();
  const browser = await launchBrowser();
  const long: number[] = [];
  const longest: number[] = [];
  try {
    for (let round = 1; round <= rounds; round++) {
      long.push(await watchFilm(browser, films.long, seek, say));
      if (firstFrame) longest.push(await watchFilm(browser, films.longest, false, say));
    }
  } finally {
    await browser.close();
  }
  if (!firstFrame) return;
  const [ten, sixty] = [median(long), median(longest)];
  say(`first frame, median of ${rounds}: 10 minutes ${ten.toFixed(2)} s, 60 minutes ${sixty.toFixed(2)} s (${(sixty / ten).toFixed(2)})`);
}

/** A fresh server with an idle transcoder for each film. Answers the seconds until the first frame. */
async function watchFilm(browser: Browser, film: string, leaps: boolean, say: Say): Promise<number> {
  const tube = await startTritonTube();
  const { page } = await newVisit(browser, tube.url);
  try {
    await page.addInitScript(WATCH_FRAMES);
    // Somebody who uploads has the page open: the browser has its scripts.
    await page.goto("/");
    const { id, lastByteAt, answeredAt } = await upload(tube.url, film);
    await page.goto(`/watch/${id}`);
    const first = await frameFrom(page, 0, lastByteAt);
    const after = (at: number): string => ((at - lastByteAt) / 1000).toFixed(2);
    say(`${film}: answered ${after(answeredAt)} s after the last byte, first frame ${after(first.at)} s`);
    if (leaps) for (const share of LEAPS) await leap(page, share, say);
    return (first.at - lastByteAt) / 1000;
  } finally {
    await page.context().close();
    await tube.stop();
    await removeFolder(tube.dataDir);
  }
}

async function leap(page: Page, share: number, say: Say): Promise<void> {
  // The page plays on meanwhile, as for a person.
  await untilPlaying(page, "the picture to move", ({ currentTime }) => currentTime > 1);
  const { to, at } = await page.locator("video").evaluate((video: { duration: number; currentTime: number }, part) => {
    const place = Math.round(video.duration * part);
    video.currentTime = place;
    return { to: place, at: performance.timeOrigin + performance.now() };
  }, share);
  const frame = await frameFrom(page, to, at);
  say(`  leap to ${to} s: its frame after ${((frame.at - at) / 1000).toFixed(2)} s`);
}

/** The first frame that was shown after a moment and lies at a place or behind it. */
async function frameFrom(page: Page, mediaTime: number, after: number): Promise<ShownFrame> {
  const until = performance.now() + PATIENCE_MS;
  while (performance.now() < until) {
    const frames = await page.evaluate<ShownFrame[]>("globalThis.shownFrames");
    const found = frames.find((frame) => frame.at > after && frame.mediaTime >= mediaTime - 0.04 && frame.mediaTime < mediaTime + 60);
    if (found) return found;
    await sleep(ASK_MS);
  }
  throw new Error(`no frame from ${mediaTime} s on was shown`);
}
