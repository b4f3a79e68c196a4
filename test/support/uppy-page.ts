/** A page of somebody else's, on an origin of its own, that uploads with docs/uppy.ts. */
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";

const root = join(import.meta.dirname, "../..");
const BUILD_MS = 60_000;

export interface UppyPage {
  /** http://127.0.0.1:port */
  readonly origin: string;
  /** What the page's `/film.mp4` is. */
  film: Buffer;
  stop(): Promise<void>;
}

/** Bundles docs/uppy.ts into `folder`, and serves it beside an empty page. */
export async function serveUppyPage(folder: string): Promise<UppyPage> {
  const script = await bundled(folder);
  const page = { film: Buffer.alloc(0) };
  const files: Readonly<Record<string, () => readonly [type: string, body: string | Buffer]>> = {
    "/": () => ["text/html", "<!doctype html><title>Uploads</title>"],
    "/uppy.js": () => ["text/javascript", script],
    "/film.mp4": () => ["video/mp4", page.film],
  };
  const server = createServer((request, response) => {
    const [type, body] = files[request.url ?? ""]?.() ?? ["text/plain", ""];
    response.setHeader("Content-Type", type).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const stop = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return Object.assign(page, { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, stop });
}

async function bundled(folder: string): Promise<string> {
  const config = join(folder, "vite.config.mjs");
  const lib = { entry: join(root, "docs/uppy.ts"), formats: ["es"], fileName: "uppy" };
  const define = { "process.env.NODE_ENV": '"production"' };
  await writeFile(config, `export default ${JSON.stringify({ define, build: { lib, outDir: join(folder, "dist") } })};`);
  const vite = join(root, "node_modules/vite/bin/vite.js");
  await promisify(execFile)(process.execPath, [vite, "build", root, "--config", config, "--logLevel", "warn"], {
    cwd: root,
    timeout: BUILD_MS,
  });
  return await readFile(join(folder, "dist/uppy.js"), "utf8");
}
