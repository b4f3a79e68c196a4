/** The embedded PostgreSQL of a cluster: in `npm start` its end ends everything, here it comes back where it was. */
import { startPostgres, type EmbeddedPostgres } from "../postgres.ts";
import type { Environment } from "../../../config/index.ts";

export interface SupervisedDatabase {
  /** DATABASE_URL and DATABASE_OWNER_URL. */
  readonly environment: Environment;
  /** Of the server itself. */
  readonly pid: number;
  stop(): Promise<void>;
}

export async function superviseDatabase(dataDir: string, log: (message: string) => void): Promise<SupervisedDatabase> {
  let running = await startPostgres({ dataDir, log });
  let again: Promise<void> = Promise.resolve();
  const port = Number(new URL(running.url).port);
  const watch = (server: EmbeddedPostgres): void =>
    server.onExit(() => {
      log("the database has ended; it is started again");
      again = startPostgres({ dataDir, log, port })
        .then((started) => watch((running = started)))
        .catch((error: unknown) => log(String(error)));
    });
  watch(running);
  return {
    environment: { DATABASE_URL: running.serviceUrl, DATABASE_OWNER_URL: running.url },
    get pid() {
      return running.pid;
    },
    async stop() {
      await again;
      await running.stop();
    },
  };
}
