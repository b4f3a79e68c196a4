/**
 * The servers that `bench/api.ts` compares, each a process of its own: `startServer("api", [databaseUrl])`, and `startServer("plain", [file])`, a server in
 * ten lines of node:http that answers the headers and the body that a file holds.
 */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { ServiceBroker } from "moleculer";
import { loadConfig } from "../config/index.ts";
import brokerOptions from "../moleculer.config.ts";
import gateway from "../services/gateway/gateway.service.ts";
import videosService from "../services/videos/videos.service.ts";

export interface MeasuredServer {
  readonly port: number;
  /** CPU that the process has used so far, in ms, the kernel's for it included. */
  cpuMs(): Promise<number>;
  stop(): Promise<void>;
}

type Kind = keyof typeof servers;

const servers = {
  async api(databaseUrl: string): Promise<number> {
    const config = loadConfig({ DATABASE_URL: databaseUrl, PORT: "0", HOST: "127.0.0.1" });
    const broker = new ServiceBroker(brokerOptions(config));
    broker.createService(videosService);
    const service = broker.createService(gateway) as unknown as { server: { address(): AddressInfo } };
    await broker.start();
    return service.server.address().port;
  },
  async plain(file: string): Promise<number> {
    const answer = JSON.parse(await readFile(file, "utf8")) as { headers: [string, string][]; body: string };
    const body = Buffer.from(answer.body);
    // Those of the connection, and the time, are the server's own.
    const headers = answer.headers.filter(([name]) => !/^(?:date|connection|keep-alive)$/i.test(name));
    const server = createServer((_, response) => {
      for (const [name, value] of headers) response.setHeader(name, value);
      response.end(body);
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  },
};

export async function startServer(kind: Kind, given: string): Promise<MeasuredServer> {
  // One line a request goes to its log, as in operation; nobody reads it here.
  const child = fork(import.meta.filename, [kind, given], { stdio: ["ignore", "inherit", "ignore", "ipc"] });
  const port = await told<number>(child);
  return {
    port,
    async cpuMs() {
      child.send("cpu");
      return await told<number>(child);
    },
    async stop() {
      child.kill("SIGKILL");
      await once(child, "exit");
    },
  };
}

/** The next thing that it says. */
async function told<T>(child: ChildProcess): Promise<T> {
  const ended = new AbortController();
  const onExit = (): void => ended.abort(new Error("the server ended"));
  child.once("exit", onExit);
  const [message] = (await once(child, "message", { signal: ended.signal })) as [T];
  child.off("exit", onExit);
  return message;
}

const [, main, kind, given] = process.argv;
if (main === import.meta.filename && kind !== undefined && given !== undefined) {
  process.on("message", () => {
    const { user, system } = process.cpuUsage();
    process.send?.((user + system) / 1000);
  });
  process.on("disconnect", () => process.exit());
  process.send?.(await servers[kind as Kind](given));
}
