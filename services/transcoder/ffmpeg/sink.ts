/**
 * Takes what ffmpeg writes while it writes it, through a Unix socket in the job's private folder: no video on the transcoder's disk, and a slow
 * storage slows the encoder down.
 *
 * Not HTTP: ffmpeg closes its connection as soon as the last byte is sent, and Node then destroys a request whose body has not been read to the
 * end yet, complete or not (`abortIncoming` in _http_server.js; only the undocumented `httpAllowHalfOpen` stops it). With back-pressure 10 of
 * 12 outputs lost their last fragment, while ffmpeg reported success. A socket that is closed keeps its bytes, and a private folder keeps
 * strangers out.
 */
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";

/** `sun_path` of unix(7) has 108 bytes, and 104 on other systems. */
const PATH_MAX = 103;
const CONNECT_MS = 10_000;

export interface Sink {
  /** For ffmpeg's command line. */
  readonly target: string;
  /** Call it when ffmpeg has ended well. Settles when the consumer has read everything, or has failed. */
  drained(): Promise<void>;
  close(): Promise<void>;
}

/** `consume` gets what is written, once. When it throws, the writer is cut off and `onFailure` is told. */
export async function openSink(
  folder: string,
  name: string,
  consume: (bytes: AsyncIterable<Uint8Array>) => Promise<void>,
  onFailure: (error: unknown) => void,
): Promise<Sink> {
  const path = join(folder, name);
  if (path.length > PATH_MAX) throw new Error(`The folder for temporary files has too long a name for sockets: ${folder}`);
  let consumer: Promise<void> | undefined;
  let connection: Socket | undefined;
  const server = createServer((socket) => {
    server.close();
    connection = socket;
    consumer = consume(socket).catch((error: unknown) => {
      socket.destroy();
      onFailure(error);
    });
  });
  server.maxConnections = 1;
  await listen(server, path);
  return {
    target: `unix:${path}`,
    async drained() {
      // ffmpeg connects to all of its outputs before it reads anything, but its end may be heard first.
      if (!consumer) await once(server, "connection", { signal: AbortSignal.timeout(CONNECT_MS) });
      await consumer;
    },
    async close() {
      server.close();
      connection?.destroy();
      await consumer;
    },
  };
}

async function listen(server: Server, path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(path, () => resolve());
  });
}
