/** Runs disks as child processes: starts them, starts them again when they die, and stops them. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";
import { childEnvironment } from "../../config/index.ts";

/** A disk sweeps its temporary folder and counts its chunks before it listens: seconds for millions. */
const START_MS = 30_000;
/** A disk ends its running calls within 3 s of SIGTERM; what is still there after this is stuck. */
const STOP_MS = 5000;
/** A disk that dies at once is started again after 0.2 s, 0.4 s, … at most 10 s. */
const RESTART_MS = { first: 200, most: 10_000 };

export interface DiskOptions {
  readonly dir: string;
  readonly zone: string;
  readonly secret: string;
  readonly logLevel: string;
  /** Told what an operator should know, a sentence each. */
  readonly log: (message: string) => void;
}

export interface SupervisedDisk {
  /** host:port; the same after every restart. */
  readonly address: string;
  stop(): Promise<void>;
}

/** Starts the disk whose folder is `dir`. Rejects with its last words when it does not come up. */
export async function superviseDisk(options: DiskOptions): Promise<SupervisedDisk> {
  await mkdir(options.dir, { recursive: true });
  const stopping = new AbortController();
  const first = await startDisk(options, 0);
  let running = first.child;
  const port = Number(first.address.slice(first.address.lastIndexOf(":") + 1));

  const keepRunning = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      await exited(running);
      if (stopping.signal.aborted) return;
      options.log(`the disk ${options.dir} has ended; it is started again`);
      running = await startAgain(options, port, stopping.signal);
    }
  };
  const supervision = keepRunning().catch((error: unknown) => {
    if (!stopping.signal.aborted) options.log(String(error));
  });

  return {
    address: first.address,
    async stop() {
      stopping.abort();
      await endChild(running);
      await supervision;
    },
  };
}

async function startAgain(options: DiskOptions, port: number, signal: AbortSignal): Promise<ChildProcess> {
  for (let waitMs = RESTART_MS.first; ; waitMs = Math.min(waitMs * 2, RESTART_MS.most)) {
    await setTimeout(waitMs, undefined, { signal });
    try {
      return (await startDisk(options, port)).child;
    } catch (error) {
      options.log(String(error));
    }
  }
}

interface StartedDisk {
  readonly child: ChildProcess;
  readonly address: string;
}

async function startDisk({ dir, zone, secret, logLevel }: DiskOptions, port: number): Promise<StartedDisk> {
  const child = spawn(process.execPath, [join(import.meta.dirname, "../../services/disk/main.ts"), "--exit-with-parent"], {
    env: childEnvironment({
      DISK_DIR: dir,
      DISK_HOST: "127.0.0.1",
      DISK_PORT: String(port),
      DISK_SECRET: secret,
      ZONE: zone,
      LOG_LEVEL: logLevel,
      // fsync blocks a thread of libuv's pool; four of them would queue behind each other.
      UV_THREADPOOL_SIZE: "16",
    }),
    // The pipe's end tells the disk that we are gone, however we went. Detached: ctrl-C must not stop disks before the services that use them.
    stdio: ["pipe", "pipe", "inherit"],
    detached: true,
  });
  child.stdin?.on("error", () => {});
  try {
    return { child, address: await listeningAddress(child, dir) };
  } catch (error) {
    await endChild(child);
    throw error;
  }
}

/** The disk says on its standard output where it listens. */
async function listeningAddress(child: ChildProcess, dir: string): Promise<string> {
  const signal = AbortSignal.timeout(START_MS);
  const gone = new Promise<never>((_, reject) => {
    child.once("error", (error) => reject(new Error(`the disk ${dir} could not be started: ${error.message}`)));
    child.once("exit", (code, by) =>
      reject(new Error(`the disk ${dir} ended at its start (${by ?? `exit code ${code}`}); its log says why`)),
    );
    signal.addEventListener("abort", () => reject(new Error(`the disk ${dir} did not come up within ${START_MS / 1000} s`)));
  });
  return await Promise.race([firstAddress(child), gone]);
}

async function firstAddress(child: ChildProcess): Promise<string> {
  if (!child.stdout) throw new Error("the disk has no standard output");
  const lines = createInterface({ input: child.stdout });
  return await new Promise((resolve) => {
    lines.on("line", (line) => {
      const said = parseLine(line);
      if (said?.event === "disk.listening" && typeof said.address === "string") resolve(said.address);
    });
  });
}

function parseLine(line: string): { event?: unknown; address?: unknown } | undefined {
  try {
    return JSON.parse(line) as { event?: unknown; address?: unknown };
  } catch {
    return undefined;
  }
}

async function exited(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
}

async function endChild(child: ChildProcess): Promise<void> {
  if (child.pid === undefined) return;
  child.kill("SIGTERM");
  const stuck = new AbortController();
  const patience = setTimeout(STOP_MS, undefined, { signal: stuck.signal }).then(
    () => child.kill("SIGKILL"),
    () => false,
  );
  await exited(child);
  stuck.abort();
  await patience;
}
