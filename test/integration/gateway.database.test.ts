/** A database that ends and comes back while people ask: they are told to ask again, and nothing is broken afterwards. */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, connect, type AddressInfo, type Server, type Socket } from "node:net";
import { startPostgres, type EmbeddedPostgres } from "../../deploy/local/postgres.ts";
import { closeDatabase } from "../../mixins/database/connection.ts";
import { migrate } from "../../mixins/database/migrate.ts";
import { onlyPerson } from "../../services/kernel/principal.ts";
import { call } from "../../services/kernel/rpc.ts";
import { videos } from "../../services/videos/contract.ts";
import videosService from "../../services/videos/videos.service.ts";
import { startGateway, type RunningGateway } from "../support/catalogue.ts";
import { eventually } from "../support/eventually.ts";
import { ask, type HttpAnswer } from "../support/http.ts";
import { removeFolder, temporaryFolder } from "../support/tritontube.ts";

let folder: string;
let postgres: EmbeddedPostgres;
let entrance: Server;
let gateway: RunningGateway;
/** More than are remembered at once: most questions reach the database. */
const ids = Array.from({ length: 300 }, () => randomUUID());
const open = new Set<Socket>();

/** A server has another port each time it starts: here it is always behind the same one. */
async function openEntrance(): Promise<Server> {
  const server = createServer((client) => {
    const onward = connect({ port: Number(new URL(postgres.url).port), host: "127.0.0.1" });
    for (const [from, to] of [
      [client, onward],
      [onward, client],
    ] as const) {
      open.add(from);
      from.on("error", () => {}).pipe(to);
      from.once("close", () => open.delete(from) && to.destroy());
    }
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

beforeAll(async () => {
  folder = await temporaryFolder("tritontube-restart-");
  postgres = await startPostgres({ dataDir: folder, log: () => {}, durable: false });
  await migrate(postgres.url);
  entrance = await openEntrance();
  const url = Object.assign(new URL(postgres.url), { port: String((entrance.address() as AddressInfo).port) }).href;
  gateway = await startGateway({ env: { DATABASE_URL: url, AUTH_MODE: "none" }, services: [videosService] });
  for (const id of ids) {
    await call(gateway.broker, videos.reserve, { as: onlyPerson, id, title: "A film", filename: "film.mp4", size: 5 });
  }
});
afterAll(async () => {
  await gateway.stop();
  await closeDatabase();
  for (const socket of open) socket.destroy();
  entrance.close();
  await postgres.stop();
  await removeFolder(folder);
});

/** Reads, searches and changes, one after the other, none twice in a row. */
async function question(turn: number): Promise<HttpAnswer> {
  const id = ids[turn % ids.length] ?? "";
  if (turn % 3 === 0) return await ask(gateway.url, `/api/v1/videos?limit=${1 + (turn % 100)}&q=film`);
  if (turn % 3 === 1) return await ask(gateway.url, `/api/v1/videos/${id}`);
  const body = JSON.stringify({ title: `Film ${turn}` });
  return await ask(gateway.url, `/api/v1/videos/${id}`, { method: "PATCH", headers: { "Content-Type": "application/json" }, body });
}

it("answers 503 while the database restarts, never 500, and everything again when it is back", async () => {
  // Sequelize tells the console itself when it cannot even roll back.
  jest.spyOn(console, "warn").mockImplementation(() => {});
  const answers: HttpAnswer[] = [];
  let turn = 0;
  const done = new AbortController();
  const client = async (): Promise<void> => {
    while (!done.signal.aborted) answers.push(await question(turn++));
  };
  const clients = Array.from({ length: 6 }, client);
  const answered = (status: number, from: number) => answers.slice(from).filter((answer) => answer.status === status).length;
  try {
    await eventually(() => answered(200, 0) > 30, { timeoutMs: 60_000, what: "answers before" });
    await postgres.stop();
    await eventually(() => answered(503, 0) > 10, { timeoutMs: 60_000, what: "refusals without a database" });
    postgres = await startPostgres({ dataDir: folder, log: () => {}, durable: false });
    const back = answers.length;
    await eventually(() => answered(200, back) > 60, { timeoutMs: 60_000, what: "answers afterwards" });
    await eventually(() => answers.slice(-30).every(({ status }) => status === 200), { timeoutMs: 60_000, what: "the last refusal" });
  } finally {
    done.abort();
    await Promise.all(clients);
  }
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 503]));
  const refused = answers.filter(({ status }) => status === 503);
  expect(refused.filter(({ headers }) => Number(headers["retry-after"]) > 0)).toHaveLength(refused.length);
  expect(await Promise.all([0, 1, 2].map(async (kind) => (await question(kind)).status))).toEqual([200, 200, 200]);
}, 240_000);
