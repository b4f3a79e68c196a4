/** The built page (`web/dist`), as the gateway serves it. */
import { execFile } from "node:child_process";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const root = join(import.meta.dirname, "../..");
const BUILD_MS = 60_000;

/** Builds the page if its sources are newer than what was built. Call it before a gateway starts: it reads the files once. */
export async function buildPage(): Promise<void> {
  const built = await stat(join(root, "web/dist/index.html")).catch(() => undefined);
  if (built && built.mtimeMs > (await newestSource())) return;
  const vite = join(root, "node_modules/vite/bin/vite.js");
  await promisify(execFile)(process.execPath, [vite, "build", "web", "--logLevel", "warn"], { cwd: root, timeout: BUILD_MS });
}

async function newestSource(): Promise<number> {
  const entries = await readdir(join(root, "web"), { recursive: true, withFileTypes: true });
  const sources = entries.filter((entry) => entry.isFile() && !entry.parentPath.startsWith(join(root, "web/dist")));
  const times = await Promise.all(sources.map(async (entry) => (await stat(join(entry.parentPath, entry.name))).mtimeMs));
  return Math.max(...times);
}
