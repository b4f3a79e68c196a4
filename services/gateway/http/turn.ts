/**
 * Answers that are ready in the same turn of the event loop go out one after the other at its end. Sent between the requests that are still to be read, each
 * wakes a client that waits, and takes the processor away from what is half done: clients that never wait cost a quarter more (`npm run bench:api`).
 */
import type { ServerResponse } from "node:http";
import { isTraced, outside } from "../../kernel/trace.ts";

const ready: (readonly [ServerResponse, Uint8Array | undefined])[] = [];

/** From here on the answer is given, and nothing of it can be changed. */
export function endWithTurn(res: ServerResponse, body: Uint8Array | undefined): void {
  // Whatever follows from an answer follows where it ends: a line of the log would name the trace of another one.
  if (isTraced()) return void res.end(body);
  if (ready.length === 0) outside(() => setImmediate(endAll));
  res.writeHead(res.statusCode);
  ready.push([res, body]);
}

function endAll(): void {
  for (const [res, body] of ready.splice(0)) res.end(body);
}
