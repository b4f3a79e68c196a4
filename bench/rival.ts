/**
 * The rival: what a careful programmer writes in sixty lines of node:http, with the promises of a disk. PUT keeps one copy, hashed while it flows:
 * under another name until it is fsynced, then renamed, and the folder fsynced, before the answer, which is that hash. GET hashes what it reads, and breaks
 * the connection when that is not what was written. Run as a process of its own: `fork(rivalModule, [folder])` answers the port.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, rename } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";

/** Node's own 64 KiB would cost it twice the CPU. More than the file has would cost it memory that is cleared for nothing, and a copy. */
const READ_BYTES = 1024 * 1024;

interface Kept {
  readonly hash: string;
  readonly size: number;
}

export const rivalModule = import.meta.filename;

async function sync(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  await handle.sync();
  await handle.close();
}

async function keep(incoming: IncomingMessage, folder: string, name: string): Promise<Kept> {
  const draft = join(folder, `${name}.draft`);
  const handle = await open(draft, "w");
  const hash = createHash("sha256");
  let size = 0;
  for await (const part of incoming as AsyncIterable<Buffer>) {
    const written = handle.write(part);
    hash.update(part);
    size += part.length;
    await written;
  }
  await handle.sync();
  await handle.close();
  await rename(draft, join(folder, name));
  await sync(folder);
  return { hash: hash.digest("hex"), size };
}

async function give(path: string, { hash, size }: Kept, response: ServerResponse): Promise<void> {
  response.setHeader("content-length", size);
  const found = createHash("sha256");
  await pipeline(
    createReadStream(path, { end: size - 1, highWaterMark: Math.min(READ_BYTES, size) }),
    async function* (parts: AsyncIterable<Buffer>) {
      let left = size;
      for await (const part of parts) {
        found.update(part);
        left -= part.length;
        // Its last bytes are worth something only when all are good.
        if (left === 0 && found.digest("hex") !== hash) throw new Error(`${path} holds other bytes`);
        yield part;
      }
    },
    response,
  );
}

async function serve(folder: string): Promise<void> {
  const kept = new Map<string, Kept>();
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const name = request.url?.slice(1).replaceAll("/", "-") ?? "";
    const known = kept.get(name);
    if (request.method === "PUT") {
      kept.set(name, await keep(request, folder, name));
      response.writeHead(202).end(kept.get(name)!.hash);
    } else if (known) await give(join(folder, name), known, response);
    else response.writeHead(404).end();
  };
  const server = createServer((request, response) => void answer(request, response).catch(() => response.destroy()));
  server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port));
}

const [, main, folder] = process.argv;
if (main === rivalModule && folder !== undefined) await serve(folder);
