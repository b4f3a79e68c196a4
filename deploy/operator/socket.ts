/**
 * How `npm run repl` reaches the process of `npm start`, which has no bus: a socket in its data folder, that only its own user may open. A line in, and as the
 * answer one line of JSON out; before it one for each that a command goes on to say.
 */
import { once } from "node:events";
import { chmod, rm } from "node:fs/promises";
import { createConnection, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Through } from "./command.ts";
import { evaluate, type Evaluation } from "./evaluate.ts";

/** What sockaddr_un holds, less its end. */
const PATH_BYTES_MAX = 107;
/** Who does not read what he asked to be told is hung up on: all that waits for him is kept here. */
const UNREAD_BYTES_MAX = 1024 * 1024;

function pathIn(dataDir: string): string {
  return join(dataDir, "operator.sock");
}

/** Listens until it is stopped. Undefined where the path of the folder is too long for a socket. */
export async function openSocket(dataDir: string, through: Through): Promise<{ stop(): Promise<void> } | undefined> {
  const path = pathIn(dataDir);
  if (Buffer.byteLength(path) > PATH_BYTES_MAX) return undefined;
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket)).on("error", () => undefined);
    // Whoever hangs up in the middle of an answer is gone, and that is all.
    serve(socket, through).catch(() => undefined);
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

async function serve(socket: Socket, through: Through): Promise<void> {
  const gone = new AbortController();
  socket.once("close", () => gone.abort());
  const write = (answer: Evaluation | Said): void => {
    if (socket.writable) socket.write(`${JSON.stringify(answer)}\n`);
  };
  const say = (said: string): void => {
    write({ said });
    if (socket.writableLength > UNREAD_BYTES_MAX) socket.destroy();
  };
  for await (const line of createInterface({ input: socket })) write(await evaluate(through, line, { say, signal: gone.signal }));
  socket.end();
}

interface Said {
  readonly said: string;
}

interface Joined {
  readonly evaluate: (line: string, say?: (said: string) => void) => Promise<Evaluation>;
  readonly close: () => void;
}

/** The other end: evaluates lines there, one after the other. Throws when nobody listens. */
export async function joinSocket(dataDir: string): Promise<Joined> {
  const socket = createConnection(pathIn(dataDir));
  await once(socket, "connect");
  const reader = createInterface({ input: socket });
  const lines = reader[Symbol.asyncIterator]();
  return {
    evaluate: async (line, say) => {
      socket.write(`${line}\n`);
      for (;;) {
        const { value, done } = await lines.next();
        if (done) throw new Error("TritonTube has ended.");
        const answer = JSON.parse(value) as Evaluation | Said;
        if (!("said" in answer)) return answer;
        say?.(answer.said);
      }
    },
    close() {
      reader.close();
      socket.destroy();
    },
  };
}
