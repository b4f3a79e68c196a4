/**
 * `npm run bench:api [-- --videos 1000000 --seconds 5 --clients 50]`: what the API's questions cost with a large catalogue. Each is asked by all clients at
 * once, over kept connections, for some seconds: first the API, then its bare SQL through `pg`, then a plain node:http server that answers the same bytes.
 * DATABASE_URL may name a database that is filled already; else one is made and filled.
 */
import { createServer, get, Agent } from "node:http";
import type { AddressInfo } from "node:net";
import { parseArgs } from "node:util";
import { Pool } from "pg";
import { ServiceBroker } from "moleculer";
import { loadConfig } from "../config/index.ts";
import { startPostgres } from "../deploy/local/postgres.ts";
import { closeDatabase } from "../mixins/database/connection.ts";
import { migrate } from "../mixins/database/migrate.ts";
import brokerOptions from "../moleculer.config.ts";
import gateway from "../services/gateway/gateway.service.ts";
import videosService from "../services/videos/videos.service.ts";
import { fillLibrary } from "../test/support/library.ts";
import { removeFolder, temporaryFolder } from "../test/support/tritontube.ts";
import { median, percentile } from "./statistics.ts";

interface Load {
  readonly clients: number;
  readonly seconds: number;
}

interface Figures {
  readonly perSecond: number;
  readonly medianMs: number;
  readonly p99Ms: number;
}

/** Every client asks again as soon as it is answered. */
async function load(ask: (turn: number) => Promise<void>, { clients, seconds }: Load): Promise<Figures> {
  const until = performance.now() + seconds * 1000;
  const taken: number[] = [];
  let turn = 0;
  const client = async (): Promise<void> => {
    while (performance.now() < until) {
      const started = performance.now();
      await ask(turn++);
      taken.push(performance.now() - started);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return { perSecond: taken.length / seconds, medianMs: median(taken), p99Ms: percentile(taken, 0.99) };
}

async function fetchFrom(agent: Agent, address: string): Promise<Buffer> {
  return await new Promise((resolve, reject) => {
    get(address, { agent }, (response) => {
      const parts: Buffer[] = [];
      response.on("data", (part: Buffer) => parts.push(part));
      response.on("error", reject);
      response.on("end", () => {
        if (response.statusCode === 200) resolve(Buffer.concat(parts));
        else reject(new Error(`${address} answered ${response.statusCode}`));
      });
    }).on("error", reject);
  });
}

/** A plain server in this process, as the gateway is. */
async function withPlainServer<T>(body: Buffer, work: (url: string) => Promise<T>): Promise<T> {
  const server = createServer((_, response) => {
    response.setHeader("Content-Type", "application/json");
    response.end(body);
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  try {
    return await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** What is asked: an address of the API, and the statement that a plain program would make instead. `turn` makes questions differ. */
interface Question {
  readonly name: string;
  readonly target: (turn: number) => string;
  readonly sql: string;
  readonly bind: (turn: number) => unknown[];
}

const COLUMNS = "id, title, description, tags, visibility, owner_id, status, duration_s, created_at, updated_at";

async function questions(pool: Pool, deepCursor: string): Promise<Question[]> {
  const { rows: ids } = await pool.query<{ id: string }>("select id from videos where deleted_at is null and status = 'ready' limit 5000");
  const { rows: words } = await pool.query<{ word: string }>("select word from search_vocabulary order by md5(word) limit 400");
  const id = (turn: number): string => ids[(turn * 7919) % ids.length]?.id ?? "";
  const word = (turn: number): string => words[(turn * 31) % words.length]?.word ?? "";
  const newest = `select ${COLUMNS} from videos where deleted_at is null order by created_at desc, id desc limit 21`;
  const found = `select ${COLUMNS} from videos where deleted_at is null and search @@ search_query($1)`;
  return [
    { name: "list", target: () => "", sql: newest, bind: () => [] },
    { name: "deep page", target: () => "?page=5000", sql: `${newest} offset 99980`, bind: () => [] },
    {
      name: "cursor page",
      target: () => `?cursor=${deepCursor}`,
      sql: `select ${COLUMNS} from videos where deleted_at is null and (created_at, id) < (now() - interval '200 days', $1::uuid) order by created_at desc, id desc limit 21`,
      bind: (turn) => [id(turn)],
    },
    {
      name: "search",
      target: (turn) => `?q=${word(turn)}`,
      sql: `${found} order by created_at desc, id desc limit 21`,
      bind: (turn) => [word(turn)],
    },
    {
      name: "filtered search",
      target: (turn) => `?q=${word(turn)}&minDuration=60&maxDuration=1200&sort=-createdAt`,
      sql: `${found} and duration_sort between 60 and 1200 order by created_at desc, id desc limit 21`,
      bind: (turn) => [word(turn)],
    },
    { name: "get", target: (turn) => `/${id(turn)}`, sql: `select ${COLUMNS} from videos where id = $1`, bind: (turn) => [id(turn)] },
  ];
}

const line = ({ perSecond, medianMs, p99Ms }: Figures): string =>
  `${perSecond.toFixed(0).padStart(6)}/s  median ${medianMs.toFixed(1).padStart(6)} ms  p99 ${p99Ms.toFixed(1).padStart(6)} ms`;

async function compare(url: string, pool: Pool, run: Load): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: run.clients });
  const api = `${url}/api/v1/videos`;
  const deep = JSON.parse((await fetchFrom(agent, `${api}?page=5000`)).toString()) as { meta: { nextCursor: string } };
  for (const { name, target, sql, bind } of await questions(pool, deep.meta.nextCursor)) {
    const body = await fetchFrom(agent, `${api}${target(0)}`);
    const ours = await load(async (turn) => void (await fetchFrom(agent, `${api}${target(turn)}`)), run);
    const bare = await load(async (turn) => void (await pool.query(sql, bind(turn))), run);
    const plain = await withPlainServer(body, async (at) => await load(async () => void (await fetchFrom(agent, at)), run));
    console.log(`${name} (${body.length} bytes)\n  API        ${line(ours)}\n  bare SQL   ${line(bare)}\n  node:http  ${line(plain)}`);
    console.log(
      `  cost: ${(bare.perSecond / ours.perSecond).toFixed(2)} of bare SQL, ${(plain.perSecond / ours.perSecond).toFixed(2)} of node:http`,
    );
  }
  agent.destroy();
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      videos: { type: "string", default: "1000000" },
      seconds: { type: "string", default: "5" },
      clients: { type: "string", default: "50" },
    },
  });
  const given = loadConfig().DATABASE_URL;
  const folder = await temporaryFolder("tritontube-bench-");
  const embedded = given === undefined ? await startPostgres({ dataDir: folder, log: () => {}, durable: false }) : undefined;
  const url = given ?? embedded?.url ?? "";
  await migrate(url);
  if (embedded) await fillLibrary(url, Number(values.videos));
  const broker = new ServiceBroker({
    ...brokerOptions(loadConfig({ DATABASE_URL: url, PORT: "0", HOST: "127.0.0.1", LOG_LEVEL: "error" })),
  });
  broker.createService(videosService);
  const service = broker.createService(gateway) as unknown as { server: { address(): AddressInfo } };
  await broker.start();
  const pool = new Pool({ connectionString: url, max: 8 });
  try {
    console.log(`${values.clients} clients, ${values.seconds} s a run, clients and servers on the same machine`);
    await compare(`http://127.0.0.1:${service.server.address().port}`, pool, {
      clients: Number(values.clients),
      seconds: Number(values.seconds),
    });
  } finally {
    await pool.end();
    await broker.stop();
    await closeDatabase();
    await embedded?.stop();
    await removeFolder(folder);
  }
}

await main();
