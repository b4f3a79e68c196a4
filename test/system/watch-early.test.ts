/** What this is for: a video plays while most of it is still to be made, and from wherever one likes. */
import type { Browser } from "playwright-core";
import { launchBrowser, newVisit, untilPlaying } from "../support/browser.ts";
import { getVideo, segmentsStored, uploadFile, untilStatus } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import { decodeFrames, makeSource } from "../support/media.ts";
import { describeWith } from "../support/neighbours.ts";
import { buildPage } from "../support/page.ts";
import { removeFolder, startTritonTube, temporaryFolder, type TritonTube } from "../support/tritontube.ts";

const SECONDS = 60;
/** Four fifths of the way, and the segment that begins there. */
const FAR = { seconds: 48, segment: 16 };

interface VideoElement {
  currentTime: number;
}

describeWith(["chromium", "ffmpeg"], "a video that was just uploaded", () => {
  let folder: string;
  let source: string;
  let tube: TritonTube;
  let browser: Browser;
  beforeAll(async () => {
    folder = await temporaryFolder("tritontube-early-");
    await buildPage();
    source = await makeSource(folder, { seconds: SECONDS, size: "854x480" });
    [tube, browser] = await Promise.all([startTritonTube(), launchBrowser()]);
  }, 240_000);
  afterAll(async () => {
    await browser.close();
    await tube.stop();
    await removeFolder(tube.dataDir);
    await removeFolder(folder);
  }, 240_000);

  it("plays while it is processed, shows what a viewer leaps to before its turn, and plays on; then it is whole", async () => {
    const { page } = await newVisit(browser, tube.url);
    const { id } = await uploadFile(tube.url, source);
    const uploaded = performance.now();
    const since = (): string => `${((performance.now() - uploaded) / 1000).toFixed(1)} s`;
    await page.goto(`/watch/${id}`);
    await eventually(async () => (await getVideo(tube.url, id)).playable, { timeoutMs: 120_000, what: "the first segments" });
    const playable = since();
    await page.locator("video").waitFor({ timeout: 120_000 });
    await untilPlaying(page, "the picture to move", ({ currentTime }) => currentTime > 0);
    const moving = since();
    expect((await getVideo(tube.url, id)).status).toBe("processing");

    const leap = async (to: number): Promise<void> =>
      await page.locator("video").evaluate((video: VideoElement, seconds) => void (video.currentTime = seconds), to);
    expect(await segmentsStored(tube.url, id)).toBeLessThan(FAR.segment - 1);
    const leapt = performance.now();
    await leap(FAR.seconds);
    await untilPlaying(page, "the picture at four fifths", ({ currentTime }) => currentTime > FAR.seconds + 0.1);
    const waited = ((performance.now() - leapt) / 1000).toFixed(1);
    expect((await getVideo(tube.url, id)).status).toBe("processing");

    await leap(2);
    await untilPlaying(page, "the picture three spans later", ({ currentTime }) => currentTime > 13 && currentTime < FAR.seconds);
    process.stdout.write(
      `playable ${playable} after the last byte, moving after ${moving}; the leap to ${FAR.seconds} s took ${waited} s\n`,
    );
    await untilStatus(tube.url, id, ["ready"], 300_000);
    // Anew: what the player measured while the encoders had the machine may keep a viewer at the small rendition, and rightly so.
    await page.reload();
    await untilPlaying(page, "the picture in full", ({ currentTime, videoHeight }) => currentTime > 0 && videoHeight === 480);
    expect(await decodeFrames(`${tube.url}/api/v1/videos/${id}/manifest.mpd`)).toBe(SECONDS * 30);
  }, 900_000);
});
