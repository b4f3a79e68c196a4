/** The only reader of the environment. Everything else is given values. */
import { readFileSync } from "node:fs";
import { secrets, settings, type Config, type SettingName } from "./schema.ts";

export type { Config } from "./schema.ts";
export type Environment = Readonly<Record<string, string | undefined>>;

/** Says everything that is wrong with the settings at once, a line each. */
export class ConfigError extends Error {
  constructor(problems: readonly string[]) {
    super(
      ["The settings are not valid:", ...problems.map((problem) => `  ${problem}`), "See the table of settings in README.md."].join("\n"),
    );
    this.name = "ConfigError";
  }
}

/** Reads, validates and freezes. Throws ConfigError with every problem; the value of a secret is never among the words. */
export function readConfig(environment: Environment): Config {
  const problems: string[] = [];
  const given = withSecretFiles(withoutEmpty(environment), problems);
  const values = Object.entries(settings).map(([name, setting]) => {
    const { data, error } = setting.safeParse(given[name]);
    problems.push(...(error?.issues ?? []).map((issue) => `${name}: ${issue.message}${shown(name, given)}`));
    return [name, data] as const;
  });
  const config = Object.freeze(Object.fromEntries(values)) as Config;
  problems.push(...contradictions(config));
  if (problems.length > 0) throw new ConfigError(problems);
  return config;
}

let current: Config | undefined;
let made: Environment = {};
let preferred: Environment = {};

/**
 * The settings of this process. The first call reads the environment; `overrides` are values that a launcher made itself, and stay;
 * `defaults` are what it prefers where the environment says nothing.
 */
export function loadConfig(overrides: Environment = {}, defaults: Environment = {}): Config {
  if (current && Object.keys({ ...overrides, ...defaults }).length === 0) return current;
  made = { ...made, ...overrides };
  preferred = { ...preferred, ...defaults };
  current = readConfig({ ...preferred, ...withoutEmpty(process.env), ...made });
  return current;
}

/** The environment for a child process: the parent's own with these settings, and of the secrets only those that are among them. */
export function childEnvironment(overrides: Environment): Record<string, string> {
  const ours = new Set(secrets.flatMap((name) => [name, `${name}_FILE`]));
  const inherited = Object.entries(process.env).filter(([name]) => !ours.has(name));
  const all = [...inherited, ...Object.entries(overrides)];
  return Object.fromEntries(all.filter((entry): entry is [string, string] => entry[1] !== undefined));
}

/** An empty value is as good as none: `PORT=` in a compose file means the default. */
function withoutEmpty(environment: Environment): Environment {
  return Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== undefined && value !== ""));
}

function withSecretFiles(environment: Environment, problems: string[]): Environment {
  const fromFiles = secrets.flatMap((name) => {
    const path = environment[`${name}_FILE`];
    if (path === undefined) return [];
    if (environment[name] !== undefined) problems.push(`${name}: set either ${name} or ${name}_FILE, not both`);
    try {
      return [[name, readFileSync(path, "utf8").replace(/\r?\n$/, "")] as const];
    } catch (error) {
      problems.push(`${name}_FILE: cannot be read (${(error as NodeJS.ErrnoException).code ?? "unknown"})`);
      return [];
    }
  });
  return { ...environment, ...Object.fromEntries(fromFiles) };
}

/** Whether only this machine can reach what listens there. */
export function isLoopback({ HOST }: Pick<Config, "HOST">): boolean {
  return /^(localhost|127(\.[0-9]{1,3}){3}|::1)$/.test(HOST);
}

function contradictions(config: Config): string[] {
  const problems: string[] = [];
  if (!isLoopback(config) && config.AUTH_MODE === "none" && !config.ALLOW_ANONYMOUS) {
    problems.push(
      `HOST: ${config.HOST} is reachable by others, and nobody has to sign in; keep 127.0.0.1, set AUTH_MODE=token, or set ALLOW_ANONYMOUS=true if that is what you want`,
    );
  }
  if ((config.TLS_CERT_FILE === undefined) !== (config.TLS_KEY_FILE === undefined)) {
    problems.push("TLS_CERT_FILE: set both TLS_CERT_FILE and TLS_KEY_FILE, or neither");
  }
  const disks = [config.DISK_TLS_CERT_FILE, config.DISK_TLS_KEY_FILE, config.DISK_TLS_CA_FILE].filter((path) => path !== undefined);
  if (disks.length > 0 && disks.length < 3) {
    problems.push("DISK_TLS_CERT_FILE: set DISK_TLS_CERT_FILE, DISK_TLS_KEY_FILE and DISK_TLS_CA_FILE, or none of them");
  }
  if (config.NATS_CA_FILE !== undefined && config.NATS_URL?.startsWith("tls:") !== true) {
    problems.push("NATS_CA_FILE: says whom to trust over TLS, and NATS_URL is not tls://host:port");
  }
  if (config.STORAGE_BACKEND === "s3" && config.S3_BUCKET === undefined) problems.push("S3_BUCKET: STORAGE_BACKEND=s3 needs it");
  return problems;
}

function shown(name: string, given: Environment): string {
  if (secrets.includes(name as SettingName) || given[name] === undefined) return "";
  return ` (is ${JSON.stringify(given[name])})`;
}
