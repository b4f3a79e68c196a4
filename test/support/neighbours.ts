/** Programs that tests use and that a machine may not have: how to find each, and the command that installs it. */
import { accessSync, constants } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, join } from "node:path";

interface Neighbour {
  /** The setting that names it, before anything on PATH. */
  readonly variable: string;
  readonly commands: readonly string[];
  /** The npm package that carries it where the machine has none; its `path` is the program. */
  readonly carriedBy?: string;
  readonly install: string;
}

const apt = (packageName: string) => `apt-get install -y --no-install-recommends ${packageName}`;

export const neighbours = {
  ffmpeg: { variable: "FFMPEG_PATH", commands: ["ffmpeg"], carriedBy: "@ffmpeg-installer/ffmpeg", install: apt("ffmpeg") },
  ffprobe: { variable: "FFPROBE_PATH", commands: ["ffprobe"], carriedBy: "@ffprobe-installer/ffprobe", install: apt("ffmpeg") },
  chromium: { variable: "CHROMIUM_PATH", commands: ["chromium", "chromium-browser", "google-chrome"], install: apt("chromium") },
  nginx: { variable: "NGINX_PATH", commands: ["nginx"], install: apt("nginx-light") },
  openssl: { variable: "OPENSSL_PATH", commands: ["openssl"], install: apt("openssl") },
  "nats-server": { variable: "NATS_SERVER_PATH", commands: ["nats-server"], install: apt("nats-server") },
  moto: { variable: "MOTO_PATH", commands: ["moto_server"], install: "sh test/support/install-moto.sh" },
} as const satisfies Record<string, Neighbour>;
export type NeighbourName = keyof typeof neighbours;

/** Debian keeps servers where only root's PATH looks. */
const SYSTEM_FOLDERS = ["/usr/sbin", "/usr/local/sbin", "/sbin"];

/** The program's path, or undefined when this machine has none. */
function find(name: NeighbourName): string | undefined {
  const { variable, commands, carriedBy }: Neighbour = neighbours[name];
  const given = process.env[variable];
  if (given) return given;
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), ...SYSTEM_FOLDERS];
  const candidates = commands.flatMap((command) => folders.map((folder) => join(folder, command)));
  return candidates.find(isExecutable) ?? (carriedBy ? carried(carriedBy) : undefined);
}

/** The program's path. Throws with the command that installs it when this machine has none. */
export function needs(name: NeighbourName): string {
  const path = find(name);
  if (path === undefined) throw new Error(`${name} is not on this machine; install it with: ${neighbours[name].install}`);
  return path;
}

/**
 * `describe` for tests that use neighbours: without one of them they are skipped under a title that says what is missing, and the run's last
 * lines say it again. With CI=true nothing is skipped but what WITHOUT names: the file fails.
 */
export function describeWith(names: NeighbourName | readonly NeighbourName[], title: string, body: () => void): void {
  const missing = [names].flat().find((name) => find(name) === undefined);
  if (missing === undefined) {
    describe(title, body);
  } else if (process.env["CI"] === "true" && process.env["WITHOUT"] !== missing) {
    needs(missing);
  } else {
    describe.skip(`${title} [needs ${missing}: ${neighbours[missing].install}]`, body);
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function carried(packageName: string): string | undefined {
  try {
    return (createRequire(import.meta.url)(packageName) as { path: string }).path;
  } catch {
    return undefined;
  }
}
