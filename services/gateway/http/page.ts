/** The page: the files that Vite built, read once at the start. No path from outside ever reaches the file system. */
import { readdirSync, readFileSync } from "node:fs";
import { extname, join, sep } from "node:path";
import { contentTag } from "../domain/edition.ts";
import type { Content } from "./reply.ts";

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
  ".woff2": "font/woff2",
  ".txt": "text/plain; charset=utf-8",
  ".webmanifest": "application/manifest+json",
};

/** Letters that mean nothing in a route. Vite makes no others. */
const NAME = /^[A-Za-z0-9_./-]+$/;

/** Every file below `folder` by its address, such as "/index.html"; none when the page was not built. */
export function loadPage(folder: string): ReadonlyMap<string, Content> {
  const names = listFiles(folder).filter((name) => NAME.test(name) && types[extname(name)] !== undefined);
  return new Map(names.map((name) => [`/${name}`, staticFile(folder, name)]));
}

function listFiles(folder: string): string[] {
  try {
    const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) =>
        join(entry.parentPath, entry.name)
          .slice(folder.length + 1)
          .replaceAll(sep, "/"),
      );
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

function staticFile(folder: string, name: string): Content {
  const bytes = readFileSync(join(folder, name));
  return {
    type: types[extname(name)] ?? "application/octet-stream",
    size: bytes.length,
    etag: contentTag(bytes),
    // Vite writes the hash of their content into the names of what it puts there.
    caching: name.startsWith("assets/") ? "public, max-age=31536000, immutable" : "no-cache",
    bytes: () => bytes,
  };
}
