/**
 * A disk: one process that serves one folder.
 *
 * It prints one line on stdout when it listens: {"event":"disk.listening","address":"host:port","id":"uuid"}; its log goes to stderr.
 * With --exit-with-parent it ends when its stdin does: a launcher that is killed leaves no disk behind.
 * Start it with UV_THREADPOOL_SIZE=16: each fsync holds one of the pool's threads, and Node's four are too few for uploads and reads at once.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { pino, type Logger } from "pino";
import pretty from "pino-pretty";
import { type Config, ConfigError, loadConfig } from "../../config/index.ts";
import { messageOf } from "../kernel/errors.ts";
import { startDiskServer } from "./disk.server.ts";
import { ChunkStore } from "./files/store.ts";

const SWEEP_MS = 3600 * 1000;
const STDERR = 2;

async function main(): Promise<void> {
  const config = loadConfig();
  const { dir, secret } = required(config);
  const logger = makeLogger(config);
  const store = await ChunkStore.open(dir, config.DISK_RESERVE_BYTES);
  const server = await startDiskServer(store, { host: config.DISK_HOST, port: config.DISK_PORT, secret, zone: config.ZONE }, logger);
  const ending = new AbortController();
  const sweeping = sweepHourly(store, logger, ending.signal);
  const ended = endOfService();
  process.stdout.write(`${JSON.stringify({ event: "disk.listening", address: server.address, id: store.id })}\n`);
  logger.info({ id: store.id, address: server.address, ...(await store.usage()) }, "disk listens");

  const reason = await ended;
  logger.info({ reason }, "disk stops");
  ending.abort();
  await Promise.all([server.stop(), sweeping]);
  store.close();
}

function required({ DISK_DIR, DISK_SECRET }: Config): { dir: string; secret: string } {
  if (DISK_DIR && DISK_SECRET) return { dir: DISK_DIR, secret: DISK_SECRET };
  const missing = Object.entries({ DISK_DIR, DISK_SECRET }).filter(([, value]) => !value);
  throw new ConfigError(missing.map(([name]) => `${name}: a disk needs it`));
}

function makeLogger(config: Config): Logger {
  const stream = config.LOG_FORMAT === "pretty" ? pretty({ destination: STDERR, sync: true }) : pino.destination(STDERR);
  // A launcher that is gone does not read the log: that is no reason to drop running calls.
  stream.on("error", () => undefined);
  return pino({ level: config.LOG_LEVEL, base: { service: "disk" } }, stream);
}

/** Resolves with the reason why this process is to end. */
async function endOfService(): Promise<string> {
  return await new Promise((resolve) => {
    process.on("SIGTERM", resolve);
    process.on("SIGINT", resolve);
    if (!process.argv.includes("--exit-with-parent")) return;
    process.stdin.on("close", () => resolve("the launcher is gone"));
    process.stdin.on("error", () => resolve("the launcher is gone"));
    process.stdin.resume();
  });
}

async function sweepHourly(store: ChunkStore, logger: Logger, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      const unlinked = await store.emptyBins(signal);
      if (unlinked > 0) logger.info({ unlinked }, "old deleted chunks are unlinked");
    } catch (error) {
      logger.error({ err: error }, "the trash could not be emptied");
    }
    // Ends early, with a rejection, when the signal is aborted.
    await sleep(SWEEP_MS, undefined, { signal, ref: false }).catch(() => undefined);
  }
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    const text = error instanceof ConfigError ? error.message : `The disk cannot run: ${messageOf(error)}`;
    process.stderr.write(`${text}\n`);
    process.exit(1);
  },
);
