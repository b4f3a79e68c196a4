/** Runs programs as child processes: starts them, starts them again when they die, and stops them. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { childEnvironment, type Environment } from "../../config/index.ts";

/** The longest start: a disk counts millions of chunks, a node waits for the database and for its neighbours. */
const START_MS = 60_000;
/** A program that dies at once is started again after 0.2 s, 0.4 s, … at most 10 s. */
const RESTART_MS = { first: 200, most: 10_000 };

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  /** Of the secrets in our own environment it gets only those that are named here. */
  readonly environment: Environment;
}

export interface Program {
  /** As messages name it: "the disk data/disk1". */
  readonly name: string;
  /** How it is started. Port 0 at its first start lets it choose; afterwards it is given the one that it took. */
  readonly command: (port: number) => Command;
  /** Where it says that it is there: a line out of which `address` gets what it is reached by. */
  readonly says: "stdout" | "stderr";
  readonly address: (line: string) => string | undefined;
  /** How it is asked to end: by a signal, or by the end of its standard input. */
  readonly ends: "SIGTERM" | "input";
  /** Within which it ends when it is asked to, ms; what is still there after this is stuck, and killed. */
  readonly stopMs: number;
}

export interface Supervised {
  readonly name: string;
  /** What it was reached by when it started first; a port stays the same after every restart. */
  readonly address: string;
  /** Of its process group, too; 0 while there is none. */
  readonly pid: number;
  /** Asks it to end; nobody starts it again. */
  stop(): Promise<void>;
  /** Ends it at once, and keeps it down until `resume`: a program with its process group, as a power cut would; a database as it is stopped. */
  halt(): Promise<void>;
  /** Starts it again where it was, after `halt`. */
  resume(): Promise<void>;
}

interface Options {
  /** Told what an operator should know, a sentence each. */
  readonly log: (message: string) => void;
  /** A file descriptor for what it writes to its log; ours when not given. */
  readonly output?: number | undefined;
}

/** Starts a program, and keeps it running. Rejects when its first start fails. */
export async function supervise(program: Program, options: Options): Promise<Supervised> {
  const supervisor = new Supervisor(program, options);
  await supervisor.resume();
  return supervisor;
}

class Supervisor implements Supervised {
  readonly #program: Program;
  readonly #options: Options;
  #child: ChildProcess | undefined;
  #address = "";
  /** Aborted while it is to be down. */
  #down = new AbortController();
  #watch: Promise<void> = Promise.resolve();

  constructor(program: Program, options: Options) {
    this.#program = program;
    this.#options = options;
  }

  get name(): string {
    return this.#program.name;
  }

  get address(): string {
    return this.#address;
  }

  get pid(): number {
    const child = this.#child;
    return child && isRunning(child) ? (child.pid ?? 0) : 0;
  }

  async resume(): Promise<void> {
    this.#down = new AbortController();
    await this.#start();
    this.#watch = this.#keepRunning(this.#down.signal);
  }

  async stop(): Promise<void> {
    await this.#end(async (child) => await end(child, this.#program));
  }

  async halt(): Promise<void> {
    await this.#end(killGroup);
  }

  /** What is just being started again is ended, too. */
  async #end(how: (child: ChildProcess) => Promise<void>): Promise<void> {
    this.#down.abort();
    if (this.#child) await how(this.#child);
    await this.#watch;
    if (this.#child) await how(this.#child);
  }

  async #keepRunning(down: AbortSignal): Promise<void> {
    while (!down.aborted) {
      if (this.#child) await exited(this.#child);
      if (down.aborted) return;
      this.#options.log(`${this.name} has ended; it is started again`);
      await this.#startAgain(down);
    }
  }

  async #startAgain(down: AbortSignal): Promise<void> {
    for (let waitMs = RESTART_MS.first; !down.aborted; waitMs = Math.min(waitMs * 2, RESTART_MS.most)) {
      await sleep(waitMs, undefined, { signal: down }).catch(() => undefined);
      if (down.aborted) return;
      const problem = await this.#start().then(() => undefined, String);
      if (problem === undefined) return;
      if (!down.aborted) this.#options.log(problem);
    }
  }

  async #start(): Promise<void> {
    const { file, args, environment } = this.#program.command(Number(/:([0-9]+)\/?$/.exec(this.#address)?.[1] ?? 0));
    const { output = "inherit" } = this.#options;
    const child = spawn(file, [...args], {
      env: childEnvironment(environment),
      // The pipe's end tells the program that we are gone, however we went. Detached: ctrl-C must not stop what others still use.
      stdio: ["pipe", "pipe", this.#program.says === "stderr" ? "pipe" : output],
      detached: true,
    });
    child.stdin?.on("error", () => {});
    this.#child = child;
    try {
      this.#address = await addressOf(child, this.#program);
    } catch (error) {
      await end(child, this.#program);
      throw error;
    }
  }
}

/** What the program says; rejects when it ends instead, or says nothing. */
async function addressOf(child: ChildProcess, { name, says, address }: Program): Promise<string> {
  const input = child[says];
  if (!input) throw new Error(`${name} has no ${says}`);
  const last: string[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const late = setTimeout(() => reject(new Error(`${name} did not come up within ${START_MS / 1000} s`)), START_MS);
  child.once("error", (error) => reject(new Error(`${name} could not be started: ${error.message}`)));
  child.once("close", (code, signal) => {
    const words = last.length === 0 ? "; its log says why" : `:\n${last.join("\n")}`;
    reject(new Error(`${name} ended at its start (${signal ?? `exit code ${code}`})${words}`));
  });
  // It goes on to be read: a pipe that nobody empties would stop the program.
  createInterface({ input }).on("line", (line) => {
    last.splice(0, Math.max(0, last.length - LINES_KEPT));
    last.push(line);
    const found = address(line);
    if (found !== undefined) resolve(found);
  });
  return await promise.finally(() => clearTimeout(late));
}

/** Of what a program says before it ends. */
const LINES_KEPT = 4;

function isRunning(child: ChildProcess): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null;
}

async function exited(child: ChildProcess): Promise<void> {
  if (isRunning(child)) await once(child, "exit");
}

async function end(child: ChildProcess, { ends, stopMs }: Program): Promise<void> {
  if (!isRunning(child)) return;
  const gone = exited(child);
  const patience = setTimeout(() => void killGroup(child), stopMs);
  if (ends === "input") child.stdin?.end();
  else child.kill(ends);
  await gone;
  clearTimeout(patience);
}

async function killGroup(child: ChildProcess): Promise<void> {
  if (!isRunning(child)) return;
  const gone = exited(child);
  process.kill(-child.pid!, "SIGKILL");
  await gone;
}
