/**
 * `npm run bench:cluster [-- --seconds 5 --rounds 3]`: what a second gateway brings, on this machine: searches (gateway, NATS, a node that decides, PostgreSQL)
 * and segments (gateway, disks), through one gateway and through two; segments against nginx; and a call of Moleculer against a bare request of NATS.
 * Everything shares the cores of this machine, also the clients: the gain of a gateway with cores of its own is larger.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { connect } from "nats";
import { call } from "../../services/kernel/rpc.ts";
import { transcoder } from "../../services/transcoder/contract.ts";
import { segmentAddresses, untilStatus, uploadFile } from "../../test/support/client.ts";
import { makeSource } from "../../test/support/media.ts";
import { startProcesses, type Processes } from "../../test/support/processes.ts";
import { removeFolder, temporaryFolder } from "../../test/support/tritontube.ts";
import { HttpClient, loadWith, type Figures } from "../http-load.ts";
import { startNginx } from "../nginx.ts";
import { median } from "../statistics.ts";

const CLIENTS = 8;

const { values } = parseArgs({ options: { seconds: { type: "string", default: "5" }, rounds: { type: "string", default: "3" } } });
const seconds = Number(values.seconds);

/** What is measured: by its name, clients that ask again and again. */
type Contest = Readonly<Record<string, readonly ((turn: number) => Promise<unknown>)[]>>;

/** In turns, so that what the machine does beside falls on all of them; the median of the rounds. */
async function compare(title: string, contest: Contest): Promise<void> {
  const runs = new Map<string, Figures[]>(Object.keys(contest).map((name) => [name, []]));
  // Code is compiled and connections are made before anything counts.
  for (const clients of Object.values(contest)) await loadWith(clients, { seconds: 1 });
  for (let turn = 0; turn < Number(values.rounds); turn++) {
    for (const [name, clients] of Object.entries(contest)) runs.get(name)!.push(await loadWith(clients, { seconds }));
  }
  const of = (name: string, figure: (one: Figures) => number): number => median(runs.get(name)!.map(figure));
  const [first] = runs.keys();
  const rows = [...runs.keys()].map((name) => [
    name,
    {
      "a second": Math.round(of(name, ({ perSecond }) => perSecond)),
      "p50, ms": round(of(name, ({ medianMs }) => medianMs)),
      "p99, ms": round(of(name, ({ p99Ms }) => p99Ms)),
      [`of ${first}`]: round(of(name, ({ perSecond }) => perSecond) / of(first!, ({ perSecond }) => perSecond)),
    },
  ]);
  console.log(`\n${title}`);
  console.table(Object.fromEntries(rows));
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

/** As many clients as always, over kept connections, spread over the servers. */
async function clientsOf(urls: readonly string[], target: (turn: number) => string): Promise<Contest[string]> {
  const open = Array.from({ length: CLIENTS }, async (_, index) => await HttpClient.to(Number(new URL(urls[index % urls.length]!).port)));
  return (await Promise.all(open)).map((client) => async (turn: number) => await client.get(target(turn)));
}

/** Another one each time: answers are given again for a moment. */
const search = (turn: number): string => `/api/v1/videos?q=film-${turn}`;
const eight = <T>(one: T): T[] => Array.from({ length: CLIENTS }, () => one);

async function searches({ urls }: Processes): Promise<void> {
  await compare("Searches", { "one gateway": await clientsOf(urls.slice(0, 1), search), "two gateways": await clientsOf(urls, search) });
}

async function segments({ urls }: Processes, folder: string): Promise<void> {
  const { id } = await uploadFile(urls[0]!, await makeSource(folder, { seconds: 12 }));
  await untilStatus(urls[0]!, id, ["ready"]);
  const { path, bytes } = await largest(await segmentAddresses(`${urls[0]}/api/v1/videos/${id}/master.m3u8`));
  await mkdir(join(folder, "www"));
  await writeFile(join(folder, "www/segment.m4s"), bytes);
  const nginx = await startNginx(folder);
  const contest = {
    "one gateway": await clientsOf(urls.slice(0, 1), () => path),
    "two gateways": await clientsOf(urls, () => path),
    nginx: await clientsOf([nginx.url], () => "/segment.m4s"),
  };
  await compare(`Segments of ${Math.round(bytes.length / 1024)} KiB`, contest).finally(nginx.stop);
}

async function largest(addresses: readonly string[]): Promise<{ path: string; bytes: Buffer }> {
  const all = await Promise.all(
    addresses.map(async (address) => ({ path: new URL(address).pathname, bytes: Buffer.from(await (await fetch(address)).arrayBuffer()) })),
  );
  return all.reduce((a, b) => (b.bytes.length > a.bytes.length ? b : a));
}

/** Both ends are processes of their own, and what is asked is answered at once. */
async function calls({ broker, nats }: Processes): Promise<void> {
  const echo = fork(join(import.meta.dirname, "echo.ts"), [nats.url]);
  await once(echo, "message");
  const { host, username, password } = new URL(nats.url);
  const client = await connect({ servers: host, user: username, pass: password });
  const bytes = Buffer.from(JSON.stringify(await call(broker, transcoder.info, {})));
  const contest = {
    "NATS, bare": eight(async () => await client.request("bench.echo", bytes)),
    "a call of Moleculer": eight(async () => await call(broker, transcoder.info, {})),
  };
  await compare("Calls of another process", contest);
  await client.close();
  echo.disconnect();
}

const folder = await temporaryFolder("tritontube-bench-");
const cluster = await startProcesses({ nodes: { gateway: 2 } });
try {
  console.log(`${availableParallelism()} cores for everything, ${CLIENTS} clients, ${seconds} s a run, the median of ${values.rounds}`);
  await calls(cluster);
  await searches(cluster);
  await segments(cluster, folder);
} finally {
  await cluster.stop();
  await removeFolder(folder);
}
process.exit(0);
