/** Each line with a code behind it must be refused with that code: test/domain/kernel/mistakes.test.ts. */
import { implement } from "../../../../services/kernel/rpc.ts";
import { harbour } from "./harbour.ts";

const get = async ({ id }: { id: string }) => await Promise.resolve({ name: id });
const count = async ({ from }: { from: number }) => await Promise.resolve(from);

implement()(harbour, { get }); // missing action: TS2741
implement()(harbour, { get, count, sink: get }); // superfluous action: TS2353
implement()(harbour, {
  get,
  count: async () => await Promise.resolve("many"), // wrong result: TS2322
});
implement()(harbour, {
  get: async ({ berth }) => await Promise.resolve({ name: berth }), // a parameter that the contract has not: TS2339
  count,
});
