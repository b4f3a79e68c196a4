/** The embedded PostgreSQL of a cluster: in `npm start` its end ends everything, here it comes back where it was. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Environment } from "../../../config/index.ts";
import { startPostgres, type EmbeddedPostgres } from "../postgres.ts";
import type { Supervised } from "../supervise.ts";

/** A recovery that takes too long, or a full disk, may pass. */
const AGAIN_MS = { first: 500, most: 10_000 };

export interface SupervisedDatabase extends Omit<Supervised, "name"> {
  /** DATABASE_URL and DATABASE_OWNER_URL. */
  readonly environment: Environment;
}

export async function superviseDatabase(dataDir: string, log: (message: string) => void): Promise<SupervisedDatabase> {
  let running = await startPostgres({ dataDir, log });
  let again: Promise<void> = Promise.resolve();
  let stopping = new AbortController();
  const { host, port } = new URL(running.url);
  const resume = async (): Promise<void> => watch((running = await startPostgres({ dataDir, log, port: Number(port) })));
  const watch = (server: EmbeddedPostgres): void =>
    server.onExit(() => {
      log("the database has ended; it is started again");
      again = untilThere();
    });
  const untilThere = async (): Promise<void> => {
    for (let waitMs = AGAIN_MS.first; !stopping.signal.aborted; waitMs = Math.min(2 * waitMs, AGAIN_MS.most)) {
      try {
        return await resume();
      } catch (error) {
        log(String(error));
      }
      await sleep(waitMs, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  };
  const stop = async (): Promise<void> => {
    stopping.abort();
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
    async resume() {
      stopping = new AbortController();
      await resume();
    },
  };
}
