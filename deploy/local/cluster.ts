/**
 * `npm run cluster [-- --gateways 2 --transcoders 2 --disks 4 --videos 2]`: TritonTube as a cluster, each part a process of its own, on one machine and without
 * containers: for development, and to see what happens when something dies. What dies is started again, as a supervisor would. Needs nats-server.
 */
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { ServiceBroker } from "moleculer";
import { z } from "zod";
import { loadConfig, type Config } from "../../config/index.ts";
import brokerOptions from "../../moleculer.config.ts";
import { openSocket } from "../operator/socket.ts";
import { startCluster, type Cluster } from "./cluster/processes.ts";
import { launch, say, type Stops } from "./launch.ts";

const USAGE = "Usage: npm run cluster [-- --gateways N --transcoders N --disks N --videos N]";
const few = z.coerce.number().int().min(1).max(20);
/** One node decides about the ring; without it, everybody works on with the ring that they know. */
const wishes = z.strictObject({
  gateways: few.default(2),
  transcoders: few.default(2),
  disks: few.default(4),
  videos: few.default(2),
});
/** On one machine they share its cores: nodes start one beside the other, and find each other within seconds. */
const READY_MS = 60_000;
const POLL_MS = 200;

function wanted(): z.output<typeof wishes> {
  const count = { type: "string" } as const;
  const { values } = parseArgs({
    args: process.argv.slice(2).filter((word) => word !== "--exit-with-parent"),
    options: { gateways: count, transcoders: count, disks: count, videos: count },
  });
  const { data, success } = wishes.safeParse(values);
  if (!success) throw new Error(USAGE);
  return data;
}

async function start(stops: Stops): Promise<void> {
  const { gateways, transcoders, disks, videos } = wanted();
  const config = loadConfig({}, { LOG_LEVEL: "warn" });
  const dataDir = resolve(config.DATA_DIR);
  const cluster = await startCluster({
    dataDir,
    disks,
    nodes: { videos, ring: 1, gateway: gateways, transcoder: transcoders },
    port: config.PORT,
    metricsPort: config.METRICS_PORT,
    logLevel: config.LOG_LEVEL,
    log: say,
    stops,
  });
  await listenToOperators(config, cluster, stops);
  await Promise.all(cluster.nodes.gateway.map(async ({ address }) => await ready(address)));
  introduce(cluster);
}

/** `npm run repl` reaches a node without services, which this process is. */
async function listenToOperators(config: Config, { nats }: Cluster, stops: Stops): Promise<void> {
  const broker = new ServiceBroker(brokerOptions({ ...config, NODE_ID: "launcher", NATS_URL: nats.url, METRICS_PORT: undefined }));
  stops.push(async () => await broker.stop());
  await broker.start();
  const socket = await openSocket(resolve(config.DATA_DIR), broker);
  if (socket) stops.push(async () => await socket.stop());
}

async function ready(gateway: string): Promise<void> {
  const until = Date.now() + READY_MS;
  for (;;) {
    const answer = await fetch(new URL("health/ready", gateway)).catch(() => undefined);
    if (answer?.ok) return;
    if (Date.now() > until) throw new Error(`${gateway} is not ready after ${READY_MS / 1000} s; the logs say why`);
    await sleep(POLL_MS);
  }
}

function introduce({ nats, disks, nodes, joining }: Cluster): void {
  for (const node of Object.values(nodes).flat()) say(`${node.name}: process ${node.pid}`);
  for (const disk of disks) say(`${disk.name}: process ${disk.pid}, ${disk.address}`);
  say(`NATS: process ${nats.pid}, ${nats.address}`);
  const secrets = `NATS_URL_FILE=${nats.urlFile} DISK_SECRET_FILE=${joining["DATA_DIR"]}/secrets/disk`;
  say(`one more transcoder: ${secrets} SERVICES=transcoder,storage npm start`);
  say(`ready: open ${nodes.gateway.map(({ address }) => address).join(" or ")} (data in ${joining["DATA_DIR"]}; stop with ctrl-C)`);
}

await launch(start);
