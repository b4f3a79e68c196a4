/**
 * `npm start`: the whole of TritonTube on one machine. An embedded PostgreSQL, disks as child processes, and every service in this process.
 * With SERVICES it is one node of a cluster, with these services and nothing else. Whatever ends this process also ends its children: each holds a pipe whose
 * other end is here.
 */
import { existsSync } from "node:fs";
import { mkdir, readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { ServiceBroker } from "moleculer";
import { loadConfig, type Config, type Environment } from "../../config/index.ts";
import { startSentry } from "../../config/sentry.ts";
import { startTracing } from "../../config/tracing.ts";
import { closeDatabase } from "../../mixins/database/connection.ts";
import brokerOptions from "../../moleculer.config.ts";
import { replOptions } from "../operator/repl.ts";
import { openSocket } from "../operator/socket.ts";
import { superviseDisk } from "./disks.ts";
import { launch, say, type Leave, type Stops } from "./launch.ts";
import { startPostgres } from "./postgres.ts";
import { secretFile } from "./secret.ts";
import type { Supervised } from "./supervise.ts";

/** On a terminal, only what a person has to know, unless they ask for more. */
const FOR_A_PERSON = { LOG_FORMAT: "pretty", LOG_LEVEL: "warn" };

const SERVICES = join(import.meta.dirname, "../../services");

async function start(stops: Stops, leave: Leave): Promise<void> {
  const config = loadConfig({}, process.stdout.isTTY ? FOR_A_PERSON : {});
  if (config.SERVICES !== undefined) return await startNode(config, config.SERVICES, stops);
  const dataDir = resolve(config.DATA_DIR);
  await mkdir(dataDir, { recursive: true });
  const [database, disks] = await Promise.all([embeddedDatabase(config, dataDir, stops, leave), embeddedDisks(config, dataDir, stops)]);
  const broker = await startBroker(loadConfig({ ...database, ...disks }), await allServices(), stops);
  await listenToOperators(broker, dataDir, stops);
  say(`ready: open http://${config.HOST}:${portOf(broker, config)}/ (data in ${dataDir}; stop with ctrl-C)`);
  if (process.argv.includes("--repl")) broker.repl();
}

/** One of several processes: where the database and the disks are is said by the settings. */
async function startNode(config: Config, names: readonly string[], stops: Stops): Promise<void> {
  const known = await allServices();
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`SERVICES: there is no service ${unknown.join(", ")}; there are ${known.join(", ")}`);
  const broker = await startBroker(config, names, stops);
  const address = names.includes("gateway") ? `open http://${config.HOST}:${portOf(broker, config)}/` : broker.nodeID;
  say(`ready: ${address} (${names.join(", ")})`);
}

async function startBroker(config: Config, names: readonly string[], stops: Stops): Promise<ServiceBroker> {
  const broker = new ServiceBroker({ ...brokerOptions(config), ...replOptions });
  const instance = broker.nodeID;
  const tell = (message: string): void => broker.logger.warn(message);
  const endTracing = await startTracing(config, { service: "tritontube", instance, tell });
  const endSentry = await startSentry(config, { instance, tell });
  for (const name of names) broker.loadService(fileOf(name));
  stops.push(endTracing, endSentry, closeDatabase, async () => await broker.stop());
  await broker.start();
  return broker;
}

const fileOf = (service: string): string => join(SERVICES, service, `${service}.service.ts`);

async function allServices(): Promise<readonly string[]> {
  return (await readdir(SERVICES)).filter((name) => existsSync(fileOf(name)));
}

async function listenToOperators(broker: ServiceBroker, dataDir: string, stops: Stops): Promise<void> {
  const socket = await openSocket(dataDir, broker);
  if (socket) stops.push(async () => await socket.stop());
  else say("the path of the data folder is too long for a socket: `npm run repl` cannot reach this process");
}

async function embeddedDatabase(config: Config, dataDir: string, stops: Stops, leave: Leave): Promise<Environment> {
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

async function startDisk(dir: string, config: Config, secret: string, stops: Stops): Promise<Supervised> {
  const disk = await superviseDisk({ dir, zone: config.ZONE, secret, logLevel: config.LOG_LEVEL, log: say });
  stops.push(() => disk.stop());
  return disk;
}

function portOf(broker: ServiceBroker, config: Config): number {
  const gateway = broker.getLocalService("gateway") as { server?: { address(): { port: number } | null } } | undefined;
  return gateway?.server?.address()?.port ?? config.PORT;
}

await launch(start);
