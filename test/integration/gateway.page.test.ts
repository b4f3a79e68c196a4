/** The page's files: read once, named by their own addresses, kept by browsers as long as is right. */
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { loadPage } from "../../services/gateway/http/page.ts";
import { pageRoutes } from "../../services/gateway/page-routes.ts";
import { removeFolder, temporaryFolder } from "../support/tritontube.ts";

let folder: string;
beforeAll(async () => {
  folder = await temporaryFolder("tritontube-page-");
  await mkdir(join(folder, "assets"));
  await writeFile(join(folder, "index.html"), "<!doctype html>");
  await writeFile(join(folder, "favicon.svg"), "<svg/>");
  await writeFile(join(folder, "assets/index-Ab_3.js"), "play()");
  await writeFile(join(folder, "assets/index-Ab_3.js.map"), "{}");
  await writeFile(join(folder, "assets/:id.js"), "");
  await writeFile(join(folder, "notes"), "");
  await symlink("/etc/passwd", join(folder, "assets/linked.txt"));
});
afterAll(() => removeFolder(folder));

it("offers what browsers load, under addresses that are no patterns, and nothing that lies elsewhere", () => {
  const page = loadPage(folder);
  expect([...page.keys()].toSorted()).toEqual(["/assets/index-Ab_3.js", "/favicon.svg", "/index.html"]);
  expect(pageRoutes(page).map(({ path }) => path)).toEqual(["/", "/watch/:id", ...page.keys()]);
});

it("lets browsers keep for ever only what has its hash in its name", () => {
  const page = loadPage(folder);
  expect(page.get("/assets/index-Ab_3.js")).toMatchObject({
    type: "text/javascript; charset=utf-8",
    caching: "public, max-age=31536000, immutable",
    size: 6,
  });
  expect(page.get("/index.html")).toMatchObject({ type: "text/html; charset=utf-8", caching: "no-cache" });
  expect(page.get("/favicon.svg")).toMatchObject({ type: "image/svg+xml", caching: "no-cache" });
  expect(page.get("/index.html")?.etag).toMatch(/^"[A-Za-z0-9_-]{43}"$/);
});

it("is no reason not to start when it was not built", () => {
  expect(loadPage(join(folder, "nowhere")).size).toBe(0);
});
