/** The page as people meet it: a real browser, the real server, and a network that fails on request. */
import { readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Browser, BrowserContextOptions, Locator, Page } from "playwright-core";
import { launchBrowser, newVisit, untilPlaying, type Visit } from "../support/browser.ts";
import { getVideo, uploadFile, untilStatus } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import { makeSource } from "../support/media.ts";
import { describeWith } from "../support/neighbours.ts";
import { buildPage } from "../support/page.ts";
import { removeFolder, startTritonTube, temporaryFolder, type TritonTube } from "../support/tritontube.ts";

/** Where the pictures of the last run are, for people to look at. Git ignores it. */
const PICTURES = join(import.meta.dirname, "../../coverage/page");
const SECONDS = 6;
/** Of each picture: four of a second, and the rest. */
const LAST_SEGMENT = 5;
const HOSTILE = `<img src=x onerror="alert(1)"><b>&amp;`;

async function focusByTab(page: Page, wanted: Locator): Promise<void> {
  for (let presses = 0; presses < 40; presses += 1) {
    await page.keyboard.press("Tab");
    if (await wanted.evaluate((element: { matches(selector: string): boolean }) => element.matches(":focus-visible"))) return;
  }
  throw new Error("40 presses of Tab did not lead there");
}

/** The video element is not in it: browsers give its controls focus rings of their own. */
async function overflow(page: Page): Promise<number> {
  return await page.evaluate<number>("document.documentElement.scrollWidth - document.documentElement.clientWidth");
}

/** Lets through so many bytes a second, or none at all. */
async function slow(page: Page, bytesPerSecond: number): Promise<void> {
  const session = await page.context().newCDPSession(page);
  const offline = bytesPerSecond === 0;
  await session.send("Network.enable");
  await session.send("Network.emulateNetworkConditions", {
    offline,
    latency: 0,
    downloadThroughput: -1,
    uploadThroughput: bytesPerSecond,
  });
}

/** Where each request that sends bytes begins. */
function offsetsOf(page: Page): number[] {
  const offsets: number[] = [];
  page.on("request", (request) => {
    if (request.method() === "PATCH") offsets.push(Number(request.headers()["upload-offset"]));
  });
  return offsets;
}

const percentOf = async (row: Locator): Promise<number> =>
  await row.getByRole("progressbar").evaluate((bar: { value: number }) => bar.value);

describeWith(["chromium", "ffmpeg"], "the page", () => {
  let folder: string;
  let source: string;
  let tube: TritonTube;
  let browser: Browser;
  let visits: Visit[] = [];

  beforeAll(async () => {
    folder = await temporaryFolder("tritontube-page-");
    await buildPage();
    source = await makeSource(folder, { seconds: SECONDS, size: "854x480" });
    [tube, browser] = await Promise.all([startTritonTube(), launchBrowser()]);
  }, 240_000);

  afterEach(async () => {
    const over = visits;
    visits = [];
    await Promise.all(over.map(({ page }) => page.context().close()));
    expect(over.flatMap(({ foreign }) => foreign)).toEqual([]);
  });

  afterAll(async () => {
    await browser.close();
    await tube.stop();
    await removeFolder(tube.dataDir);
    await removeFolder(folder);
  }, 240_000);

  async function visit(options: BrowserContextOptions = {}): Promise<Visit> {
    const made = await newVisit(browser, tube.url, options);
    visits.push(made);
    return made;
  }

  it("tells the owner of an empty catalogue what to do", async () => {
    const { page, complaints } = await visit();
    await page.goto("/");
    await page.getByRole("heading", { name: "No videos yet" }).waitFor();
    const chooser = page.waitForEvent("filechooser");
    await page.getByRole("button", { name: "Choose videos" }).click();
    expect((await chooser).isMultiple()).toBe(true);
    expect(complaints).toEqual([]);
  });

  describe("with a file to upload", () => {
    it("sends it, follows its conversion, and plays it, taking its hostile name for text", async () => {
      const { page, complaints } = await visit();
      await page.goto("/");
      await page
        .locator("input[type=file]")
        .setInputFiles({ name: `${HOSTILE}.mp4`, mimeType: "video/mp4", buffer: await readFile(source) });
      const uploads = page.getByRole("region", { name: "Uploads" });
      await uploads.getByText(/^Ready$/).waitFor({ timeout: 60_000 });
      await page.getByRole("listitem").getByRole("link", { name: HOSTILE, exact: true }).waitFor();
      await page.screenshot({ path: join(PICTURES, "home.png") });

      await uploads.getByRole("link", { name: /^Watch/ }).click();
      await page.getByRole("heading", { level: 1, name: HOSTILE, exact: true }).waitFor();
      await untilPlaying(page, "the picture to move", ({ currentTime }) => currentTime > 2);
      await page.screenshot({ path: join(PICTURES, "watch.png") });
      expect(await page.getByRole("definition").allTextContents()).toEqual([
        "0:06",
        "854 × 480",
        "30 fps",
        "H.264",
        "AAC",
        expect.stringMatching(/^[0-9.]+ [kM]B$/),
      ]);
      expect(await page.locator("[onerror], h1 *, .card-link *, .upload-name *").count()).toBe(0);
      const { href } = new URL(page.url().replace("/watch/", "/api/v1/videos/"));
      const watched = async () => (await (await fetch(`${href}/analytics`)).json()) as { data: { watchSeconds: number } };
      const told = { data: { viewings: 1, viewers: 1, watchSeconds: expect.closeTo(SECONDS, 0) } };
      await eventually(async () => (await watched()).data.watchSeconds > SECONDS - 1, { what: "the owner to learn of it" });
      expect(await watched()).toMatchObject(told);
      expect(complaints).toEqual([]);
    }, 240_000);

    it("says why a file cannot be a video, and deletes what it made of it only after asking", async () => {
      const { page, complaints } = await visit();
      await page.goto("/");
      await page
        .locator("input[type=file]")
        .setInputFiles({ name: "notes.mp4", mimeType: "video/mp4", buffer: Buffer.from("not a video at all\n".repeat(200)) });
      const card = page.locator(".card", { hasText: "notes" });
      await card.getByText("Failed").waitFor({ timeout: 30_000 });
      await card.getByRole("link").click();
      const { error } = await getVideo(tube.url, new URL(page.url()).pathname.replace("/watch/", ""));
      await page
        .getByRole("alert")
        .getByText(error?.message ?? "no reason")
        .waitFor();

      await page.getByRole("button", { name: "Delete" }).click();
      await page.keyboard.press("Escape");
      expect(await page.getByRole("dialog").count()).toBe(0);
      await page.getByRole("button", { name: "Delete" }).click();
      await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
      await page.getByText("Deleted “notes”.").waitFor();
      await page.getByRole("heading", { level: 1, name: /^Videos/ }).waitFor();
      await card.waitFor({ state: "detached" });
      expect(complaints).toEqual([]);
    });

    /** A file of bytes that are no video, large enough to be met on its way. */
    const large = { name: "large.mp4", mimeType: "video/mp4", buffer: Buffer.alloc(12_000_000, "not a video at all ") };

    it("goes on by itself, where it was, when the network is lost and comes back", async () => {
      const { page } = await visit();
      const offsets = offsetsOf(page);
      await page.goto("/");
      await slow(page, 2_000_000);
      await page.locator("input[type=file]").setInputFiles(large);
      const row = page.getByRole("region", { name: "Uploads" }).getByRole("listitem");
      await eventually(async () => (await percentOf(row)) > 0.3);
      await slow(page, 0);
      await row.getByText(/^Connection lost at \d+%\. Goes on by itself\.$/).waitFor();
      await slow(page, -1);
      await page.locator(".upload[data-state=failed]").waitFor({ timeout: 30_000 });
      expect(offsets[0]).toBe(0);
      expect(offsets.at(-1)).toBeGreaterThan(1_000_000);
    }, 240_000);

    it("can be paused, and goes on after another visit when the file is chosen again", async () => {
      const { page } = await visit();
      const offsets = offsetsOf(page);
      await page.goto("/");
      await slow(page, 2_000_000);
      const path = join(folder, "kept.mp4");
      await writeFile(path, large.buffer);
      await page.locator("input[type=file]").setInputFiles(path);
      const row = page.getByRole("region", { name: "Uploads" }).getByRole("listitem");
      await eventually(async () => (await percentOf(row)) > 0.3);
      await row.getByRole("button", { name: "Pause the upload of kept.mp4" }).click();
      await row.getByText(/^Paused at \d+%/).waitFor();
      await page.screenshot({ path: join(PICTURES, "paused.png") });

      await page.reload();
      await row.getByText(/^Interrupted at \d+%\. Choose the file again to go on\.$/).waitFor();
      await page.screenshot({ path: join(PICTURES, "interrupted.png") });
      await slow(page, -1);
      const chooser = page.waitForEvent("filechooser");
      await row.getByRole("button", { name: "Choose kept.mp4 again" }).click();
      await (await chooser).setFiles(path);
      await page.locator(".upload[data-state=failed]").waitFor({ timeout: 30_000 });
      expect(await page.locator(".upload").count()).toBe(1);
      expect(offsets.at(-1)).toBeGreaterThan(1_000_000);
    }, 240_000);

    it("shows a refusal in the server's words, and cancels what is on its way", async () => {
      const { page } = await visit();
      await page.goto("/");
      const problem = { title: "The upload is larger than this server accepts.", detail: "It takes 5 GB.", status: 413 };
      await page.route("**/api/v1/uploads", (route) =>
        route.fulfill({ status: 413, json: problem, contentType: "application/problem+json" }),
      );
      const input = page.locator("input[type=file]");
      await input.setInputFiles({ name: "huge.mp4", mimeType: "video/mp4", buffer: Buffer.from("huge") });
      await page.getByText(`${problem.title} ${problem.detail}`, { exact: true }).first().waitFor();

      await page.unroute("**/api/v1/uploads");
      await page.route("**/api/v1/uploads/*", (route) => (route.request().method() === "PATCH" ? undefined : route.continue()));
      const sending = page.waitForRequest((request) => request.method() === "PATCH");
      await input.setInputFiles({ name: "slow.mp4", mimeType: "video/mp4", buffer: Buffer.from("slow") });
      const { url } = await sending.then((request) => ({ url: request.url() }));
      const ended = page.waitForResponse((response) => response.request().method() === "DELETE");
      await page.getByRole("button", { name: "Cancel the upload of slow.mp4" }).click();
      expect([(await ended).status(), (await ended).url()]).toEqual([204, url]);
      await page.getByText("slow.mp4").waitFor({ state: "detached" });
    });

    it("is told what happens, and does not ask all the time", async () => {
      const { page } = await visit();
      const told: string[] = [];
      page.on("websocket", (socket) => socket.on("framereceived", ({ payload }) => void told.push(payload.toString())));
      await page.goto("/");
      await page.locator("input[type=file]").setInputFiles({ ...large, buffer: Buffer.from("not a video ".repeat(1000)) });
      await page.locator(".upload[data-state=failed]").waitFor({ timeout: 30_000 });
      // By an event, or by the state that was there when it began to listen.
      expect(told.join("\n")).toMatch(/"video\.failed"|"status":"failed"/);
    });
  });

  describe("with a video", () => {
    let id: string;
    beforeAll(async () => {
      ({ id } = await uploadFile(tube.url, source));
      await untilStatus(tube.url, id, ["ready"]);
    }, 240_000);

    it("plays in the quality that is chosen, from any point to the end", async () => {
      const { page, complaints } = await visit();
      await page.goto(`/watch/${id}`);
      await untilPlaying(page, "the picture to move", ({ currentTime }) => currentTime > 0.5);
      await page.getByLabel("Quality").selectOption("240p");
      await untilPlaying(page, "the small picture", ({ videoHeight }) => videoHeight === 240);
      await page.locator("video").evaluate((video: { currentTime: number; play(): Promise<void> }) => {
        video.currentTime = 4.5;
        return video.play();
      });
      await untilPlaying(page, "the end", ({ ended, currentTime }) => ended && currentTime > SECONDS - 0.2);
      expect(complaints).toEqual([]);
    });

    it("can be used with the keyboard alone", async () => {
      const { page } = await visit();
      await page.goto("/");
      const card = page.locator(`.card a[href="/watch/${id}"]`);
      await card.waitFor();
      await focusByTab(page, page.getByRole("button", { name: "Upload", exact: true }));
      const chooser = page.waitForEvent("filechooser");
      await page.keyboard.press("Enter");
      await chooser;
      await focusByTab(page, card);
      await page.keyboard.press("Enter");
      await untilPlaying(page, "the picture to move", ({ currentTime }) => currentTime > 0.2);
      await focusByTab(page, page.locator("video"));
      await page.keyboard.press("Space");
      await untilPlaying(page, "the pause", ({ paused }) => paused);
      await page.goBack();
      expect(await card.textContent()).toBe(basename(source));
    });

    it("says that the network is gone, and plays on when it is back", async () => {
      const { page } = await visit();
      await page.route("**/*.m4s", (route) => route.abort());
      await page.goto(`/watch/${id}`);
      await page.getByText("The server does not answer. Trying again…").waitFor();
      await page.unroute("**/*.m4s");
      await untilPlaying(page, "the picture to move", ({ currentTime }) => currentTime > 1);
      expect(await page.getByText("The server does not answer. Trying again…").isVisible()).toBe(false);
    });

    it("waits for a part that is still being made, and then plays it", async () => {
      const { page } = await visit();
      await page.route("**/*.m4s", (route) => route.fulfill({ status: 503, headers: { "retry-after": "1" } }));
      await page.goto(`/watch/${id}`);
      await page.getByText("This part is still being processed…").waitFor();
      await page.unroute("**/*.m4s");
      await untilPlaying(page, "the picture to move", ({ currentTime }) => currentTime > 1);
      expect(await page.getByText("This part is still being processed…").isVisible()).toBe(false);
    });

    it.each([
      { status: "processing", height: "360p" },
      { status: "ready", height: "480p" },
    ])("asks for $height after a leap to what is not there, while the video is $status", async ({ status, height }) => {
      const { page } = await visit();
      const video = { ...(await getVideo(tube.url, id)), status };
      const processing = { ...video, stages: [], renditions: [], secondsLeft: 90 };
      await page.route(`**/api/v1/videos/${id}`, (route) => route.fulfill({ json: { data: video } }));
      await page.route(`**/api/v1/videos/${id}/status`, (route) => route.fulfill({ json: { data: processing } }));
      const held = Promise.withResolvers<void>();
      const asked: string[] = [];
      await page.route(`**/*p/${LAST_SEGMENT}.m4s`, async (route) => {
        asked.push(new URL(route.request().url()).pathname.split("/").at(-2) ?? "");
        await held.promise;
        await route.continue().catch(() => {});
      });
      await page.goto(`/watch/${id}`);
      // The one that playing on would need.
      await eventually(() => asked.length > 0, { timeoutMs: 60_000, what: "the last segment to be asked for" });
      await untilPlaying(page, "the picture to move", ({ currentTime }) => currentTime > 0.2);
      const before = asked.length;
      await page.locator("video").evaluate((element: { currentTime: number }) => void (element.currentTime = 4.5));
      await eventually(() => asked.length > before, { timeoutMs: 60_000, what: "it to be asked for after the leap" });
      expect(asked[before]).toBe(height);
      held.resolve();
      await untilPlaying(page, "the picture behind the leap", ({ currentTime }) => currentTime > 4.6);
    });

    it("shows how far the conversion is, and starts by itself when the video can be watched", async () => {
      const { page, complaints } = await visit();
      const video = { ...(await getVideo(tube.url, id)), status: "processing", playable: false, progress: 0.42 };
      const stage = { state: "running", progress: 0.3, attempts: 1, error: null };
      const status = { ...video, stages: [{ name: "video", ...stage }], renditions: [{ name: "480p", progress: 0.25 }], secondsLeft: 90 };
      await page.route(`**/api/v1/videos/${id}`, (route) => route.fulfill({ json: { data: video } }));
      await page.route(`**/api/v1/videos/${id}/status`, (route) => route.fulfill({ json: { data: status } }));
      await page.goto(`/watch/${id}`);
      await page.getByText("42%", { exact: true }).waitFor();
      await page.getByText("2 min left. Playback starts by itself.").waitFor();
      expect(await page.getByRole("listitem").allTextContents()).toEqual(["Picture 30%, in progress", "480p25%"]);
      await page.unrouteAll();
      await untilPlaying(page, "the picture to move", ({ currentTime }) => currentTime > 0.5);
      expect(complaints).toEqual([]);
    });

    it("says that a video is not there", async () => {
      const { page } = await visit();
      await page.goto("/watch/00000000-0000-4000-8000-000000000000");
      await page.getByRole("heading", { level: 1, name: "There is no such video." }).waitFor();
      await page.getByRole("link", { name: "All videos", exact: true }).click();
      await page.getByRole("heading", { level: 1, name: /^Videos/ }).waitFor();
      expect(new URL(page.url()).pathname).toBe("/");
    });

    it("lists again by itself when the server is back", async () => {
      const { page } = await visit();
      await page.route("**/api/v1/videos?*", (route) => route.abort());
      await page.goto("/");
      await page.getByText("The server does not answer.").waitFor();
      await page.unrouteAll();
      await page.locator(`.card a[href="/watch/${id}"]`).waitFor();
      expect(await page.getByText("The server does not answer.").isVisible()).toBe(false);
    });

    it("asks for news only while there is something to wait for, ever less often, and never behind another tab", async () => {
      const { page } = await visit();
      let asked = 0;
      const item = { ...(await getVideo(tube.url, id)), status: "processing", progress: 0.1 };
      await page.route("**/api/v1/videos?*", async (route) => {
        asked += 1;
        await route.fulfill({ json: { data: [item], meta: { total: 1, nextCursor: null } } });
      });
      const minutes = async (count: number): Promise<number> => {
        const before = asked;
        // In steps, so that answers can arrive in between.
        for (let second = 0; second < count * 60; second += 1) {
          await page.clock.runFor(1000);
          await page.evaluate("null");
        }
        return asked - before;
      };
      await page.clock.install();
      await page.goto("/");
      await page.getByText("Processing 10%").waitFor();
      expect(await minutes(1)).toBeLessThan(20);
      const hide = (hidden: boolean) =>
        page.evaluate(
          `Object.defineProperty(document, "hidden", { configurable: true, value: ${hidden} }); document.dispatchEvent(new Event("visibilitychange"))`,
        );
      await hide(true);
      expect(await minutes(1)).toBe(0);
      item.status = "ready";
      await hide(false);
      await page.getByText("Processing 10%").waitFor({ state: "hidden" });
      expect(await minutes(1)).toBe(0);
    });

    it.each(["light", "dark"] as const)("fits a screen of 360 pixels (%s)", async (colorScheme) => {
      const { page, complaints } = await visit({ colorScheme, viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true });
      await page.goto("/");
      await page.locator(`.card a[href="/watch/${id}"]`).waitFor();
      expect(await overflow(page)).toBe(0);
      await page.screenshot({ path: join(PICTURES, `home-narrow-${colorScheme}.png`) });
      await page.goto(`/watch/${id}`);
      await untilPlaying(page, "the picture to move", ({ currentTime }) => currentTime > 0.5);
      expect(await overflow(page)).toBe(0);
      await page.screenshot({ path: join(PICTURES, `watch-narrow-${colorScheme}.png`) });
      expect(complaints).toEqual([]);
    });

    it("loads the player only where something is played", async () => {
      const { page } = await visit();
      const scripts: string[] = [];
      page.on("request", (request) => {
        if (request.resourceType() === "script") scripts.push(new URL(request.url()).pathname);
      });
      await page.goto("/");
      const card = page.locator(`.card a[href="/watch/${id}"]`);
      await card.waitFor();
      // What the page shares with the API's documentation is a file of its own.
      expect(scripts.map((path) => path.split("-")[0])).toEqual(["/assets/index", "/assets/dom"]);
      await card.click();
      await untilPlaying(page, "the picture to move", ({ currentTime }) => currentTime > 0);
      expect(scripts.filter((path) => path.includes("player"))).toHaveLength(1);
      expect(scripts.filter((path) => path.includes("transfer"))).toEqual([]);
    });
  });
});
