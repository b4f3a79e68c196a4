/** From the target of a request to what is done there. */
import type { ServiceBroker } from "moleculer";
import { failure } from "../kernel/errors.ts";
import type { Caller } from "../kernel/rpc.ts";
import type { Answering } from "./dispatch.ts";

/** A path with names in it, as moleculer-web keeps it: a regular expression. */
export interface Alias {
  readonly fullPath: string;
  readonly handler: Answering;
  match(path: string): Readonly<Record<string, string>> | false;
}

interface Address {
  /** What every path of it begins with: to compare that is cheaper than to try its expression, and there are a dozen of as many segments. */
  readonly start: string;
  readonly alias: Alias;
}

export class Addresses {
  readonly #addresses: ReadonlyMap<number, readonly Address[]>;

  /** None of them has a method, nor a name that stands for several segments. */
  constructor(aliases: readonly Alias[]) {
    const addresses = aliases.map((alias) => ({ alias, start: alias.fullPath.replace(/:.*$/, "") }));
    this.#addresses = Map.groupBy(addresses, ({ alias }) => segmentsIn(alias.fullPath));
  }

  /** Only paths of as many segments are tried. ROUTE_NOT_FOUND. */
  find(target: string): { readonly alias: Alias; readonly segments: Readonly<Record<string, string>> } {
    const path = pathOf(target);
    for (const { alias, start } of this.#addresses.get(segmentsIn(path)) ?? []) {
      const segments = path.startsWith(start) && alias.match(path);
      if (segments) return { alias, segments };
    }
    throw failure("ROUTE_NOT_FOUND", "There is nothing at this address.");
  }
}

/** Without its query, and without a slash at its end. */
function pathOf(target: string): string {
  const query = target.indexOf("?");
  const path = query < 0 ? target : target.slice(0, query);
  return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
}

/** A slash at the end begins none. */
function segmentsIn(path: string): number {
  let slashes = 0;
  for (let at = path.indexOf("/"); at >= 0; at = path.indexOf("/", at + 1)) slashes++;
  return path.endsWith("/") ? slashes - 1 : slashes;
}

/** Calls of one request: each carries its id, for logs and traces. */
export function callerFor(broker: ServiceBroker, requestID: string): Caller {
  return { call: async (action, params, options) => await broker.call(action, params as object, { ...options, requestID }) };
}
