/**
 * `npm start`: the whole of TritonTube on one machine. An embedded PostgreSQL, disks as child processes, and every service in this process.
 * Whatever ends this process also ends its children: each holds a pipe whose other end is here.
 */
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { ServiceBroker } from "moleculer";
import { loadConfig, type Config, type Environment } from "../../config/index.ts";
import { closeDatabase } from "../../mixins/database/connection.ts";
import brokerOptions from "../../moleculer.config.ts";
import { replOptions } from "../operator/repl.ts";
import { openSocket } from "../operator/socket.ts";
import { superviseDisk, type SupervisedDisk } from "./disks.ts";
import { startPostgres } from "./postgres.ts";
import { secretFile } from "./secret.ts";

/** Services, then disks, then the database each have limits of their own; after this, something is stuck and is left to the pipes. */
const STOP_MS = 20_000;

/** On a terminal, only what a person has to know, unless they ask for more. */
const FOR_A_PERSON = { LOG_FORMAT: "pretty", LOG_LEVEL: "warn" };

const say = (message: string): void => void process.stdout.write(`tritontube: ${message}\n`);

/** How often the parent is looked for: a port must be free again soon after npm was killed. */
const PARENT_MS = 500;

/** What was started, in order, with how to stop it: stopped in the reverse order. */
type Stops = (() => Promise<unknown>)[];

async function start(stops: Stops): Promise<void> {
  const config = loadConfig({}, process.stdout.isTTY ? FOR_A_PERSON : {});
  const dataDir = resolve(config.DATA_DIR);
  await mkdir(dataDir, { recursive: true });
  const [database, disks] = await Promise.all([embeddedDatabase(config, dataDir, stops), embeddedDisks(config, dataDir, stops)]);
  const broker = new ServiceBroker({ ...brokerOptions(loadConfig({ ...database, ...disks })), ...replOptions });
  broker.loadServices(join(import.meta.dirname, "../../services"), "**/*.service.ts");
  stops.push(closeDatabase, async () => await broker.stop());
  await broker.start();
  await listenToOperators(broker, dataDir, stops);
  say(`ready: open http://${config.HOST}:${portOf(broker, config)}/ (data in ${dataDir}; stop with ctrl-C)`);
  if (process.argv.includes("--repl")) broker.repl();
}

async function listenToOperators(broker: ServiceBroker, dataDir: string, stops: Stops): Promise<void> {
  const socket = await openSocket(dataDir, broker);
  if (socket) stops.push(async () => await socket.stop());
  else say("the path of the data folder is too long for a socket: `npm run repl` cannot reach this process");
}

async function embeddedDatabase(config: Config, dataDir: string, stops: Stops): Promise<Environment> {
  if (config.DATABASE_URL !== undefined) return {};
  const postgres = await startPostgres({ dataDir, log: say });
  // Nothing can go on without it, and the next start recovers it: better to end and say so than to answer 503 for ever.
  postgres.onExit(() => void leave(1, "the embedded database has ended (its log is in the data folder): stopping"));
  stops.push(async () => await postgres.stop());
  return { DATABASE_URL: postgres.serviceUrl, DATABASE_OWNER_URL: postgres.url };
}

async function embeddedDisks(config: Config, dataDir: string, stops: Stops): Promise<Environment> {
  if (config.DISKS !== undefined || config.STORAGE_BACKEND === "s3") return {};
  const secret = config.DISK_SECRET ?? (await secretFile(join(dataDir, "secrets/disk")));
  const numbers = Array.from({ length: config.STORAGE_BACKEND === "folder" ? 1 : config.EMBEDDED_DISKS }, (_, index) => index + 1);
  const started = await Promise.allSettled(numbers.map((number) => startDisk(join(dataDir, `disk${number}`), config, secret, stops)));
  const failed = started.find((result) => result.status === "rejected");
  if (failed) throw failed.reason;
  const addresses = started.flatMap((result) => (result.status === "fulfilled" ? [result.value.address] : []));
  return { DISKS: addresses.join(","), ...(config.DISK_SECRET === undefined ? { DISK_SECRET: secret } : {}) };
}

async function startDisk(dir: string, config: Config, secret: string, stops: Stops): Promise<SupervisedDisk> {
  const disk = await superviseDisk({ dir, zone: config.ZONE, secret, logLevel: config.LOG_LEVEL, log: say });
  stops.push(() => disk.stop());
  return disk;
}

function portOf(broker: ServiceBroker, config: Config): number {
  const gateway = broker.getLocalService("gateway") as { server?: { address(): { port: number } | null } } | undefined;
  return gateway?.server?.address()?.port ?? config.PORT;
}

/** Ends in the reverse order of starting, so that nothing loses what it stands on. */
async function stop(stops: Stops): Promise<void> {
  const timer = setTimeout(() => {
    say(`not everything ended within ${STOP_MS / 1000} s; leaving`);
    process.exit(1);
  }, STOP_MS);
  for (const end of stops.splice(0).toReversed()) {
    await end().catch((error: unknown) => say(`while stopping: ${String(error)}`));
  }
  clearTimeout(timer);
}

const stops: Stops = [];
let stopping = false;

async function leave(code: number, why: string): Promise<void> {
  if (stopping) return;
  stopping = true;
  say(why);
  await stop(stops);
  process.exit(code);
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    // A second one means that the person does not want to wait.
    if (stopping) process.exit(1);
    void leave(0, `${signal}: stopping`);
  });
}
// npm cannot pass on a SIGKILL: without this, a killed `npm start` would leave us behind with the port.
const parent = process.ppid;
if (process.argv.includes("--exit-with-parent"))
  setInterval(() => void (process.ppid === parent || leave(1, "the parent process is gone: stopping")), PARENT_MS).unref();

// A bug must not leave a process behind that half works: stop, and let the next start recover.
process.on("uncaughtException", (error) => void leave(1, `stopping after a mistake of ours: ${error.stack ?? error.message}`));
process.on(
  "unhandledRejection",
  (error) => void leave(1, `stopping after a mistake of ours: ${error instanceof Error ? error.stack : String(error)}`),
);

try {
  await start(stops);
} catch (error) {
  await leave(1, error instanceof Error ? error.message : String(error));
}
