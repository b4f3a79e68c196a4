/** Gives a service `this.db`: the pool of its process, with the schema of this code in it. Whoever owns the process closes it (`closeDatabase`). */
import type { Context, Service, ServiceSchema } from "moleculer";
import { loadConfig } from "../../config/index.ts";
import { jobsWaiting, type JobKind } from "../../services/jobs/contract.ts";
import { errorType, messageOf } from "../../services/kernel/errors.ts";
import { broadcast } from "../../services/kernel/rpc.ts";
import { openDatabase, type Database } from "./connection.ts";
import { prepare } from "./migrate.ts";
import { OVERPOWERED } from "./rights.ts";
import { one } from "./sql.ts";

/** A service that has this mixin. */
export interface WithDatabase extends Service {
  db: Database;
}

/** One migration a process, however many services wait for it. */
const migrating = new Map<string, Promise<void>>();

export const databaseMixin: Partial<ServiceSchema> & ThisType<WithDatabase> = {
  created() {
    this.db = openDatabase(databaseUrl(), { connectionsMax: loadConfig().DATABASE_POOL });
  },

  async started() {
    await schemaReady(databaseUrl(), { db: this.db, logger: this.logger });
  },

  hooks: {
    error: {
      /** What the database said stays on this node, in its log: the error that leaves has lost its cause. */
      "*"(this: WithDatabase, ctx: Context, error: Error) {
        if (errorType(error) === "INTERNAL") {
          this.logger.error("an action failed", { action: ctx.action?.name, reason: messageOf(error.cause ?? error) });
        }
        throw error;
      },
    },
  },
};

function databaseUrl(): string {
  const { DATABASE_URL } = loadConfig();
  if (DATABASE_URL !== undefined) return DATABASE_URL;
  throw new Error("DATABASE_URL is not set, and a service of this process needs the database (`npm start` brings its own).");
}

type Told = Pick<WithDatabase, "db" | "logger">;

function schemaReady(url: string, service: Told): Promise<void> {
  const running = migrating.get(url) ?? prepareAndTell(service);
  migrating.set(url, running);
  // Another start of this process may have more luck.
  running.catch(() => migrating.delete(url));
  return running;
}

async function prepareAndTell({ db, logger }: Told): Promise<void> {
  const made = await prepare(loadConfig());
  if (made.length > 0) logger.info("the schema of the database was changed", { migrations: made });
  const role = await one<{ overpowered: boolean }>(db, OVERPOWERED);
  if (role?.overpowered) logger.warn("the role of DATABASE_URL may do more than it has to: give the schema's owner as DATABASE_OWNER_URL");
}

/** Wakes the workers for jobs that are committed. Lost when nobody listens: workers ask by themselves as well. */
export async function announceJobs(from: Parameters<typeof broadcast>[0], kinds: readonly JobKind[]): Promise<void> {
  if (kinds.length > 0) await broadcast(from, jobsWaiting, { kinds });
}
