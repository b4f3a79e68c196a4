/** Uppy in a real browser, in a page of another origin, for somebody who shows a token: the documentation's own example (docs/uppy.ts). */
import { randomUUID } from "node:crypto";
import type { Browser, Page } from "playwright-core";
import { onlyPerson } from "../../services/kernel/principal.ts";
import { call } from "../../services/kernel/rpc.ts";
import limitsService from "../../services/limits/limits.service.ts";
import { users } from "../../services/users/contract.ts";
import usersService from "../../services/users/users.service.ts";
import { launchBrowser, newVisit } from "../support/browser.ts";
import { bytesOf } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { describeWith } from "../support/neighbours.ts";
import { sha256, startTusGateway, UPLOADS, type TusGateway } from "../support/tus.ts";
import { removeFolder, temporaryFolder } from "../support/tritontube.ts";
import { serveUppyPage, type UppyPage } from "../support/uppy-page.ts";

const isUpload = (url: string): boolean => new URL(url).pathname.startsWith(UPLOADS);
const START_MS = 240_000;
const MIB = 1024 * 1024;
const FILM_BYTES = 12 * MIB;
/** So that there is a middle in which something can happen. */
const BYTES_PER_SECOND = 3 * MIB;

describeWith("chromium", "Uppy", () => {
  let folder: string;
  let site: UppyPage;
  let tus: TusGateway;
  let browser: Browser;
  let token: string;
  let page: Page;
  /** Requests of uploads, and those of them that were ended from either side. */
  let sent: { method: string; url: string; offset: number }[];
  let cutOff: string[];

  beforeAll(async () => {
    folder = await temporaryFolder("tritontube-uppy-");
    site = await serveUppyPage(folder);
    tus = await startTusGateway({ AUTH_MODE: "token", CORS_ORIGINS: site.origin }, [usersService, limitsService]);
    browser = await launchBrowser();
    token = await tokenOf("ann");
  }, START_MS);
  afterAll(async () => {
    await browser.close();
    await tus.stop();
    await site.stop();
    await removeFolder(folder);
  }, START_MS);
  beforeEach(async () => {
    site.film = bytesOf(FILM_BYTES);
    [sent, cutOff] = [[], []];
    ({ page } = await newVisit(browser, site.origin));
    page.on("request", (request) => {
      if (isUpload(request.url()))
        sent.push({ method: request.method(), url: request.url(), offset: Number(request.headers()["upload-offset"]) });
    });
    page.on("requestfailed", (request) => {
      if (isUpload(request.url())) cutOff.push(request.method());
    });
  });
  afterEach(async () => await page.context().close());

  async function tokenOf(name: string): Promise<string> {
    const { broker } = tus.cluster;
    const { id } = await call(broker, users.create, { as: onlyPerson, id: randomUUID(), name, role: "uploader", password: randomUUID() });
    return (await call(broker, users.createToken, { as: { id, role: "uploader" }, name: "uppy", days: 1 })).secret;
  }

  /** Opens the page, and gives Uppy the film. What becomes of it is in `told`. */
  async function begin(shown: string | null = token): Promise<void> {
    await page.goto("/");
    await page.evaluate(`(async () => {
      const { uploadsTo } = await import("/uppy.js");
      const told = (window.told = { video: null, error: null });
      const uppy = (window.uppy = uploadsTo(${JSON.stringify(tus.url)}, () => ${JSON.stringify(shown)}, (file, video) => (told.video = video)));
      uppy.on("upload-error", (file, error) => (told.error = error.originalResponse?.getStatus() ?? String(error)));
      const data = new File([await (await fetch("/film.mp4")).blob()], "Ein Film.mp4", { type: "video/mp4", lastModified: 1 });
      const id = (window.film = uppy.addFile({ name: data.name, type: data.type, data }));
      uppy.setFileMeta(id, { title: "Ein Film · 映画", tags: "sea,sun", visibility: "private" });
      void uppy.upload();
    })()`);
  }

  const told = async () => await page.evaluate<{ video: string | null; error: unknown }>("window.told");
  const uploaded = async (): Promise<string> =>
    await eventually(async () => (await told()).video ?? undefined, { what: "the upload to be done" });
  const creations = () => sent.filter(({ method }) => method === "POST").length;
  const offsets = () => sent.filter(({ method }) => method === "PATCH").map(({ offset }) => offset);
  /** As Uppy shows it to people. */
  const bytesSent = async () => await page.evaluate<number>("Number(window.uppy.getFile(window.film).progress.bytesUploaded)");

  const durable = async (): Promise<number> => {
    const { headers } = await tus.ask("HEAD", sent.at(-1)?.url ?? "", { Authorization: `Bearer ${token}` });
    return Number(headers["upload-offset"]);
  };

  async function slowly(): Promise<void> {
    const session = await page.context().newCDPSession(page);
    await session.send("Network.enable");
    const limits = { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: BYTES_PER_SECOND };
    await session.send("Network.emulateNetworkConditions", limits);
  }

  async function videoOf(id: string) {
    const answer = await fetch(`${tus.url}/api/v1/videos/${id}`, { headers: { Authorization: `Bearer ${token}` } });
    return ((await answer.json()) as { data: object }).data;
  }

  it("uploads a film whole, with what is said of it, for who shows a token", async () => {
    await begin();
    const video = await uploaded();
    expect(await videoOf(video)).toMatchObject({ title: "Ein Film · 映画", tags: ["sea", "sun"], visibility: "private" });
    expect(await tus.storedOf(video)).toBe(sha256(site.film));
  });

  it("is refused without a token, and says so at once", async () => {
    await begin(null);
    expect(await eventually(async () => (await told()).error)).toBe(401);
    expect(creations()).toBe(1);
  });

  it("goes on where it was after a pause, and after the connection was cut", async () => {
    await slowly();
    await begin();
    await eventually(async () => (await bytesSent()) > MIB, { what: "the first bytes" });
    await page.evaluate("window.uppy.pauseAll()");
    await eventually(async () => cutOff.length === 1 && (await durable()) > 0, { what: "what came before the pause to be durable" });
    await page.evaluate("window.uppy.resumeAll()");
    await eventually(async () => (await bytesSent()) > (offsets()[1] ?? Number.NaN) + 2 * MIB, { what: "more bytes" });
    const before = offsets().length;
    tus.closeConnections();
    expect(await tus.storedOf(await uploaded())).toBe(sha256(site.film));
    expect(creations()).toBe(1);
    expect(offsets().length).toBeGreaterThan(before);
    expect(offsets()).toEqual(offsets().toSorted((a, b) => a - b));
    expect(offsets()[1]).toBeGreaterThan(0);
    expect(offsets().at(-1)).toBeGreaterThan(offsets()[1] ?? Number.NaN);
  });

  it("goes on where it was after the page was loaded again", async () => {
    await slowly();
    await begin();
    await eventually(async () => (await bytesSent()) > 2 * MIB, { what: "the first bytes" });
    await begin();
    expect(await tus.storedOf(await uploaded())).toBe(sha256(site.film));
    expect(creations()).toBe(1);
    expect(offsets().at(-1)).toBeGreaterThan(MIB);
  });
});
