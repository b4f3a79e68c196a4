/** The cluster of docker-compose.yml, under a project name of its own. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { promisify } from "node:util";
import { childEnvironment } from "../../config/index.ts";

const run = promisify(execFile);

export const ROOT = join(import.meta.dirname, "../..");
const FILES = ["--file", "docker-compose.yml", "--file", "test/compose/override.yml"];
/** The first build installs packages of Debian and of npm. */
const UP_MS = 15 * 60_000;
const OUTPUT_MAX = 16 * 1024 * 1024;
/** Ports that are free, whatever else runs on this machine. */
const SETTINGS = { HTTPS_PORT: "0", PROMETHEUS_PORT: "0", GRAFANA_PORT: "0", SITE_NAME: "localhost" };

/** Runs a program in the project's folder until it ends, and shows what it says. Throws when it fails. */
export async function shown(file: string, ...words: string[]): Promise<void> {
  const env = childEnvironment(SETTINGS);
  const child = spawn(file, words, { cwd: ROOT, stdio: ["ignore", "inherit", "inherit"], env, timeout: UP_MS });
  const [code] = (await once(child, "exit")) as [number | null];
  if (code !== 0) throw new Error(`${file} ${words.join(" ")} ended with ${code}.`);
}

export async function docker(...words: string[]): Promise<string> {
  const env = childEnvironment(SETTINGS);
  return (await run("docker", words, { cwd: ROOT, env, maxBuffer: OUTPUT_MAX })).stdout.trim();
}

export class Compose {
  readonly #project: string;

  constructor(project: string) {
    this.#project = project;
  }

  /** Builds, starts, and waits until everything is healthy. `scale`: how many of a service, where not as many as the file says. */
  async up(scale: Readonly<Record<string, number>> = {}): Promise<void> {
    const counts = Object.entries(scale).flatMap(([service, count]) => ["--scale", `${service}=${count}`]);
    await shown("docker", ...this.#words("--progress", "quiet", "up", "--build", "--wait", "--no-recreate", ...counts));
  }

  async down(): Promise<void> {
    await this.#compose("down", "--volumes", "--timeout", "5");
  }

  /** The containers of a service that run. */
  async containers(service: string): Promise<readonly string[]> {
    return (await this.#compose("ps", "--format", "{{.Name}}", service)).split("\n").filter((name) => name !== "");
  }

  /** host:port at which a port of a service can be reached from here. */
  async published(service: string, port: number): Promise<string> {
    return await this.#compose("port", service, String(port));
  }

  async inside(service: string, ...command: string[]): Promise<string> {
    return await this.#compose("exec", "--no-TTY", service, ...command);
  }

  /** Rows of the answer of the database, as text. */
  async queried(sql: string): Promise<readonly string[]> {
    const out = await this.inside(
      "database",
      "psql",
      "--username",
      "tritontube",
      "--tuples-only",
      "--no-align",
      "--command",
      sql,
      "tritontube",
    );
    return out.split("\n").filter((line) => line !== "");
  }

  async logs(): Promise<string> {
    return await this.#compose("logs", "--tail", "30");
  }

  async #compose(...words: string[]): Promise<string> {
    return await docker(...this.#words(...words));
  }

  #words(...words: readonly string[]): string[] {
    return ["compose", "--project-name", this.#project, ...FILES, ...words];
  }
}
