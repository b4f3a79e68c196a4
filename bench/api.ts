/**
 * `npm run bench:api [-- --videos 1000000 --seconds 2 --rounds 9 --clients 50 --rate 1000 --only list,get --library folder]`: what the API's questions cost with a large catalogue. Each is asked
 * by all clients at once, over kept connections: of the API, of its bare SQL through `pg`, and of a plain node:http server that answers the same bytes,
 * headers and all. First each client asks again as soon as it is answered: then nobody is faster than the number of clients by what is answered a second.
 * Then all together ask so many a second, which is where latencies mean something, and where both servers wake up as often. Servers and clients are
 * processes of their own. The cost is the CPU that the serving process takes for an answer: on a machine where clients and servers share the cores, how
 * many there are a second says more about the clients.
 * DATABASE_URL may name a database that is filled already; else one is made and filled. `--library` names the folder in which it is kept for the next run.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Client, Pool } from "pg";
import { loadConfig } from "../config/index.ts";
import { startPostgres } from "../deploy/local/postgres.ts";
import { migrate } from "../mixins/database/migrate.ts";
import { fillLibrary } from "../test/support/library.ts";
import { removeFolder, temporaryFolder } from "../test/support/tritontube.ts";
import { startServer, type MeasuredServer } from "./api-servers.ts";
import { HttpClient, loadWith, type Answer, type Figures, type Load } from "./http-load.ts";
import { median } from "./statistics.ts";

/** Before anything is measured: code is compiled while it runs. */
const WARM_UP_SECONDS = 4;
/** What is asked: an address of the API, and the statement that a plain program would make instead. `turn` makes questions differ. */
interface Question {
  readonly name: string;
  readonly target: (turn: number) => string;
  readonly sql: string;
  readonly bind: (turn: number) => unknown[];
}

const VIDEOS = "/api/v1/videos";
const COLUMNS = "id, title, description, tags, visibility, owner_id, status, duration_s, created_at, updated_at";

async function questions(pool: Pool, deepCursor: string): Promise<Question[]> {
  const { rows: ids } = await pool.query<{ id: string }>("select id from videos where deleted_at is null and status = 'ready' limit 5000");
  const { rows: words } = await pool.query<{ word: string }>("select word from search_vocabulary order by md5(word) limit 400");
  const id = (turn: number): string => ids[(turn * 7919) % ids.length]?.id ?? "";
  const word = (turn: number): string => words[(turn * 31) % words.length]?.word ?? "";
  const newest = `select ${COLUMNS} from videos where deleted_at is null order by created_at desc, id desc limit 21`;
  const found = `select ${COLUMNS} from videos where deleted_at is null and search @@ search_query($1)`;
  return [
    { name: "list", target: () => VIDEOS, sql: newest, bind: () => [] },
    { name: "deep page", target: () => `${VIDEOS}?page=5000`, sql: `${newest} offset 99980`, bind: () => [] },
    {
      name: "cursor page",
      target: () => `${VIDEOS}?cursor=${deepCursor}`,
      sql: `select ${COLUMNS} from videos where deleted_at is null and (created_at, id) < (now() - interval '200 days', $1::uuid) order by created_at desc, id desc limit 21`,
      bind: (turn) => [id(turn)],
    },
    {
      name: "search",
      target: (turn) => `${VIDEOS}?q=${word(turn)}`,
      sql: `${found} order by created_at desc, id desc limit 21`,
      bind: (turn) => [word(turn)],
    },
    {
      name: "filtered search",
      target: (turn) => `${VIDEOS}?q=${word(turn)}&minDuration=60&maxDuration=1200&sort=-createdAt`,
      sql: `${found} and duration_sort between 60 and 1200 order by created_at desc, id desc limit 21`,
      bind: (turn) => [word(turn)],
    },
    {
      name: "get",
      target: (turn) => `${VIDEOS}/${id(turn)}`,
      sql: `select ${COLUMNS} from videos where id = $1`,
      bind: (turn) => [id(turn)],
    },
  ];
}

interface Measured extends Figures {
  /** CPU of the serving process, ms an answer. */
  readonly cpuMs: number;
}

async function measure(server: MeasuredServer, target: (turn: number) => string, run: Load): Promise<Measured> {
  const clients = await Promise.all(Array.from({ length: run.clients }, async () => await HttpClient.to(server.port)));
  try {
    const before = await server.cpuMs();
    const figures = await loadWith(
      clients.map((client) => async (turn) => await client.get(target(turn))),
      run,
    );
    return { ...figures, cpuMs: ((await server.cpuMs()) - before) / figures.requests };
  } finally {
    for (const client of clients) client.close();
  }
}

async function measureSql(pool: Pool, { sql, bind }: Question, run: Load): Promise<Measured> {
  const before = process.cpuUsage();
  const figures = await loadWith(
    Array.from({ length: run.clients }, () => async (turn: number) => await pool.query(sql, bind(turn))),
    run,
  );
  const { user, system } = process.cpuUsage(before);
  return { ...figures, cpuMs: (user + system) / 1000 / figures.requests };
}

/** By CPU, the middle of the rounds: each held against what the other cost in the same moment, as a busy neighbour makes both dearer. */
function costOf(ours: readonly Measured[], theirs: readonly Measured[]): number {
  return median(ours.map(({ cpuMs }, round) => cpuMs / (theirs[round]?.cpuMs ?? Number.NaN)));
}

/** The middle one by what it cost. */
function middle(runs: readonly Measured[]): Measured {
  const cost = median(runs.map(({ cpuMs }) => cpuMs));
  return runs.find(({ cpuMs }) => cpuMs === cost) as Measured;
}

const line = ({ perSecond, medianMs, p99Ms, cpuMs }: Measured): string =>
  `${perSecond.toFixed(0).padStart(6)}/s  median ${medianMs.toFixed(1).padStart(6)} ms  p99 ${p99Ms.toFixed(1).padStart(6)} ms  CPU ${(cpuMs * 1000).toFixed(0).padStart(5)} µs`;

async function ask(server: MeasuredServer, target: string): Promise<Answer> {
  const client = await HttpClient.to(server.port);
  try {
    return await client.get(target);
  } finally {
    client.close();
  }
}

/** Who was measured → what it took in each round. */
type Rounds = ReadonlyMap<string, readonly Measured[]>;

const OURS = "API";

/** All of them in each round. */
async function inTurn(rounds: number, measures: Readonly<Record<string, () => Promise<Measured>>>): Promise<Rounds> {
  const taken = new Map(Object.keys(measures).map((name) => [name, [] as Measured[]]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, measured] of Object.entries(measures)) taken.get(name)?.push(await measured());
  }
  return taken;
}

function table(rounds: Rounds): string {
  const ours = rounds.get(OURS) ?? [];
  const lines = [...rounds].map(([name, runs]) => `  ${name.padEnd(9)}  ${line(middle(runs))}`);
  const costs = [...rounds].filter(([name]) => name !== OURS).map(([name, runs]) => `${costOf(ours, runs).toFixed(2)} × ${name}`);
  return [...lines, `  cost by CPU: ${costs.join(", ")}`].join("\n");
}

interface Run extends Load {
  /** Requests a second that a server of which nothing more is asked can answer. */
  readonly rate: number;
  readonly folder: string;
  /** The servers are measured in turn so often, so that a busy neighbour is nobody's alone. Odd: one of them is the middle. */
  readonly rounds: number;
  /** Names of questions; all of them without it. */
  readonly only: readonly string[] | undefined;
}

async function compare(api: MeasuredServer, pool: Pool, { folder, only, rate, rounds, ...run }: Run): Promise<void> {
  const deep = JSON.parse((await ask(api, `${VIDEOS}?page=5000`)).body.toString()) as { meta: { nextCursor: string } };
  const all = await questions(pool, deep.meta.nextCursor);
  for (const question of all.filter(({ name }) => only?.includes(name) ?? true)) {
    const { name, target } = question;
    const answer = await ask(api, target(0));
    const file = join(folder, "answer.json");
    await writeFile(file, JSON.stringify({ headers: answer.headers, body: answer.body.toString() }));
    const plain = await startServer("plain", file);
    for (const server of [api, plain]) await measure(server, target, { ...run, seconds: WARM_UP_SECONDS });
    const full = await inTurn(rounds, {
      [OURS]: async () => await measure(api, target, run),
      "bare SQL": async () => await measureSql(pool, question, run),
      "node:http": async () => await measure(plain, target, run),
    });
    const calm = await inTurn(rounds, {
      [OURS]: async () => await measure(api, target, { ...run, perSecond: rate }),
      "node:http": async () => await measure(plain, target, { ...run, perSecond: rate }),
    });
    await plain.stop();
    console.log(`${name} (${answer.body.length} bytes)\n${table(full)}\n  at ${rate} a second\n${table(calm)}`);
  }
}

/** What an earlier run left is as good. */
async function fillOnce(url: string, count: number): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  // Of a column that no index has: a library of an earlier run is read from its disk before anybody asks for it.
  const { rows } = await client.query<{ count: number }>("select count(filename)::integer as count from videos");
  await client.end();
  const found = rows[0]?.count ?? 0;
  if (found === 0) await fillLibrary(url, count);
  else if (found !== count) throw new Error(`the library has ${found} videos, and ${count} are asked for: name another folder`);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      videos: { type: "string", default: "1000000" },
      seconds: { type: "string", default: "2" },
      rounds: { type: "string", default: "9" },
      clients: { type: "string", default: "50" },
      rate: { type: "string", default: "1000" },
      only: { type: "string" },
      library: { type: "string" },
    },
  });
  const given = loadConfig().DATABASE_URL;
  const folder = await temporaryFolder("tritontube-bench-");
  const embedded =
    given === undefined ? await startPostgres({ dataDir: values.library ?? folder, log: () => {}, durable: false }) : undefined;
  const url = given ?? embedded?.url ?? "";
  await migrate(url);
  if (embedded) await fillOnce(url, Number(values.videos));
  const pool = new Pool({ connectionString: url, max: 8 });
  // Connections that are still closing when the database ends.
  pool.on("error", () => {});
  const api = await startServer("api", url);
  try {
    console.log(
      `${values.clients} clients, the middle of ${values.rounds} runs of ${values.seconds} s, clients and servers on the same machine`,
    );
    const run = {
      clients: Number(values.clients),
      seconds: Number(values.seconds),
      rate: Number(values.rate),
      rounds: Number(values.rounds),
    };
    await compare(api, pool, { ...run, folder, only: values.only?.split(",") });
  } finally {
    await api.stop();
    await pool.end();
    await embedded?.stop();
    await removeFolder(folder);
  }
}

await main();
