/** The real thing, started as a user would: `deploy/local/start.ts` in a process of its own, on a free port. */
import { spawn, type ChildProcess } from "node:child_process";
import { chmod, mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "./eventually.ts";

/** First start: initdb, three disks, migrations; slow machines under load. */
const START_MS = 60_000;

export interface TritonTube {
  /** http://127.0.0.1:port; of a node without a gateway its name. */
  readonly url: string;
  readonly pid: number;
  readonly dataDir: string;
  /** Everything it has written so far. */
  readonly output: () => string;
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>;
  /** SIGKILL to the whole process group, as a power cut would. */
  kill(): Promise<void>;
}

interface Options {
  readonly dataDir?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Of deploy/local; `start.ts` when not given. */
  readonly launcher?: string;
  /** Its arguments. */
  readonly wishes?: readonly string[];
}

export async function startTritonTube(options: Options = {}): Promise<TritonTube> {
  const dataDir = options.dataDir ?? (await temporaryFolder("tritontube-"));
  const launcher = join(import.meta.dirname, "../../deploy/local", options.launcher ?? "start.ts");
  const child = spawn(process.execPath, [launcher, ...(options.wishes ?? [])], {
    env: { ...process.env, NODE_OPTIONS: "", DATA_DIR: dataDir, PORT: "0", LOG_LEVEL: "info", DISK_RESERVE_BYTES: "0", ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data: Buffer) => (output += data.toString()));
  const url = await eventually(
    () => {
      if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}:\n${output.slice(-4000)}`);
      return /ready: (?:open )?(http:\/\/[^/]+(?=\/)|\S+ (?=\())/.exec(output)?.[1];
    },
    { timeoutMs: START_MS, what: "the start of TritonTube" },
  ).catch((error: unknown) => {
    endGroup(child);
    throw new Error(`${String(error)}\n${output.slice(-4000)}`);
  });
  return {
    url,
    pid: child.pid ?? 0,
    dataDir,
    output: () => output,
    async stop() {
      child.kill("SIGTERM");
      await exited(child);
      return child.exitCode;
    },
    async kill() {
      endGroup(child);
      await exited(child);
    },
  };
}

function endGroup(child: ChildProcess): void {
  if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) process.kill(-child.pid, "SIGKILL");
}

async function exited(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await new Promise((resolve) => child.once("exit", resolve));
}

export async function temporaryFolder(prefix: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), prefix));
  // The database runs as another user when root runs the tests: into a folder that is closed to that user it would not go (findHome).
  await chmod(folder, 0o755);
  return folder;
}

export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
}

/** The processes that `parent` started and that still run, with their command lines. */
export async function childrenOf(parent: number): Promise<{ pid: number; command: string }[]> {
  const ids = (await readdir("/proc")).filter((name) => /^[0-9]+$/.test(name));
  const found = await Promise.all(ids.map(async (id) => ({ pid: Number(id), parent: await parentOf(id), command: await commandOf(id) })));
  return found.filter((process) => process.parent === parent).map(({ pid, command }) => ({ pid, command }));
}

/** Field 4 of /proc/PID/stat; the second field is a name in brackets that may hold spaces (proc(5)). A zombie counts as gone. */
async function parentOf(id: string): Promise<number | undefined> {
  const stat = await readFile(`/proc/${id}/stat`, "utf8").catch(() => "");
  const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return state === "Z" ? undefined : Number(parent);
}

async function commandOf(id: string): Promise<string> {
  return (await readFile(`/proc/${id}/cmdline`, "utf8").catch(() => "")).replaceAll("\0", " ").trim();
}

/** Whether a process still runs. */
export async function isAlive(pid: number): Promise<boolean> {
  return (await parentOf(String(pid))) !== undefined && (await commandOf(String(pid))) !== "";
}
