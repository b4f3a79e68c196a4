/** What both ends of a connection to a disk show each other: the secret, and certificates where they are set. */
import { readFileSync } from "node:fs";
import { type Config, ConfigError } from "./index.ts";

/** PEM. */
export interface Certificates {
  /** Who signed the certificates of the other ends. */
  readonly ca: Buffer;
  readonly cert: Buffer;
  readonly key: Buffer;
}

export interface DiskAccess {
  readonly secret: string;
  /** Default: plain TCP. */
  readonly tls?: Certificates | undefined;
}

/** For a process that is a disk, or talks to disks. Throws ConfigError. */
export function diskAccess(config: Config): DiskAccess {
  if (config.DISK_SECRET === undefined) throw new ConfigError(["DISK_SECRET: a disk, and whoever talks to disks, needs it"]);
  return { secret: config.DISK_SECRET, tls: certificatesOf(config) };
}

function certificatesOf({ DISK_TLS_CA_FILE: ca, DISK_TLS_CERT_FILE: cert, DISK_TLS_KEY_FILE: key }: Config): Certificates | undefined {
  if (ca === undefined || cert === undefined || key === undefined) return undefined;
  return {
    ca: read("DISK_TLS_CA_FILE", ca),
    cert: read("DISK_TLS_CERT_FILE", cert),
    key: read("DISK_TLS_KEY_FILE", key),
  };
}

function read(name: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new ConfigError([`${name}: cannot be read (${(error as NodeJS.ErrnoException).code ?? "unknown"})`]);
  }
}
