/** A cluster of real processes, as `npm run cluster` starts it, in a folder of its own: for tests and benches that reach into it. */
import { open } from "node:fs/promises";
import { join } from "node:path";
import { ServiceBroker } from "moleculer";
import { loadConfig, type Environment } from "../../config/index.ts";
import { startCluster, type Cluster } from "../../deploy/local/cluster/processes.ts";
import type { Profile } from "../../deploy/local/cluster/nodes.ts";
import type { Stops } from "../../deploy/local/launch.ts";
import brokerOptions from "../../moleculer.config.ts";
import { eventually } from "./eventually.ts";
import { removeFolder, temporaryFolder } from "./tritontube.ts";

/** A dozen processes that start at once on a busy machine. */
const READY_MS = 120_000;

export interface Processes extends Cluster {
  readonly dataDir: string;
  /** Of all processes, in one file. */
  readonly logFile: string;
  /** Of the gateways, without a slash at their ends. */
  readonly urls: readonly string[];
  /** A further node, without services: it can call everything. */
  readonly broker: ServiceBroker;
  /** Ends everything, and removes the folder. */
  stop(): Promise<void>;
}

interface Options {
  readonly nodes?: Partial<Readonly<Record<Profile, number>>>;
  readonly disks?: number;
  readonly settings?: Environment;
}

/** One of each, and three disks, unless more is asked for. Answers when every gateway is ready. */
export async function startProcesses({ nodes = {}, disks = 3, settings = {} }: Options = {}): Promise<Processes> {
  const dataDir = await temporaryFolder("tritontube-processes-");
  const logFile = join(dataDir, "log");
  const log = await open(logFile, "a");
  const stops: Stops = [async () => await log.close()];
  const stop = async (): Promise<void> => {
    for (const end of stops.splice(0).toReversed()) await end();
    await removeFolder(dataDir);
  };
  try {
    const cluster = await startCluster({
      dataDir,
      disks,
      nodes: { videos: 1, ring: 1, gateway: 1, transcoder: 1, ...nodes },
      port: 0,
      settings: { DISK_RESERVE_BYTES: "0", X264_PRESET: "ultrafast", TRANSCODER_SLOTS: "1", NODE_OPTIONS: "", ...settings },
      logLevel: "info",
      log: (message) => void log.write(`${message}\n`),
      output: log.fd,
      stops,
    });
    const config = { ...loadConfig(), NATS_URL: cluster.nats.url, NODE_ID: "observer" };
    const broker = new ServiceBroker({ ...brokerOptions(config), logger: false });
    stops.push(async () => await broker.stop());
    await broker.start();
    const urls = cluster.nodes.gateway.map(({ address }) => address.replace(/\/$/, ""));
    await Promise.all(urls.map(untilReady));
    return { ...cluster, dataDir, logFile, urls, broker, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Whether the gateway knows all that it needs. */
export async function isReady(url: string): Promise<boolean> {
  return (await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(2000) })).ok;
}

async function untilReady(url: string): Promise<void> {
  await eventually(async () => await isReady(url), { timeoutMs: READY_MS, what: `${url} to be ready` });
}
