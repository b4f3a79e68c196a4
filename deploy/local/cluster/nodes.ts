/** Broker nodes as programs of this machine: which services go together, and how such a process is started. */
import { join } from "node:path";
import type { Environment } from "../../../config/index.ts";
import type { Program } from "../supervise.ts";

/** The services of a process, and whether they reach the database: whoever does not is not given its password. */
export const profiles = {
  /** What is decided: videos, their work, users, blobs. */
  videos: { services: ["videos", "jobs", "uploads", "users", "limits", "blobs"], database: true },
  /** Where bytes are to lie, and that they do. */
  ring: { services: ["ring", "upkeep", "storage", "figures"], database: true },
  gateway: { services: ["gateway", "storage"], database: false },
  transcoder: { services: ["transcoder", "storage"], database: false },
} as const;
export type Profile = keyof typeof profiles;

/** What runs has 8 s to end (moleculer.config.ts), and then connections are closed. */
const STOP_MS = 12_000;

export interface NodeOptions {
  /** Of the cluster: unlike any other's. */
  readonly id: string;
  readonly profile: Profile;
  /** Everything that it is told, but what follows from its profile. */
  readonly environment: Environment;
}

export function nodeProgram({ id, profile, environment }: NodeOptions): Program {
  const { services, database } = profiles[profile];
  const { DATABASE_URL, DATABASE_OWNER_URL, ...common } = environment;
  return {
    name: id,
    command: (port) => ({
      file: process.execPath,
      args: [join(import.meta.dirname, "../start.ts"), "--exit-with-parent"],
      environment: {
        ...common,
        ...(database ? { DATABASE_URL, DATABASE_OWNER_URL } : {}),
        ...(port === 0 ? {} : { PORT: String(port) }),
        NODE_ID: id,
        SERVICES: services.join(","),
      },
    }),
    says: "stdout",
    // A gateway is reached by its URL, and all others by their names.
    address: (line) => /ready: (?:open )?(\S+)/.exec(line)?.[1],
    ends: "SIGTERM",
    stopMs: STOP_MS,
  };
}
