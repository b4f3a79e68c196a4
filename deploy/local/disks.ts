/** A disk as a program of this machine. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { supervise, type Program, type Supervised } from "./supervise.ts";

/** A disk ends its running calls within 3 s of SIGTERM; what is still there after this is stuck. */
const STOP_MS = 5000;

export interface DiskOptions {
  readonly dir: string;
  readonly zone: string;
  readonly secret: string;
  readonly logLevel: string;
  /** Told what an operator should know, a sentence each. */
  readonly log: (message: string) => void;
  /** As `supervise` takes it. */
  readonly output?: number | undefined;
}

/** Starts the disk whose folder is `dir`, and keeps it running. Rejects with its last words when it does not come up. */
export async function superviseDisk({ log, output, ...options }: DiskOptions): Promise<Supervised> {
  await mkdir(options.dir, { recursive: true });
  return await supervise(diskProgram(options), { log, output });
}

function diskProgram({ dir, zone, secret, logLevel }: Omit<DiskOptions, "log" | "output">): Program {
  return {
    name: `the disk ${dir}`,
    command: (port) => ({
      file: process.execPath,
      args: [join(import.meta.dirname, "../../services/disk/main.ts"), "--exit-with-parent"],
      environment: {
        DISK_DIR: dir,
        DISK_HOST: "127.0.0.1",
        DISK_PORT: String(port),
        DISK_SECRET: secret,
        ZONE: zone,
        LOG_LEVEL: logLevel,
        // fsync blocks a thread of libuv's pool; four of them would queue behind each other.
        UV_THREADPOOL_SIZE: "16",
      },
    }),
    says: "stdout",
    address: listeningAddress,
    ends: "SIGTERM",
    stopMs: STOP_MS,
  };
}

/** The disk says on its standard output where it listens. */
function listeningAddress(line: string): string | undefined {
  try {
    const { event, address } = JSON.parse(line) as { event?: unknown; address?: unknown };
    return event === "disk.listening" && typeof address === "string" ? address : undefined;
  } catch {
    return undefined;
  }
}
