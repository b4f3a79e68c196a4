/** Shows one stored source to ffmpeg as a file that it can seek in: HTTP with ranges on loopback, under an address that nobody can guess. */
import { randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { TritonError } from "../../kernel/errors.ts";

/** A source as the storage gives it. */
export interface Source {
  /** Bytes. */
  readonly size: number;
  /** Bytes start (inclusive) to end (exclusive). */
  read(start: number, end: number): Promise<Readable>;
}

/** Thrown by a source whose next bytes are not there yet, while everything before them is. */
export class NotYetThere extends TritonError {
  /** The first one that is missing. */
  readonly byte: number;

  constructor(byte: number, message: string) {
    super("SERVICE_UNAVAILABLE", message);
    this.byte = byte;
  }
}

interface Part {
  readonly blob: string;
  readonly size: number;
}

/** Blobs one after the other, as one source. */
export function joinedSource(parts: readonly Part[], read: (blob: string, start: number, end: number) => Promise<Readable>): Source {
  async function* bytesOf(start: number, end: number): AsyncGenerator<Uint8Array> {
    let at = 0;
    for (const { blob, size } of parts) {
      const [from, to] = [Math.max(start - at, 0), Math.min(end - at, size)];
      if (from < to) yield* await read(blob, from, to);
      at += size;
    }
  }
  return {
    size: parts.reduce((sum, { size }) => sum + size, 0),
    read: async (start, end) => Readable.from(bytesOf(start, end)),
  };
}

export interface ServedSource {
  readonly url: string;
  /** Resolves when somebody asks for the first of its bytes. */
  readonly asked: Promise<void>;
  /**
   * Throws what the storage failed with, if it did. ffmpeg takes a broken connection for the end of the video: a disk's failure would look
   * like a short source. To who has `enough`, bytes that are not there yet are no failure: ffmpeg had asked for more than it needed.
   */
  throwFailure(enough?: boolean): void;
  close(): Promise<void>;
}

/** `onBytes` is called whenever some are read. */
export async function serveSource(source: Source, onBytes?: () => void): Promise<ServedSource> {
  const path = `/${randomBytes(16).toString("hex")}`;
  const failures: unknown[] = [];
  const asked = Promise.withResolvers<void>();
  const server = createServer((request, response) => {
    asked.resolve();
    void answer(request, response, request.url === path ? source : undefined, onBytes).catch((error: unknown) => {
      failures.push(error);
      response.destroy();
    });
  });
  await listen(server);
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`,
    asked: asked.promise,
    throwFailure(enough = false) {
      const told = failures.filter((each) => !enough || !(each instanceof NotYetThere));
      if (told.length > 0) throw told[0];
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function listen(server: Server): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(0, "127.0.0.1", () => resolve());
  });
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  source: Source | undefined,
  onBytes: (() => void) | undefined,
): Promise<void> {
  if (!source) return void response.writeHead(404).end();
  if (request.method !== "GET" && request.method !== "HEAD") return void response.writeHead(405).end();
  const { size } = source;
  const range = rangeOf(request.headers.range, size);
  if (!range) return void response.writeHead(416, { "Content-Range": `bytes */${size}` }).end();
  const { start, end, partial } = range;
  response.writeHead(partial ? 206 : 200, {
    "Accept-Ranges": "bytes",
    "Content-Length": end - start,
    ...(partial ? { "Content-Range": `bytes ${start}-${end - 1}/${size}` } : {}),
  });
  if (request.method === "HEAD") return void response.end();
  const body = await source.read(start, end);
  if (onBytes) body.on("data", onBytes);
  await send(body, response);
}

/** ffmpeg asks from a position to the end, and hangs up when it wants another: that is no failure, while a body that stops first is one. */
async function send(body: Readable, response: ServerResponse): Promise<void> {
  let cutOff = false;
  body.once("close", () => (cutOff = !body.readableEnded && !response.destroyed));
  try {
    await pipeline(body, response);
  } catch (error) {
    if (cutOff || (error as NodeJS.ErrnoException).code !== "ERR_STREAM_PREMATURE_CLOSE") throw error;
  }
}

/** One range is all that ffmpeg asks for. Undefined when it lies outside. */
function rangeOf(header: string | undefined, size: number): { start: number; end: number; partial: boolean } | undefined {
  const [, first = "", last = ""] = /^bytes=([0-9]{1,15})-([0-9]{0,15})$/.exec(header ?? "") ?? [];
  if (first === "") return { start: 0, end: size, partial: false };
  const start = Number(first);
  const end = Math.min(size, last === "" ? size : Number(last) + 1);
  return start < end ? { start, end, partial: true } : undefined;
}
