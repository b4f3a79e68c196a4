/** A running TritonTube that an operator speaks to: with NATS_URL the cluster, without it the `npm start` whose DATA_DIR this process shares. */
import { resolve } from "node:path";
import { ServiceBroker } from "moleculer";
import { loadConfig } from "../../config/index.ts";
import brokerOptions from "../../moleculer.config.ts";
import { ring } from "../../services/ring/contract.ts";
import { evaluate, type Evaluation } from "./evaluate.ts";
import { replOptions } from "./repl.ts";
import { joinSocket } from "./socket.ts";

/** Whoever listens ends this process. */
const NEVER = new AbortController().signal;

/** For the nodes of a cluster to be heard of. */
const JOIN_MS = 10_000;

export interface Session {
  /** Where there is a cluster: this process as a node of it. */
  readonly broker?: ServiceBroker;
  evaluate(line: string, say?: (said: string) => void): Promise<Evaluation>;
  end(): Promise<void>;
}

/** Throws when there is nobody. */
export async function openSession(): Promise<Session> {
  return loadConfig().NATS_URL === undefined ? await overSocket() : await overNats();
}

async function overNats(): Promise<Session> {
  const broker = new ServiceBroker({ ...brokerOptions(loadConfig({}, { LOG_FORMAT: "pretty", LOG_LEVEL: "error" })), ...replOptions });
  await broker.start();
  await broker.waitForServices([ring.get.name.split(".")[0]!], JOIN_MS);
  return {
    broker,
    evaluate: async (line, say) => await evaluate(broker, line, say && { say, signal: NEVER }),
    end: async () => await broker.stop(),
  };
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
