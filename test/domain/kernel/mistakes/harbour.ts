/** A small contract, and what fulfils it: nothing in this file is a mistake. */
import { z } from "zod";
import { action, call, contract, event, implement, returns, type Caller } from "../../../../services/kernel/rpc.ts";

export interface Ship {
  readonly name: string;
}

export const harbour = contract("harbour", {
  get: action({ params: z.strictObject({ id: z.string() }), returns: returns<Ship>(), scope: "cluster", idempotent: true }),
  count: action({
    params: z.strictObject({ from: z.int().default(1) }),
    returns: returns<number>(),
    scope: "cluster",
    idempotent: true,
  }),
});
export const arrived = event<{ id: string }>("ship.arrived");
export declare const from: Caller;

export const right = implement()(harbour, {
  async get({ id }) {
    return await Promise.resolve({ name: id });
  },
  // A default has been filled in when a handler sees it, and may be left out by a caller.
  async count({ from: first }) {
    return await Promise.resolve(first + 1);
  },
});
export const name = call(from, harbour.get, { id: "1" }).then((ship) => ship.name);
export const count = call(from, harbour.count, {});
