/** The API's documentation, in a real browser. */
import type { Browser } from "playwright-core";
import { apiRoutes } from "../../services/gateway/routes.ts";
import { launchBrowser, newVisit } from "../support/browser.ts";
import { startGateway, type RunningGateway } from "../support/catalogue.ts";
import { describeWith } from "../support/neighbours.ts";
import { buildPage } from "../support/page.ts";

describeWith("chromium", "the documentation page", () => {
  let gateway: RunningGateway;
  let browser: Browser;
  beforeAll(async () => {
    await buildPage();
    [gateway, browser] = await Promise.all([startGateway(), launchBrowser()]);
  }, 240_000);
  afterAll(async () => {
    await browser.close();
    await gateway.stop();
  });

  it("sets out every operation, asks nobody else for anything, and sends what one tries", async () => {
    const { page, complaints, foreign } = await newVisit(browser, gateway.url);
    await page.goto("/api/v1/docs");
    await page.locator("#getSession").waitFor();
    expect(await page.locator("article").count()).toBe(apiRoutes.length);
    const list = page.locator("#listVideos");
    await list.getByText("Try it").click();
    await list.getByLabel("limit").fill("0");
    await list.getByRole("button", { name: "Send GET" }).click();
    await list.getByText("400 Bad Request").waitFor();
    await list.getByText("must be a whole number from 1 to 100").first().waitFor();
    await list.getByLabel("limit").fill("1");
    await list.getByRole("button", { name: "Send GET" }).click();
    await list.getByText("200 OK").waitFor();
    const upload = page.locator("#uploadVideos");
    await upload.getByText("Try it").click();
    await upload.getByLabel("The body: a file").setInputFiles({ name: "film.mp4", mimeType: "video/mp4", buffer: Buffer.from("a film") });
    await upload.getByRole("button", { name: "Send POST" }).click();
    await upload.getByText("202 Accepted").waitFor();
    await upload.getByText('"title": "film"').waitFor();
    expect(foreign).toEqual([]);
    expect(complaints.filter((text) => !text.includes("400"))).toEqual([]);
  });
});
