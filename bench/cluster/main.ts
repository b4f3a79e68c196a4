/**
 * `npm run bench:cluster [-- --seconds 5 --rounds 3]`: what a further node brings, on this machine: searches in a catalogue that is filled (gateway, NATS, a
 * node that decides, PostgreSQL) and segments (gateway, disks), through one gateway and through two; segments against nginx; and a call of Moleculer
 * against a bare request of NATS.
 * Everything shares the cores of this machine, also the clients, so a second gateway brings what is left of them. What it brings on a machine of its own
 * follows from the CPU that each kind of process takes for a request.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { connect } from "nats";
import { Client } from "pg";
import { call } from "../../services/kernel/rpc.ts";
import { transcoder } from "../../services/transcoder/contract.ts";
import { segmentAddresses, untilStatus, uploadFile } from "../../test/support/client.ts";
import { fillLibrary } from "../../test/support/library.ts";
import { makeSource } from "../../test/support/media.ts";
import { startProcesses, type Processes } from "../../test/support/processes.ts";
import { removeFolder, temporaryFolder } from "../../test/support/tritontube.ts";
import { HttpClient, loadWith, type Answer, type Figures } from "../http-load.ts";
import { startNginx } from "../nginx.ts";
import { cpuSeconds, family } from "../processes.ts";
import { median } from "../statistics.ts";

const CLIENTS = 8;
/** In the catalogue while searches are measured: they lie there until the end, and nobody works on them. */
const VIDEOS = 20_000;
/** Of so many lists is remembered how long they are (services/videos/lists.ts), for up to a minute: a word that comes again only after more is asked anew. */
const REMEMBERED_MAX = 2000;

const { values } = parseArgs({ options: { seconds: { type: "string", default: "5" }, rounds: { type: "string", default: "3" } } });
const seconds = Number(values.seconds);

/** What is measured: by its name, clients that ask again and again. */
type Contest = Readonly<Record<string, readonly ((turn: number) => Promise<unknown>)[]>>;
/** Whose CPU is told: by what they are, the first process of each. */
type Workers = Readonly<Record<string, readonly number[]>>;
/** CPU of each kind for one request, ms. */
type Costs = Readonly<Record<string, number>>;

interface Run extends Figures {
  readonly costs: Costs;
}

/** In turns, so that what the machine does beside falls on all of them; the median of the rounds. Answers what a request costs in the first. */
async function compare(title: string, contest: Contest, workers: Workers): Promise<Costs> {
  const runs = new Map<string, Run[]>(Object.keys(contest).map((name) => [name, []]));
  // Code is compiled and connections are made before anything counts.
  for (const clients of Object.values(contest)) await loadWith(clients, { seconds: 1 });
  for (let turn = 0; turn < Number(values.rounds); turn++) {
    for (const [name, clients] of Object.entries(contest)) runs.get(name)!.push(await run(clients, workers));
  }
  const of = (name: string, figure: (one: Run) => number): number => median(runs.get(name)!.map(figure));
  const costs = (name: string): Costs =>
    Object.fromEntries(Object.keys(workers).map((kind) => [kind, round(of(name, (one) => one.costs[kind]!))]));
  const [first = ""] = runs.keys();
  const rows = [...runs.keys()].map((name) => [
    name,
    {
      "a second": Math.round(of(name, ({ perSecond }) => perSecond)),
      "p50, ms": round(of(name, ({ medianMs }) => medianMs)),
      "p99, ms": round(of(name, ({ p99Ms }) => p99Ms)),
      [`of ${first}`]: round(of(name, ({ perSecond }) => perSecond) / of(first, ({ perSecond }) => perSecond)),
      ...Object.fromEntries(Object.entries(costs(name)).map(([kind, ms]) => [`${kind}, ms of CPU`, ms])),
    },
  ]);
  console.log(`\n${title}`);
  console.table(Object.fromEntries(rows));
  return costs(first);
}

async function run(clients: Contest[string], workers: Workers): Promise<Run> {
  const before = await cpuOf(workers);
  const figures = await loadWith(clients, { seconds });
  const after = await cpuOf(workers);
  const costs = Object.keys(workers).map((kind) => [kind, ((after[kind]! - before[kind]!) * 1000) / figures.requests]);
  return { ...figures, costs: Object.fromEntries(costs) as Costs };
}

/** Seconds, of each with all that it has started. */
async function cpuOf(workers: Workers): Promise<Costs> {
  const sums = Object.entries(workers).map(async ([kind, roots]) => {
    const members = (await Promise.all(roots.map(family))).flat();
    return [kind, await cpuSeconds(members.map(({ pid }) => pid))];
  });
  return Object.fromEntries(await Promise.all(sums)) as Costs;
}

/** What one more of each brings, where each has a core of its own: the kind that carries least is the one to add. */
function capacities(title: string, costs: Costs): void {
  const carried = Object.entries(costs).filter(([, ms]) => ms > 0);
  const rows = carried.map(([kind, ms]) => [kind, { "ms of CPU a request": ms, "a core carries, a second": Math.round(1000 / ms) }]);
  console.log(`\n${title}`);
  console.table(Object.fromEntries(rows));
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

/** As many clients as always, over kept connections, spread over the servers. */
async function clientsOf(
  urls: readonly string[],
  target: () => string,
  check: (answer: Answer) => void = () => {},
): Promise<Contest[string]> {
  const open = Array.from({ length: CLIENTS }, async (_, index) => await HttpClient.to(Number(new URL(urls[index % urls.length]!).port)));
  return (await Promise.all(open)).map((client) => async () => check(await client.get(target())));
}

/** Words that find videos which everybody may see, common and rare ones mixed. */
const WORDS = `
select word from search_vocabulary
where exists (select from videos where search @@ search_query(word) and deleted_at is null and visibility = 'public')
order by md5(word)`;

/** What a catalogue that was filled can be searched for. */
async function searchedWords(databaseUrl: string): Promise<readonly string[]> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const { rows } = await client.query<{ word: string }>(WORDS);
    if (rows.length <= REMEMBERED_MAX) throw new Error(`only ${rows.length} words find videos: what is remembered would answer`);
    return rows.map(({ word }) => word);
  } finally {
    await client.end();
  }
}

/** Another one each time, also from one run to the next: answers are given again for a moment. */
function searchesFor(words: readonly string[]): () => string {
  let asked = 0;
  return () => `/api/v1/videos?q=${words[asked++ % words.length]}`;
}

/** Looks at the first bytes alone: to read all of it would take CPU from those who are measured. */
function holdsVideos({ body }: Answer): void {
  const beginning = '{"data":[{';
  if (body.toString("latin1", 0, beginning.length) !== beginning) throw new Error(`a search found no video: ${body.toString()}`);
}

const eight = <T>(one: T): T[] => Array.from({ length: CLIENTS }, () => one);

const pids = (all: readonly { readonly pid: number }[]): number[] => all.map(({ pid }) => pid);

function workersOf({ nodes, disks, database, nats }: Processes): Workers {
  return {
    gateways: pids(nodes.gateway),
    "nodes that decide": pids(nodes.videos),
    PostgreSQL: [database.pid],
    NATS: [nats.pid],
    disks: pids(disks),
  };
}

async function searches(cluster: Processes): Promise<void> {
  const { urls, joining } = cluster;
  const databaseUrl = joining["DATABASE_OWNER_URL"]!;
  await fillLibrary(databaseUrl, VIDEOS);
  const search = searchesFor(await searchedWords(databaseUrl));
  const contest = {
    "one gateway": await clientsOf(urls.slice(0, 1), search, holdsVideos),
    "two gateways": await clientsOf(urls, search, holdsVideos),
  };
  const title = `Searches in ${VIDEOS.toLocaleString("en")} videos`;
  capacities("What each kind of process takes for a search", await compare(title, contest, workersOf(cluster)));
}

async function segments(cluster: Processes, folder: string): Promise<void> {
  const { urls } = cluster;
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
  const title = `Segments of ${Math.round(bytes.length / 1024)} KiB`;
  const costs = await compare(title, contest, { ...workersOf(cluster), nginx: [nginx.pid] }).finally(nginx.stop);
  capacities("What each kind of process takes for a segment", costs);
}

async function largest(addresses: readonly string[]): Promise<{ path: string; bytes: Buffer }> {
  const all = await Promise.all(
    addresses.map(async (address) => ({ path: new URL(address).pathname, bytes: Buffer.from(await (await fetch(address)).arrayBuffer()) })),
  );
  return all.reduce((a, b) => (b.bytes.length > a.bytes.length ? b : a));
}

/** Both ends are processes of their own, and what is asked is answered at once. */
async function calls({ broker, nats: server, nodes }: Processes): Promise<void> {
  const echo = fork(join(import.meta.dirname, "echo.ts"), [server.url]);
  await once(echo, "message");
  const { host, username, password } = new URL(server.url);
  const client = await connect({ servers: host, user: username, pass: password });
  const bytes = Buffer.from(JSON.stringify(await call(broker, transcoder.info, {})));
  const contest = {
    "NATS, bare": eight(async () => await client.request("bench.echo", bytes)),
    "a call of Moleculer": eight(async () => await call(broker, transcoder.info, {})),
  };
  await compare("Calls of another process", contest, { "who answers": [echo.pid!, nodes.transcoder[0]!.pid], NATS: [server.pid] });
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
