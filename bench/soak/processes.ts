/** The processes of the soak, each of which can be killed and started again. */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, open, rm } from "node:fs/promises";
import { connect, createServer, type AddressInfo, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { childEnvironment } from "../../config/index.ts";
import { startPostgres, type EmbeddedPostgres } from "../../deploy/local/postgres.ts";
import type { Answer, Question } from "./node.ts";

const NODE = join(import.meta.dirname, "node.ts");

export class SoakNode {
  readonly #settings: Readonly<Record<string, string>>;
  readonly #logFile: string;
  #child: ChildProcess | undefined;
  #asked = 0;
  readonly #waiting = new Map<number, (answer: Answer) => void>();

  constructor(settings: Readonly<Record<string, string>>, logFile: string) {
    this.#settings = settings;
    this.#logFile = logFile;
  }

  get up(): boolean {
    return this.#child !== undefined;
  }

  async start(): Promise<void> {
    const log = await open(this.#logFile, "a");
    const child = fork(NODE, {
      env: childEnvironment(this.#settings),
      stdio: ["ignore", log.fd, log.fd, "ipc"],
      serialization: "advanced",
    });
    await log.close();
    const ready = Promise.withResolvers<void>();
    child.on("message", (answer: Answer) => (answer.id === 0 ? ready.resolve() : this.#settle(answer)));
    child.once("exit", (code, signal) => {
      ready.reject(new Error(`a node ended with ${signal ?? code}: see ${this.#logFile}`));
      this.#child = undefined;
      for (const id of this.#waiting.keys()) this.#settle({ id, error: "NODE_GONE" });
    });
    await ready.promise;
    this.#child = child;
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (!child) return;
    this.#child = undefined;
    const exit = once(child, "exit");
    child.kill("SIGKILL");
    await exit;
  }

  /** Rejects with the type of the error, or NODE_GONE. */
  async ask<R>(question: Question): Promise<R> {
    const id = (this.#asked += 1);
    const { promise, resolve } = Promise.withResolvers<Answer>();
    this.#waiting.set(id, resolve);
    if (!this.#child?.send({ id, question })) this.#settle({ id, error: "NODE_GONE" });
    const { result, error } = await promise;
    if (error !== undefined) throw new Error(error);
    return result as R;
  }

  #settle(answer: Answer): void {
    this.#waiting.get(answer.id)?.(answer);
    this.#waiting.delete(answer.id);
  }
}

/** A PostgreSQL at an address that stays the same over its restarts. */
export class SoakDatabase {
  readonly #folder: string;
  readonly #door: Server;
  #running: EmbeddedPostgres;

  private constructor(folder: string, running: EmbeddedPostgres) {
    this.#folder = folder;
    this.#running = running;
    this.#door = createServer((near) => {
      const far = connect(Number(new URL(this.#running.url).port), "127.0.0.1");
      near.pipe(far).pipe(near);
      near.on("error", () => far.destroy());
      far.on("error", () => near.destroy());
      near.on("close", () => far.destroy());
      far.on("close", () => near.destroy());
    });
  }

  static async start(): Promise<SoakDatabase> {
    const folder = await mkdtemp(join(tmpdir(), "tritontube-soak-"));
    await chmod(folder, 0o755);
    const database = new SoakDatabase(folder, await startPostgres({ dataDir: folder, log: () => {} }));
    database.#door.listen(0, "127.0.0.1");
    await once(database.#door, "listening");
    return database;
  }

  get url(): string {
    return Object.assign(new URL(this.#running.url), { port: String((this.#door.address() as AddressInfo).port) }).href;
  }

  /** Kills the server with everything that it was doing, and starts it again. */
  async crash(): Promise<void> {
    process.kill(this.#running.pid, "SIGKILL");
    this.#running = await startPostgres({ dataDir: this.#folder, log: () => {} });
  }

  async stop(): Promise<void> {
    this.#door.close();
    await this.#running.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
