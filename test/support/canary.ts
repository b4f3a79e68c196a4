/** A file and an address that nobody may ever open: what attackers name in what they send. */
import { execFile } from "node:child_process";
import { closeSync, constants, openSync } from "node:fs";
import { createServer, type AddressInfo, type Server } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";

/** A word that is in the name of both, and in nothing else. */
export const MARK = "tritontubecanary";
const WATCH_MS = 50;

export class Canary {
  /** A pipe: who opens it for reading waits for a writer, and so is there when somebody looks. */
  readonly file: string;
  readonly port: number;
  /** http://127.0.0.1:port */
  readonly address: string;
  /** How often somebody has connected. */
  visits = 0;
  /** How often somebody was seen with the file open. */
  opened = 0;
  readonly #server: Server;
  readonly #timer: NodeJS.Timeout;

  private constructor(file: string, server: Server) {
    this.file = file;
    this.port = (server.address() as AddressInfo).port;
    this.address = `http://127.0.0.1:${this.port}`;
    this.#server = server.on("connection", (socket) => {
      this.visits += 1;
      socket.on("error", () => {}).destroy();
    });
    this.#timer = setInterval(() => this.#look(), WATCH_MS);
  }

  static async start(folder: string): Promise<Canary> {
    const file = join(folder, `${MARK}.ts`);
    await promisify(execFile)("mkfifo", [file]);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new Canary(file, server);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#server.close();
  }

  /** A pipe can be opened for writing, without waiting, only when somebody has it open for reading. */
  #look(): void {
    try {
      closeSync(openSync(this.file, constants.O_WRONLY | constants.O_NONBLOCK));
      this.opened += 1;
    } catch {
      // Nobody reads.
    }
  }
}
