/**
 * The rival: what a careful programmer writes in twenty lines of node:http. PUT keeps one copy, hashed while it flows, fsynced before the answer;
 * GET sends it from large reads. Run as a process of its own: `fork(rivalModule, [folder])` answers the port.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";

/** Node's own 64 KiB would cost it twice the CPU. */
const READ_BYTES = 1024 * 1024;

export const rivalModule = import.meta.filename;

async function keep(incoming: IncomingMessage, path: string): Promise<string> {
  const handle = await open(path, "w");
  const hash = createHash("sha256");
  for await (const part of incoming as AsyncIterable<Buffer>) {
    hash.update(part);
    await handle.write(part);
  }
  await handle.sync();
  await handle.close();
  return hash.digest("hex");
}

async function answer(folder: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = join(folder, request.url?.slice(1).replaceAll("/", "-") ?? "");
  if (request.method === "GET") await pipeline(createReadStream(path, { highWaterMark: READ_BYTES }), response);
  else response.writeHead(202).end(await keep(request, path));
}

const [, main, folder] = process.argv;
if (main === rivalModule && folder !== undefined) {
  const server = createServer((request, response) => void answer(folder, request, response));
  server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port));
}
