/** A NATS server for a test: a process of its own on a free port. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { needs } from "./neighbours.ts";

export interface TestNats {
  readonly url: string;
  stop(): Promise<void>;
}

/** Answers when clients can connect. Port -1 lets the server choose; it writes the port that it took into its log. */
export async function startNats(): Promise<TestNats> {
  const child = spawn(needs("nats-server"), ["--addr", "127.0.0.1", "--port", "-1"], { stdio: ["ignore", "ignore", "pipe"] });
  const said: string[] = [];
  let port: string | undefined;
  for await (const line of createInterface({ input: child.stderr })) {
    said.push(line);
    port ??= /Listening for client connections on 127\.0\.0\.1:([0-9]+)/.exec(line)?.[1];
    if (line.includes("Server is ready")) break;
  }
  if (port === undefined) throw new Error(`nats-server did not start:\n${said.join("\n")}`);
  child.stderr.resume();
  return {
    url: `nats://127.0.0.1:${port}`,
    async stop() {
      child.kill("SIGTERM");
      await once(child, "exit");
    },
  };
}
