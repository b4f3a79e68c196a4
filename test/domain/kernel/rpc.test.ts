import { Readable } from "node:stream";
import { ServiceBroker, type BrokerOptions } from "moleculer";
import { z } from "zod";
import { attempts as tellAttempts } from "../../../mixins/attempts.ts";
import { errorType, failure } from "../../../services/kernel/errors.ts";
import { action, broadcast, call, contract, event, implement, returns, type Caller } from "../../../services/kernel/rpc.ts";
import { eventually } from "../../support/eventually.ts";

const harbour = contract("harbour", {
  berth: action({
    params: z.strictObject({ ship: z.string().min(1), crew: z.array(z.strictObject({ name: z.string() })).default([]) }),
    returns: returns<{ ship: string; crew: number }>(),
    scope: "cluster",
    idempotent: true,
  }),
  load: action({ params: z.strictObject({}), returns: returns<number>(), scope: "node", idempotent: true, timeoutMs: 0 }),
  sink: action({ params: z.strictObject({ ship: z.string() }), returns: returns<null>(), scope: "cluster", idempotent: false }),
  scrap: action({
    params: z.strictObject({ ship: z.string() }),
    returns: returns<null>(),
    scope: "cluster",
    idempotent: true,
    doneWhen: "VIDEO_NOT_FOUND",
  }),
  /** `lost`: what the broker loses once it is done. */
  clear: action({
    params: z.strictObject({ lost: z.string(), other: z.string() }),
    returns: returns<null>(),
    scope: "cluster",
    idempotent: true,
  }),
});
const storm = event<{ force: number }>("harbour.storm");

/** What a call hands to the broker. */
function recorder(): Caller & { calls: unknown[][] } {
  const calls: unknown[][] = [];
  return {
    calls,
    call: async (...all: unknown[]) => {
      calls.push(all);
      return (await Promise.resolve(null)) as never;
    },
  };
}

it("names an action after its service", () => {
  expect(Object.values(harbour).map(({ name }) => name)).toEqual([
    "harbour.berth",
    "harbour.load",
    "harbour.sink",
    "harbour.scrap",
    "harbour.clear",
  ]);
});

describe("a call", () => {
  it("is repeated by the broker only when that is harmless", async () => {
    const from = recorder();
    await call(from, harbour.berth, { ship: "Argo" });
    await call(from, harbour.sink, { ship: "Argo" });
    expect(from.calls).toEqual([
      ["harbour.berth", { ship: "Argo" }, { timeout: 10_000, retries: 2 }],
      ["harbour.sink", { ship: "Argo" }, { timeout: 10_000, retries: 0 }],
    ]);
  });

  it("is never repeated with a stream, which was half read the first time", async () => {
    const from = recorder();
    const stream = Readable.from(["cargo"]);
    await call(from, harbour.load, {}, { stream });
    expect(from.calls).toEqual([["harbour.load", {}, { timeout: 0, retries: 0, stream }]]);
  });

  it("takes no stream to an action that may be on another node", () => {
    expect(() => call(recorder(), harbour.berth, { ship: "Argo" }, { stream: Readable.from(["cargo"]) })).toThrow("no stream crosses NATS");
  });

  it("waits as long as its contract says", async () => {
    const from = recorder();
    await call(from, harbour.load, {});
    expect(from.calls).toEqual([["harbour.load", {}, { timeout: 0, retries: 2 }]]);
  });
});

describe("on brokers", () => {
  const attempts: string[] = [];
  const heard: unknown[] = [];
  const retryPolicy = {
    enabled: true,
    retries: 0,
    delay: 1,
    check: (error: unknown) => (error as { retryable?: boolean }).retryable === true,
  };
  const options = {
    logger: false,
    transporter: "Fake",
    serializer: "Notepack",
    retryPolicy,
    middlewares: [tellAttempts],
  } satisfies BrokerOptions;
  const ships = new Set<string>();
  const inside = new ServiceBroker({ ...options, nodeID: "inside" });
  const outside = new ServiceBroker({ ...options, nodeID: "outside" });

  inside.createService({
    name: "harbour",
    actions: implement()(harbour, {
      async berth({ ship, crew }) {
        attempts.push(ship);
        if (ship === "Titanic") throw failure("TOO_BUSY", "The harbour is full.", { data: { berths: 0 } });
        return await Promise.resolve({ ship, crew: crew.length });
      },
      async load(_params, ctx) {
        let bytes = 0;
        for await (const chunk of (ctx.options as { stream?: Readable }).stream ?? []) bytes += String(chunk).length;
        return bytes;
      },
      async sink({ ship }) {
        attempts.push(ship);
        throw await Promise.resolve(failure("TOO_BUSY", "Not now."));
      },
      async scrap({ ship }) {
        attempts.push(ship);
        if (!ships.delete(ship)) throw await Promise.resolve(failure("VIDEO_NOT_FOUND", `There is no ship ${ship}.`));
        if (ship.startsWith("unheard")) throw failure("TOO_BUSY", "It is done, and its caller does not hear of it.");
        return null;
      },
      async clear({ lost, other }, ctx) {
        attempts.push("clear");
        if (ships.delete(lost)) throw failure("TOO_BUSY", "It is done, and its caller does not hear of it.");
        return await call(ctx, harbour.scrap, { ship: other });
      },
    }),
    events: { [storm.name]: (ctx: { params: unknown }) => void heard.push(ctx.params) },
  });

  beforeAll(async () => {
    await Promise.all([inside.start(), outside.start()]);
    await outside.waitForServices("harbour");
  });
  beforeEach(() => attempts.splice(0));
  afterAll(async () => void (await Promise.all([inside.stop(), outside.stop()])));

  it("answers what the contract says, with defaults filled in, from any node", async () => {
    expect(await call(outside, harbour.berth, { ship: "Argo" })).toEqual({ ship: "Argo", crew: 0 });
  });

  it("refuses what the contract does not take, field by field, before a handler sees it", async () => {
    const wrong = { ship: "", crew: [{ name: 7 }], captain: "Jason" } as never;
    const error: unknown = await call(outside, harbour.berth, wrong).catch((thrown: unknown) => thrown);
    expect(errorType(error)).toBe("INVALID_REQUEST");
    expect((error as { data: { fields: { path: string }[] } }).data.fields.map(({ path }) => path)).toEqual(["ship", "crew.0.name", ""]);
    expect(attempts).toEqual([]);
  });

  it("carries an error's type, status and data across nodes, where its class is lost", async () => {
    const error: unknown = await call(outside, harbour.berth, { ship: "Titanic" }).catch((thrown: unknown) => thrown);
    expect(errorType(error)).toBe("TOO_BUSY");
    expect(error).toMatchObject({ code: 503, retryable: true, message: "The harbour is full.", data: { berths: 0 } });
  });

  it("tries an idempotent call three times when the error allows it, any other once", async () => {
    await expect(call(outside, harbour.berth, { ship: "Titanic" })).rejects.toMatchObject({ type: "TOO_BUSY" });
    await expect(call(outside, harbour.sink, { ship: "Bismarck" })).rejects.toMatchObject({ type: "TOO_BUSY" });
    expect(attempts).toEqual(["Titanic", "Titanic", "Titanic", "Bismarck"]);
  });

  it.each([
    ["on another node", outside],
    ["on the same node", inside],
  ])("takes for done %s what a later attempt finds done, when the answer to an earlier one was lost", async (_, from) => {
    ships.add("unheard Argo");
    expect(await call(from, harbour.scrap, { ship: "unheard Argo" })).toBeNull();
    expect(attempts).toEqual(["unheard Argo", "unheard Argo"]);
  });

  it.each([
    ["on another node", outside],
    ["on the same node", inside],
  ])("says %s at the first attempt that there was nothing to do, also within a call that is a later attempt itself", async (_, from) => {
    await expect(call(from, harbour.scrap, { ship: "Argo" })).rejects.toMatchObject({ type: "VIDEO_NOT_FOUND" });
    ships.add("unheard Argo");
    await expect(call(from, harbour.clear, { lost: "unheard Argo", other: "Titanic" })).rejects.toMatchObject({ type: "VIDEO_NOT_FOUND" });
    expect(attempts).toEqual(["Argo", "clear", "clear", "Titanic"]);
  });

  it("lets only callers in the same process reach an action of scope node, with their stream", async () => {
    expect(await call(inside, harbour.load, {}, { stream: Readable.from(["car", "go"]) })).toBe(5);
    await expect(call(outside, harbour.load, {})).rejects.toMatchObject({ type: "SERVICE_NOT_FOUND" });
  });

  it("tells an event to every node that listens", async () => {
    await broadcast(outside, storm, { force: 12 });
    await eventually(() => heard.length);
    expect(heard).toEqual([{ force: 12 }]);
  });
});

it("works on a bounded number of calls at once, lets a bounded number wait, and refuses more", async () => {
  const broker = new ServiceBroker({ logger: false });
  const held = Promise.withResolvers<null>();
  let running = 0;
  const handlers = {
    sink: async () => {
      running += 1;
      return await held.promise;
    },
  };
  broker.createService({ name: "harbour", actions: implement()({ sink: harbour.sink }, handlers) });
  await broker.start();
  const outcomes = Array.from(
    { length: 64 + 1024 + 5 },
    async () =>
      await call(broker, harbour.sink, { ship: "Argo" }).then(
        () => "answered",
        ({ type }: { type?: string }) => type,
      ),
  );
  expect(await Promise.race(outcomes.slice(-5))).toBe("QUEUE_FULL");
  expect(running).toBe(64);
  held.resolve(null);
  const ends = Object.groupBy(await Promise.all(outcomes), (end) => end ?? "");
  expect([ends["answered"]?.length, ends["QUEUE_FULL"]?.length]).toEqual([64 + 1024, 5]);
  await broker.stop();
});
