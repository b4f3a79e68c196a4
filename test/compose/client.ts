/** A client of the cluster that does what a good one does: it asks once more when it does not get what it asked for. */
import { Agent, request } from "node:https";
import type { Readable } from "node:stream";
import { eventually } from "../support/eventually.ts";

/** A gateway holds a request for a segment that is not made yet for 8 s; a proxy looks for another gateway for 5 s. */
const PATIENCE_MS = 30_000;
/** All that it asks for is there, and nobody is told to slow down: any other answer is a failure. */
const GOOD: Readonly<Record<"GET" | "POST", number>> = { GET: 200, POST: 202 };

export interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

interface Wish {
  readonly method?: keyof typeof GOOD;
  readonly headers?: Readonly<Record<string, string>>;
  /** Made anew for each attempt. */
  readonly body?: () => Readable;
}

export class Client {
  readonly #origin: URL;
  readonly #agent: Agent;
  /** Attempts without a good answer, and requests of which the second had none either: what was asked, and what came. */
  readonly firstFailures: string[] = [];
  readonly failures: string[] = [];
  requests = 0;

  constructor(address: string, ca: string) {
    this.#origin = new URL(`https://${address}`);
    this.#agent = new Agent({ ca, servername: "localhost", keepAlive: true, maxSockets: 16 });
  }

  /** Asks, and asks once more. Throws when that fails, too. */
  async ask(path: string, wish: Wish = {}): Promise<Answer> {
    this.requests++;
    for (const failed of [this.firstFailures, this.failures]) {
      const answer = await this.#once(path, wish).catch((error: Error) => error);
      const method = wish.method ?? "GET";
      if (!(answer instanceof Error) && answer.status === GOOD[method]) return answer;
      failed.push(`${method} ${path}: ${answer instanceof Error ? answer.message : problemIn(answer)}`);
      // It asks again when somebody says that he is ready, as a page does whose connection comes and goes.
      await eventually(async () => (await this.#once("/health/ready", {})).status === 200, { what: "a gateway that is ready" });
    }
    throw new Error(`Twice no good answer: ${this.failures.at(-1)}`);
  }

  async json<T>(path: string, wish?: Wish): Promise<T> {
    return JSON.parse((await this.ask(path, wish)).body.toString()) as T;
  }

  close(): void {
    this.#agent.destroy();
  }

  async #once(path: string, { method = "GET", headers = {}, body }: Wish): Promise<Answer> {
    return await new Promise((resolve, reject) => {
      const asked = request(new URL(path, this.#origin), {
        method,
        agent: this.#agent,
        timeout: PATIENCE_MS,
        headers: { host: "localhost", ...headers },
      });
      asked.on("timeout", () => asked.destroy(new Error(`nothing came for ${PATIENCE_MS / 1000} s`)));
      asked.on("error", reject);
      asked.on("response", (answer) => {
        const parts: Buffer[] = [];
        answer.on("data", (part: Buffer) => parts.push(part));
        answer.on("error", reject);
        answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(parts) }));
      });
      if (body) body().on("error", reject).pipe(asked);
      else asked.end();
    });
  }
}

/** "503 SERVICE_UNAVAILABLE"; the status alone, when it comes from the proxy. */
function problemIn({ status, body }: Answer): string {
  const code = /"code":"([A-Z_]+)"/.exec(body.toString())?.[1];
  return code === undefined ? String(status) : `${status} ${code}`;
}
