/** Where the time of a request went: told to the client (Server-Timing) and to the log. */
import type { ServerResponse } from "node:http";

const spent = new WeakMap<ServerResponse, Map<string, number>>();

/** Notes how long `work` took in a service. What runs at the same time counts one by one. */
export async function timedIn<R>(res: ServerResponse, service: string, work: () => Promise<R>): Promise<R> {
  const times = spent.get(res) ?? new Map<string, number>();
  spent.set(res, times);
  const began = performance.now();
  try {
    return await work();
  } finally {
    times.set(service, (times.get(service) ?? 0) + performance.now() - began);
  }
}

const NOBODY: Readonly<Record<string, number>> = {};

/** Service → ms so far. */
export function timingsOf(res: ServerResponse): Readonly<Record<string, number>> {
  const times = spent.get(res);
  if (!times) return NOBODY;
  return Object.fromEntries([...times].map(([service, ms]) => [service, Math.round(ms * 10) / 10]));
}

/** W3C Server Timing. Undefined when nobody was asked. */
export function serverTiming(res: ServerResponse): string | undefined {
  if (!spent.has(res)) return undefined;
  const entries = Object.entries(timingsOf(res)).map(([service, ms]) => `${service};dur=${ms}`);
  return entries.join(", ");
}
