/** Each line with a code behind it must be refused with that code: test/domain/kernel/mistakes.test.ts. */
import { action, broadcast, call, returns } from "../../../../services/kernel/rpc.ts";
import { z } from "zod";
import { arrived, from, harbour } from "./harbour.ts";

await call(from, harbour.sink, { id: "1" }); // unknown action: TS2339
await call(from, "harbour.get", { id: "1" }); // an action by its name: TS2345
await call(from, harbour.get, { id: 1 }); // wrong parameter: TS2322
await call(from, harbour.get, {}); // missing parameter: TS2741
await call(from, harbour.get, { id: "1", deep: true }); // superfluous parameter: TS2353
const ship: string = await call(from, harbour.get, { id: "1" }); // wrong result: TS2322
await broadcast({ broadcast: async () => {} }, arrived, { ship }); // wrong payload of an event: TS2353

action({ params: z.strictObject({}), returns: returns<null>(), idempotent: true }); // no scope: TS2741
action({ params: z.strictObject({}), returns: returns<null>(), scope: "node" }); // not said whether it may be repeated: TS2741
