/** A disk from its settings to its end. */
import { setTimeout as sleep } from "node:timers/promises";
import { pino, type Logger } from "pino";
import pretty from "pino-pretty";
import { diskAccess } from "../../config/disks.ts";
import { countBuffersAsHeap } from "../../config/heap.ts";
import { type Config, ConfigError, isLoopback, loadConfig } from "../../config/index.ts";
import { startSentry } from "../../config/sentry.ts";
import { startTracing } from "../../config/tracing.ts";
import { messageOf } from "../kernel/errors.ts";
import { tellMistake } from "../kernel/mistakes.ts";
import { startDiskServer } from "./disk.server.ts";
import { type Files, nodeFiles } from "./files/port.ts";
import { Scrubber } from "./files/scrub.ts";
import { ChunkStore } from "./files/store.ts";

/** How often old deleted chunks are looked for; sooner where they are to go sooner. */
const SWEEP_MS = { most: 3600 * 1000, least: 1000 };
const STDERR = 2;

/** Runs until a signal or the end of the launcher, then ends this process. `files` is what the medium is reached through. */
export function runDisk(files: Files = nodeFiles): void {
  countBuffersAsHeap();
  serve(files).then(
    // With the code of whoever ended it.
    () => process.exit(),
    (error: unknown) => {
      const text = error instanceof ConfigError ? error.message : `The disk cannot run: ${messageOf(error)}`;
      process.stderr.write(`${text}\n`);
      process.exit(1);
    },
  );
}

async function serve(files: Files): Promise<void> {
  const config = loadConfig();
  if (config.DISK_DIR === undefined) throw new ConfigError(["DISK_DIR: a disk needs it"]);
  const access = diskAccess(config);
  const trashKeepMs = config.DISK_TRASH_SECONDS * 1000;
  const logger = makeLogger(config);
  const store = await ChunkStore.open(
    config.DISK_DIR,
    {
      reserveBytes: config.DISK_RESERVE_BYTES,
      trashKeepMs,
    },
    files,
  );
  const tell = (message: string): void => logger.warn(message);
  const endTracing = await startTracing(config, { service: "tritontube-disk", instance: store.id, tell });
  const endSentry = await startSentry(config, { instance: store.id, tell });
  const mistake = endAtMistakes(endSentry);
  const scrubber = await Scrubber.open(store, config.SCRUB_BYTES_PER_SECOND);
  const server = await startDiskServer(
    { store, scrubber },
    { host: config.DISK_HOST, port: config.DISK_PORT, access, zone: config.ZONE, traced: config.OTLP_URL !== undefined, dropped: mistake },
    logger,
  );
  if (!access.tls && !isLoopback({ HOST: config.DISK_HOST })) {
    logger.warn("without DISK_TLS_CERT_FILE, DISK_TLS_KEY_FILE and DISK_TLS_CA_FILE the secret and all chunks are readable on the network");
  }
  const ending = new AbortController();
  const ends = AbortSignal.any([ending.signal, mistake]);
  const sweepMs = Math.max(SWEEP_MS.least, Math.min(SWEEP_MS.most, trashKeepMs));
  const sweeping = sweepAgain(store, { everyMs: sweepMs, logger }, ends);
  const counting = store.countBytes(ends).catch((error: unknown) => logger.error({ err: error }, "the chunks cannot be counted"));
  const scrubbing = scrubber.run(ends, (error) => logger.error({ err: error }, "the scrub stopped"));
  const ended = endOfService();
  process.stdout.write(`${JSON.stringify({ event: "disk.listening", address: server.address, id: store.id })}\n`);
  logger.info({ id: store.id, address: server.address, ...(await store.usage()) }, "disk listens");

  const reason = await ended;
  logger.info({ reason }, "disk stops");
  ending.abort();
  await Promise.all([server.stop(), sweeping, counting, scrubbing]);
  store.close();
  await Promise.all([endTracing(), endSentry()]);
}

/**
 * A bug must not leave a process behind that half works: nobody is answered from then on, and it ends when it has told why. Answers the signal that is
 * aborted at the mistake.
 */
function endAtMistakes(endSentry: () => Promise<void>): AbortSignal {
  const met = new AbortController();
  const mistaken = (thrown: unknown): void => {
    // What the first one brings with it is no news.
    if (met.signal.aborted) return;
    process.exitCode = 1;
    met.abort();
    process.stderr.write(`The disk stops after a mistake of ours: ${thrown instanceof Error ? thrown.stack : String(thrown)}\n`);
    tellMistake(thrown, { service: "disk" });
    void endSentry().finally(() => process.exit(1));
  };
  process.on("uncaughtException", mistaken);
  process.on("unhandledRejection", mistaken);
  return met.signal;
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

async function sweepAgain(
  store: ChunkStore,
  { everyMs, logger }: { readonly everyMs: number; readonly logger: Logger },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      const unlinked = await store.emptyBins(signal);
      if (unlinked > 0) logger.info({ unlinked }, "old deleted chunks are unlinked");
    } catch (error) {
      logger.error({ err: error }, "the trash could not be emptied");
    }
    // Ends early, with a rejection, when the signal is aborted.
    await sleep(everyMs, undefined, { signal, ref: false }).catch(() => undefined);
  }
}
