/** What mistakes are told to: takes envelopes as Sentry's SDK sends them over HTTP, or takes them and never answers. */
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

export interface ToldMistake {
  readonly event_id: string;
  readonly release: string;
  readonly server_name: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly contexts: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly extra: Readonly<Record<string, number>>;
  readonly exception: {
    readonly values: readonly {
      readonly type: string;
      readonly value: string;
      readonly stacktrace?: {
        readonly frames: readonly { readonly filename: string; readonly function: string; readonly lineno: number }[];
      };
    }[];
  };
}

export interface SentryReceiver {
  /** For SENTRY_DSN. */
  readonly dsn: string;
  readonly events: readonly ToldMistake[];
  /** Every byte that came: request lines, headers and bodies. */
  readonly everything: () => string;
  /** From now on nobody is answered. */
  hang(): void;
  answer(): void;
  stop(): Promise<void>;
}

export async function startSentryReceiver(): Promise<SentryReceiver> {
  const events: ToldMistake[] = [];
  const raw: string[] = [];
  let hanging = false;
  const server = createServer((req, res) => {
    void take(req, events, raw).finally(() => {
      if (!hanging) res.writeHead(200, { "Content-Type": "application/json" }).end("{}");
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    dsn: `http://public@127.0.0.1:${(server.address() as AddressInfo).port}/1`,
    events,
    everything: () => raw.join("\n"),
    hang: () => void (hanging = true),
    answer: () => void (hanging = false),
    async stop() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function take(req: IncomingMessage, events: ToldMistake[], raw: string[]): Promise<void> {
  const body = await text(req);
  raw.push(`${req.method} ${req.url}`, JSON.stringify(req.headers), body);
  if (req.url?.startsWith("/api/1/envelope/") === true) events.push(...eventsIn(body));
}

/** An envelope is lines of JSON: its own header, and then a header and a body of each item. */
function eventsIn(envelope: string): ToldMistake[] {
  const lines = envelope.split("\n").filter((line) => line !== "");
  return lines.flatMap((line, index) => {
    const { type } = JSON.parse(line) as { type?: string };
    return index % 2 === 1 && type === "event" ? [JSON.parse(lines[index + 1] ?? "{}") as ToldMistake] : [];
  });
}
