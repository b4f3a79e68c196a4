/**
 * How `npm run repl` reaches the process of `npm start`, which has no bus: a socket in its data folder, that only its own user may open. A line in, and as the
 * answer one line of JSON out.
 */
import { once } from "node:events";
import { chmod, rm } from "node:fs/promises";
import { createConnection, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Caller } from "../../services/kernel/rpc.ts";
import { evaluate, type Evaluation } from "./evaluate.ts";

/** What sockaddr_un holds, less its end. */
const PATH_BYTES_MAX = 107;

function pathIn(dataDir: string): string {
  return join(dataDir, "operator.sock");
}

/** Listens until it is stopped. Undefined where the path of the folder is too long for a socket. */
export async function openSocket(dataDir: string, caller: Caller): Promise<{ stop(): Promise<void> } | undefined> {
  const path = pathIn(dataDir);
  if (Buffer.byteLength(path) > PATH_BYTES_MAX) return undefined;
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket)).on("error", () => undefined);
    void serve(socket, caller);
  });
  // A process that was killed leaves its socket behind.
  await rm(path, { force: true });
  server.listen(path);
  await once(server, "listening");
  await chmod(path, 0o600);
  return {
    async stop() {
      const closed = once(server, "close");
      server.close();
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}

async function serve(socket: Socket, caller: Caller): Promise<void> {
  for await (const line of createInterface({ input: socket })) {
    const answer = JSON.stringify(await evaluate(caller, line));
    if (!socket.writable) return;
    socket.write(`${answer}\n`);
  }
  socket.end();
}

/** The other end: evaluates lines there, one after the other. Throws when nobody listens. */
export async function joinSocket(dataDir: string): Promise<{ evaluate: (line: string) => Promise<Evaluation>; close: () => void }> {
  const socket = createConnection(pathIn(dataDir));
  await once(socket, "connect");
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  return {
    evaluate: async (line) => {
      socket.write(`${line}\n`);
      const { value, done } = await lines.next();
      if (done) throw new Error("TritonTube has ended.");
      return JSON.parse(value) as Evaluation;
    },
    close: () => void socket.destroy(),
  };
}
