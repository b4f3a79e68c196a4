/** The refusal of a request that wanted to become another protocol: there is no response to write it to. */
import { randomUUID } from "node:crypto";
import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { problemHeaders, problemOf } from "../domain/problem.ts";

export function refuseUpgrade(socket: Duplex, error: unknown): void {
  const requestId = randomUUID();
  const problem = problemOf(error, { id: requestId, path: "/" });
  const body = JSON.stringify(problem);
  const headers = {
    "Content-Type": "application/problem+json",
    "Content-Length": String(Buffer.byteLength(body)),
    "X-Request-Id": requestId,
    Connection: "close",
    ...problemHeaders(problem),
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  socket.end([`HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status] ?? "Refused"}`, ...lines, "", body].join("\r\n"));
}
