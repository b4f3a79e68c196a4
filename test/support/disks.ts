/** Real disks for a test: processes of their own, in temporary folders, on free ports, with a secret of their own. */
import { type ChildProcess, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, open, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { childEnvironment } from "../../config/index.ts";
import { DiskClient } from "../../mixins/disks/client.ts";

const MAIN = resolve(import.meta.dirname, "../../services/disk/main.ts");
/** The same, on files that fail. */
const FAILING_MAIN = resolve(import.meta.dirname, "failing-disk.ts");
const FAILING = ["FAILPOINT", "WITHOUT", "MISTAKES"];
const START_MS = 60_000;
const LOG_CHARS_MAX = 65_536;
const ENDING: ReadonlySet<string> = new Set(["SIGKILL", "SIGTERM", "SIGINT"]);

interface DiskOptions {
  readonly dir: string;
  readonly secret: string;
  /** Further settings, e.g. ZONE or DISK_RESERVE_BYTES; with those of test/support/failing-disk.ts it runs on files that fail. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface TestDisk {
  readonly id: string;
  /** host:port; the same after a restart. */
  readonly address: string;
  readonly dir: string;
  readonly pid: number;
  /** Everything that it has written to its log. */
  readonly log: string;
  /** SIGKILL by default. Waits for the end of the process when the signal ends it; answers its exit code or signal. */
  kill(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals | null>;
  /** The exit code or signal with which the process ends by itself. */
  readonly ended: Promise<number | NodeJS.Signals | null>;
  /** Ends the process if it runs, and starts one for the same folder at the same address, which fails no more. */
  restart(settings?: Readonly<Record<string, string>>): Promise<void>;
}

export interface TestDisks {
  readonly disks: readonly TestDisk[];
  readonly secret: string;
  /** Ends them and removes their folders. */
  stop(): Promise<void>;
}

/** `zones` gives each disk its zone, in turn; default: all in "default". */
export async function startDisks(
  count: number,
  { zones = ["default"], settings = {} }: { zones?: readonly string[]; settings?: Readonly<Record<string, string>> } = {},
): Promise<TestDisks> {
  const root = await mkdtemp(join(tmpdir(), "tritontube-disks-"));
  const secret = randomBytes(16).toString("hex");
  const disks = await Promise.all(
    Array.from({ length: count }, (_, index) =>
      startDisk({
        dir: join(root, `disk-${index + 1}`),
        secret,
        settings: { ZONE: zones[index % zones.length] ?? "default", ...settings },
      }),
    ),
  );
  return {
    disks,
    secret,
    async stop() {
      await Promise.all(disks.map((disk) => disk.kill()));
      await rm(root, { recursive: true, force: true });
    },
  };
}

/** One disk in a folder of your own. */
export async function startDisk({ dir, secret, settings = {} }: DiskOptions): Promise<TestDisk> {
  const environment: Record<string, string> = { DISK_DIR: dir, DISK_SECRET: secret, DISK_PORT: "0", DISK_RESERVE_BYTES: "0", ...settings };
  let running = await launch(environment);
  return {
    dir,
    get id() {
      return running.id;
    },
    get address() {
      return running.address;
    },
    get pid() {
      return running.process.pid ?? 0;
    },
    get log() {
      return running.log();
    },
    kill: (signal = "SIGKILL") => kill(running.process, signal),
    get ended() {
      return endOf(running.process);
    },
    async restart(more = {}) {
      await kill(running.process, "SIGKILL");
      const { FAILPOINT: _failpoint, WITHOUT: _without, MISTAKES: _mistakes, ...lasting } = environment;
      running = await launch({ ...lasting, DISK_PORT: running.address.split(":")[1] ?? "0", ...more });
    },
  };
}

interface Launched {
  readonly process: ChildProcess;
  readonly address: string;
  readonly id: string;
  log(): string;
}

async function launch(settings: Record<string, string>): Promise<Launched> {
  const main = FAILING.some((name) => name in settings) ? FAILING_MAIN : MAIN;
  const child = spawn(process.execPath, [main, "--exit-with-parent"], {
    env: childEnvironment({ ...settings, UV_THREADPOOL_SIZE: "16" }),
  });
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (log = (log + text).slice(-LOG_CHARS_MAX)));
  const died = once(child, "exit").then(([code]) => {
    throw new Error(`The disk ended with ${code}:\n${log}`);
  });
  const listening = once(createInterface(child.stdout), "line", { signal: AbortSignal.timeout(START_MS) });
  const [line] = await Promise.race([listening, died]);
  const { address, id } = JSON.parse(line as string) as { address: string; id: string };
  return { process: child, address, id, log: () => log };
}

async function kill(child: ChildProcess, signal: NodeJS.Signals): Promise<number | NodeJS.Signals | null> {
  if (child.exitCode === null && child.signalCode === null) {
    const exit = once(child, "exit");
    child.kill(signal);
    if (!ENDING.has(signal)) return null;
    await exit;
  }
  return child.exitCode ?? child.signalCode;
}

async function endOf(child: ChildProcess): Promise<number | NodeJS.Signals | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return child.exitCode ?? child.signalCode;
}

/** A chunk that no other test has. */
export function randomChunk(size: number): { hash: string; bytes: Buffer } {
  const bytes = randomBytes(size);
  return { bytes, hash: createHash("sha256").update(bytes).digest("hex") };
}

/** Where the file of a chunk lies on a disk. */
export function chunkFile(disk: TestDisk, hash: string): string {
  return join(disk.dir, "chunks", hash.slice(0, 2), hash.slice(2, 4), hash);
}

/** Names of all files in one of the folders of a disk, e.g. "tmp" or "chunks". */
export async function filesIn(disk: TestDisk, folder: string): Promise<string[]> {
  const entries = await readdir(join(disk.dir, folder), { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
}

/** Chunks on their way in. What else is replaced as a whole (the epoch, how far the scrub is) is written in the same folder for a moment, and does not count. */
export async function draftsIn(disk: TestDisk): Promise<string[]> {
  return (await filesIn(disk, "tmp")).filter((name) => /^[0-9a-f]{64}\./.test(name));
}

/** A new disk reads at once what it has: it would find what a test damages before anybody asks for it. */
export async function stopScrub({ address }: TestDisk, secret: string): Promise<void> {
  const client = new DiskClient({ address, secret });
  await client.scrubDisk({ paused: true });
  client.close();
}

/** Changes one bit of a file, as a medium that rots does. */
export async function flipByte(path: string, position: number): Promise<void> {
  const file = await open(path, "r+");
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, position);
  byte[0]! ^= 1;
  await file.write(byte, 0, 1, position);
  await file.close();
}
