/** Signing in on the page, in a real browser. */
import type { Browser } from "playwright-core";
import { launchBrowser, newVisit } from "../support/browser.ts";
import { describeWith } from "../support/neighbours.ts";
import { buildPage } from "../support/page.ts";
import { PASSWORD, startWithPeople, type GatewayWithPeople } from "../support/people.ts";

describeWith("chromium", "the page, where people sign in", () => {
  let gateway: GatewayWithPeople;
  let browser: Browser;
  beforeAll(async () => {
    await buildPage();
    [gateway, browser] = await Promise.all([startWithPeople(), launchBrowser()]);
    await gateway.person("uploader", "ann");
  }, 240_000);
  afterAll(async () => {
    await browser.close();
    await gateway.stop();
  });

  it("shows no way to upload before, says what is wrong, signs in, stays so after a reload, and signs out", async () => {
    const { page, complaints } = await newVisit(browser, gateway.url);
    await page.goto("/");
    const upload = page.getByRole("button", { name: "Upload", exact: true });
    await page.getByRole("button", { name: "Sign in" }).click();
    expect(await upload.count()).toBe(0);
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name").fill("ann");
    await dialog.getByLabel("Password").fill("not my password");
    await dialog.getByRole("button", { name: "Sign in" }).click();
    await dialog.getByRole("alert").getByText("There is no such user with this password.").waitFor();
    await dialog.getByLabel("Password").fill(PASSWORD);
    await dialog.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("ann", { exact: true }).waitFor();
    await page.reload();
    await page.getByText("ann", { exact: true }).waitFor();
    await upload.waitFor();
    expect(await page.evaluate("document.cookie")).toBe("");
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("button", { name: "Sign in" }).waitFor();
    expect(await upload.count()).toBe(0);
    expect(complaints.filter((text) => !text.includes("401"))).toEqual([]);
  });
});
