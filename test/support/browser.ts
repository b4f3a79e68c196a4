/** A real browser, and what a test sees of the page in it. */
import { chromium, type Browser, type BrowserContextOptions, type Page } from "playwright-core";
import { eventually } from "./eventually.ts";
import { exchangesOf, recordExchanges } from "./exchanges.ts";
import { needs } from "./neighbours.ts";

/** Two other tests may have the machine at the same time: what takes a second on an idle one has been seen to take thirty. */
const PATIENCE_MS = 120_000;
const ARGUMENTS = [
  // Tests run as root in containers, where Chromium's sandbox refuses to start.
  "--no-sandbox",
  "--autoplay-policy=no-user-gesture-required",
  "--mute-audio",
  "--disable-quic",
  "--no-first-run",
  // What the browser asks of its maker, by itself.
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Headless Chromium with a profile of its own, which goes when it is closed. */
export async function launchBrowser(): Promise<Browser> {
  return await chromium.launch({ executablePath: needs("chromium"), headless: true, args: ARGUMENTS });
}

export interface Visit {
  readonly page: Page;
  /** What the console called an error, exceptions that nobody caught, and breaches of the content security policy. */
  readonly complaints: string[];
  /** Addresses outside of the server that were asked for. */
  readonly foreign: string[];
}

/** A fresh visitor without cookies or cache, who has not opened an address yet. Relative addresses are the server's. */
export async function newVisit(browser: Browser, baseURL: string, options: BrowserContextOptions = {}): Promise<Visit> {
  const context = await browser.newContext({ baseURL, ...options });
  const page = await context.newPage();
  const visit: Visit = { page, complaints: [], foreign: [] };
  recordExchanges(page);
  page.on("console", (message) => {
    if (message.type() === "error") visit.complaints.push(message.text());
  });
  // Playwright asks for choosers from the first listener on, and a key that is pressed right behind it can be quicker (9 times of 15).
  page.on("filechooser", () => {});
  page.on("pageerror", (error) => visit.complaints.push(String(error)));
  context.on("request", (request) => {
    if (!request.url().startsWith(`${baseURL}/`) && !/^(?:blob|data):/.test(request.url())) visit.foreign.push(request.url());
  });
  return visit;
}

/** What a test asks of a video element; the DOM's own types are not known here. */
interface Playing {
  readonly currentTime: number;
  readonly readyState: number;
  readonly videoHeight: number;
  readonly paused: boolean;
  readonly ended: boolean;
  readonly error: string | null;
}

async function playing(page: Page): Promise<Playing> {
  return await page.locator("video").evaluate((video: Playing & { error: { message: string } | null }) => ({
    currentTime: video.currentTime,
    readyState: video.readyState,
    videoHeight: video.videoHeight,
    paused: video.paused,
    ended: video.ended,
    error: video.error?.message ?? null,
  }));
}

/** Waits for a state of the player, and fails at once when it has given up, with what it was doing and what it had asked for. */
export async function untilPlaying(page: Page, what: string, holds: (state: Playing) => boolean): Promise<void> {
  let seen: Playing | undefined;
  const told = (): string => `the player: ${JSON.stringify(seen)}\n${exchangesOf(page)}`;
  await eventually(
    async () => {
      seen = await playing(page);
      return holds(seen) || seen.error !== null;
    },
    { timeoutMs: PATIENCE_MS, what },
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${told()}`);
  });
  if (seen?.error !== null) throw new Error(`${what}: it has given up; ${told()}`);
}
