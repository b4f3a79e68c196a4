/**
 * Runs a real PostgreSQL from an npm package, with nothing installed on the machine: the same SQL here as in a cluster.
 * It survives kill -9 of everything, and does not survive this process: no orphan keeps a port or a lock.
 */
import type { Client } from "pg";
import { findBinaries } from "./postgres/binaries.ts";
import { openCluster, SUPERUSER, type Cluster } from "./postgres/cluster.ts";
import { findHome } from "./postgres/home.ts";
import { attachOrStart, connectTo, endServer, type Server } from "./postgres/server.ts";

const DATABASE = "tritontube";
/** The role of the services. It is made with its rights when the schema is (mixins/database/rights.ts). */
const SERVICE = "tritontube";
/** A fast shutdown writes a checkpoint: tens of milliseconds as a rule. */
const STOP_MS = 15_000;

export interface PostgresOptions {
  /** The cluster is kept in `postgres/` below it. */
  readonly dataDir: string;
  /** Told what an operator should know, a sentence each. */
  readonly log: (message: string) => void;
  /** false lets commits return before they are on disk: only for tests. */
  readonly durable?: boolean;
  /** Where it listens when it is started here: after it was killed, those who use it find it again. Default: a free one. */
  readonly port?: number;
}

export interface EmbeddedPostgres {
  /** postgres://…/tritontube with its password, for who makes the schema, and who copies all of it. */
  readonly url: string;
  /** The same database for the services: their role owns nothing. */
  readonly serviceUrl: string;
  /** Of the server itself. */
  readonly pid: number;
  /** Tells when a server that this process started ends although nobody stopped it. */
  onExit(listener: () => void): void;
  /** Ends the server if this process started it; another starter's goes on. Call it when nothing uses the database any more. */
  stop(): Promise<void>;
}

/** Starts the database of a data folder, or attaches to it when it runs already. Throws a sentence that says what to do. */
export async function startPostgres({ dataDir, log, durable = true, port }: PostgresOptions): Promise<EmbeddedPostgres> {
  const home = await findHome(dataDir, log);
  const binaries = await findBinaries(home, log);
  const cluster = await openCluster({ home, binaries, durable });
  const server = await attachOrStart({ cluster, binaries, user: home.user, durable, log, port });
  await createDatabase(connectTo(cluster, server.port));
  return handle(cluster, server);
}

function handle(cluster: Cluster, { child, pid, port }: Server): EmbeddedPostgres {
  let stopping = false;
  const urlOf = (role: string, password: string): string =>
    `postgres://${role}:${encodeURIComponent(password)}@127.0.0.1:${port}/${DATABASE}`;
  return {
    url: urlOf(SUPERUSER, cluster.password),
    serviceUrl: urlOf(SERVICE, cluster.servicePassword),
    pid,
    onExit: (listener) => void child?.once("exit", () => stopping || listener()),
    async stop() {
      stopping = true;
      if (child) await endServer(child, STOP_MS);
    },
  };
}

async function createDatabase(client: Client): Promise<void> {
  await client.connect();
  try {
    const known = await client.query("select 1 from pg_database where datname = $1", [DATABASE]);
    if (known.rowCount === 0) await client.query(`create database ${DATABASE}`);
  } catch (error) {
    // Another starter made it in between: "duplicate_database", or its unique index.
    if (!["42P04", "23505"].includes(String((error as { code?: unknown }).code))) throw error;
  } finally {
    await client.end();
  }
}
