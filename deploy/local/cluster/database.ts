/** The embedded PostgreSQL of a cluster: in `npm start` its end ends everything, here it comes back where it was. */
import type { Environment } from "../../../config/index.ts";
import { startPostgres, type EmbeddedPostgres } from "../postgres.ts";
import type { Supervised } from "../supervise.ts";

export interface SupervisedDatabase extends Omit<Supervised, "name"> {
  /** DATABASE_URL and DATABASE_OWNER_URL. */
  readonly environment: Environment;
}

export async function superviseDatabase(dataDir: string, log: (message: string) => void): Promise<SupervisedDatabase> {
  let running = await startPostgres({ dataDir, log });
  let again: Promise<void> = Promise.resolve();
  const { host, port } = new URL(running.url);
  const resume = async (): Promise<void> => watch((running = await startPostgres({ dataDir, log, port: Number(port) })));
  const watch = (server: EmbeddedPostgres): void =>
    server.onExit(() => {
      log("the database has ended; it is started again");
      again = resume().catch((error: unknown) => log(String(error)));
    });
  const stop = async (): Promise<void> => {
    await again;
    await running.stop();
  };
  watch(running);
  return {
    environment: { DATABASE_URL: running.serviceUrl, DATABASE_OWNER_URL: running.url },
    address: host,
    get pid() {
      return running.pid;
    },
    stop,
    halt: stop,
    resume,
  };
}
