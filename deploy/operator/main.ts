/**
 * `npm run repl`: where an operator speaks to a running TritonTube. With NATS_URL it joins the cluster; without, it reaches the `npm start` whose DATA_DIR it
 * shares. On a terminal it asks for commands; otherwise it reads them from standard input, or takes one from its arguments, and ends with 1 when one failed.
 */
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { ServiceBroker } from "moleculer";
import { loadConfig } from "../../config/index.ts";
import brokerOptions from "../../moleculer.config.ts";
import { ring } from "../../services/ring/contract.ts";
import { evaluate, type Evaluation } from "./evaluate.ts";
import { replOptions } from "./repl.ts";
import { joinSocket } from "./socket.ts";

/** For the nodes of a cluster to be heard of. */
const JOIN_MS = 10_000;

interface Session {
  evaluate(line: string): Promise<Evaluation>;
  end(): Promise<void>;
}

async function overNats(): Promise<{ session: Session; broker: ServiceBroker }> {
  const broker = new ServiceBroker({ ...brokerOptions(loadConfig({}, { LOG_FORMAT: "pretty", LOG_LEVEL: "error" })), ...replOptions });
  await broker.start();
  await broker.waitForServices([ring.get.name.split(".")[0]!], JOIN_MS);
  return { broker, session: { evaluate: async (line) => await evaluate(broker, line), end: async () => await broker.stop() } };
}

async function overSocket(): Promise<Session> {
  const dataDir = resolve(loadConfig().DATA_DIR);
  const joined = await joinSocket(dataDir).catch((error: NodeJS.ErrnoException) => {
    throw new Error(
      `No TritonTube listens in ${dataDir} (${error.code}): is it running? Set DATA_DIR to its folder, or NATS_URL to join a cluster.`,
    );
  });
  return { evaluate: joined.evaluate, end: async () => joined.close() };
}

/** Runs each line; whether all of them went well. */
async function converse(session: Session, lines: AsyncIterable<string>, after: () => void): Promise<boolean> {
  let well = true;
  for await (const line of lines) {
    if (line.trim() === "exit") break;
    const { text, failed } = await session.evaluate(line);
    if (text !== "") (failed ? process.stderr : process.stdout).write(`${text}\n`);
    well &&= !failed;
    after();
  }
  return well;
}

async function main(): Promise<boolean> {
  const said = process.argv.slice(2).join(" ");
  const asking = said === "" && process.stdin.isTTY;
  const cluster = loadConfig().NATS_URL === undefined ? undefined : await overNats();
  if (cluster && asking) {
    // Everything that moleculer-repl knows, and our commands in it.
    cluster.broker.repl();
    return true;
  }
  const session = cluster?.session ?? (await overSocket());
  const terminal = createInterface({ input: process.stdin, ...(asking ? { output: process.stdout, prompt: "tritontube> " } : {}) });
  if (asking) terminal.prompt();
  const well = await converse(session, said === "" ? terminal : linesOf(said), () => asking && terminal.prompt());
  terminal.close();
  await session.end();
  return well;
}

async function* linesOf(said: string): AsyncGenerator<string> {
  yield said;
}

try {
  if (!(await main())) process.exitCode = 1;
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
