/** NATS that dies, freezes or is not there yet: nobody waits for it longer than for a pulse, nothing is done late, and all is as before when it is back. */
import { readFile } from "node:fs/promises";
import { ServiceBroker } from "moleculer";
import { z } from "zod";
import { loadConfig } from "../../config/index.ts";
import type { SupervisedNats } from "../../deploy/local/cluster/nats.ts";
import { isBusUp } from "../../mixins/bus.ts";
import brokerOptions from "../../moleculer.config.ts";
import { Health } from "../../services/gateway/health.ts";
import { action, call, contract, implement, returns } from "../../services/kernel/rpc.ts";
import { eventually } from "../support/eventually.ts";
import { startNats } from "../support/nats.ts";
import { describeWith } from "../support/neighbours.ts";

const counter = contract("counter", {
  add: action({ params: z.strictObject({}), returns: returns<number>(), scope: "cluster", idempotent: false }),
  /** Answers when it is told to. */
  hang: action({ params: z.strictObject({}), returns: returns<string>(), scope: "cluster", idempotent: false, timeoutMs: 600_000 }),
});

/** The type of the error; what is answered, where there is none. */
const refusal = async (asked: Promise<unknown>): Promise<unknown> =>
  await asked.then(
    (answer) => answer,
    ({ type }: { type?: string }) => type,
  );

/** The client of NATS: what waits to be sent, bytes. None while there is no connection. */
interface Buffering {
  readonly protocol: { readonly outbound: { size(): number } };
}

/** How many of this machine are open to its port, seen from the other end. */
async function connectionsTo({ address }: SupervisedNats): Promise<number> {
  const port = Number(address.split(":").at(-1)).toString(16).toUpperCase().padStart(4, "0");
  const sockets = (await readFile("/proc/net/tcp", "utf8")).split("\n").map((line) => line.trim().split(/\s+/));
  const ESTABLISHED = "01";
  return sockets.filter(([, , remote = "", state]) => remote.endsWith(`:${port}`) && state === ESTABLISHED).length;
}

describeWith("nats-server", "two nodes whose NATS server is away", () => {
  let nats: SupervisedNats;
  let server: ServiceBroker;
  let caller: ServiceBroker;
  let added = 0;
  let hanging = 0;
  let held = Promise.withResolvers<string>();

  const node = (id: string): ServiceBroker =>
    new ServiceBroker(brokerOptions({ ...loadConfig({ LOG_LEVEL: "fatal" }), NATS_URL: nats.url, NODE_ID: id }));

  beforeAll(async () => {
    nats = await startNats();
    [server, caller] = [node("server"), node("caller")];
    server.createService({
      name: "counter",
      actions: implement()(counter, {
        async add() {
          return (added += 1);
        },
        async hang() {
          hanging += 1;
          return await held.promise;
        },
      }),
    });
    await Promise.all([server.start(), caller.start()]);
    await caller.waitForServices(["counter"], 60_000);
  });
  afterAll(async () => {
    held.resolve("");
    await Promise.all([server.stop(), caller.stop()]);
    await nats.stop();
  });

  const add = async (): Promise<number> => await call(caller, counter.add, {});
  const answers = async (): Promise<void> => void (await eventually(add, { what: "an answer" }));

  it("fails the calls that wait for an answer when it dies, refuses others at once, and does none of them later", async () => {
    await answers();
    const waiting = refusal(call(caller, counter.hang, {}));
    await eventually(() => hanging === 1, { what: "the call to arrive" });
    const before = added;
    await nats.halt();
    expect(await waiting).toBe("REQUEST_REJECTED");
    await eventually(() => !isBusUp(caller) && !isBusUp(server), { what: "both to notice" });
    const refused = await Promise.all(Array.from({ length: 100 }, async () => await refusal(add())));
    expect(new Set(refused)).toEqual(new Set(["SERVICE_NOT_AVAILABLE"]));
    await nats.resume();
    expect(await eventually(add, { what: "an answer" })).toBe(before + 1);
  });

  it("keeps nothing of what nobody waits for any more", async () => {
    await answers();
    hanging = 0;
    const calls = Array.from({ length: 10 }, async () => await refusal(call(caller, counter.hang, {})));
    await eventually(() => hanging === calls.length, { what: "the calls to arrive" });
    await nats.halt();
    await eventually(() => !isBusUp(server), { what: "the server to notice" });
    held.resolve("x".repeat(100_000));
    held = Promise.withResolvers();
    const { _trackedContexts: running } = server.getLocalService("counter") as unknown as { _trackedContexts: readonly unknown[] };
    await eventually(() => running.length === 0, { what: "the server to have answered" });
    expect(new Set(await Promise.all(calls))).toEqual(new Set(["REQUEST_REJECTED"]));
    const { pendingRequests, tx } = server.transit as unknown as {
      pendingRequests: Map<string, unknown>;
      tx: { client: Buffering | null };
    };
    expect(pendingRequests.size).toBe(0);
    expect(tx.client?.protocol.outbound.size() ?? 0).toBeLessThan(10_000);
    await nats.resume();
    await answers();
  });

  it("is not ready meanwhile, says why, and is again", async () => {
    const health = new Health(caller, "1");
    await nats.halt();
    await eventually(() => !isBusUp(caller), { what: "the caller to notice" });
    expect(health.ready()).toMatchObject({ status: 503, json: { status: "down", missing: expect.arrayContaining(["nats"]) as unknown } });
    expect(health.live().status).toBe(200);
    expect((await health.report()).json).toMatchObject({ checks: { broker: { status: "down" } } });
    await nats.resume();
    await answers();
    expect(health.ready().json).not.toMatchObject({ missing: expect.arrayContaining(["nats"]) as unknown });
  });

  it("is noticed when it freezes and its connections stay open, too", async () => {
    process.kill(-nats.pid, "SIGSTOP");
    try {
      await eventually(() => !isBusUp(caller) && !isBusUp(server), { what: "both to notice" });
      expect(await refusal(add())).toBe("SERVICE_NOT_AVAILABLE");
    } finally {
      process.kill(-nats.pid, "SIGCONT");
    }
    await answers();
  });

  it("is noticed when it freezes while more waits to be sent than the machine takes", async () => {
    const { tx } = caller.transit as unknown as { tx: { client: { publish(subject: string, data: Uint8Array): void } } };
    process.kill(-nats.pid, "SIGSTOP");
    try {
      for (let sent = 0; sent < 60; sent++) tx.client.publish("nobody", new Uint8Array(1_000_000));
      expect(await eventually(() => !isBusUp(caller), { what: "the caller to notice", timeoutMs: 15_000 })).toBe(true);
    } finally {
      process.kill(-nats.pid, "SIGCONT");
    }
    await answers();
  });

  it("holds nobody up who stops before it was noticed that it froze", async () => {
    const leaving = node("leaving");
    await leaving.start();
    process.kill(-nats.pid, "SIGSTOP");
    try {
      let isStopped = false;
      const stopping = leaving.stop().then(() => (isStopped = true));
      expect(await eventually(() => isStopped, { what: "its end", timeoutMs: 5000 })).toBe(true);
      await stopping;
    } finally {
      process.kill(-nats.pid, "SIGCONT");
    }
    await answers();
  });

  it("is spoken to over one connection by each when it was frozen for long, and does every request once", async () => {
    process.kill(-nats.pid, "SIGSTOP");
    try {
      await eventually(() => !isBusUp(caller) && !isBusUp(server), { what: "both to notice" });
      // Each takes the connection that the frozen server's kernel gives it, hears nothing, and tries again.
      await eventually(async () => (await connectionsTo(nats)) >= 4, { what: "both to have tried twice" });
    } finally {
      process.kill(-nats.pid, "SIGCONT");
    }
    await answers();
    await eventually(async () => (await connectionsTo(nats)) === 2, { what: "one connection of each to be left" });
    const before = added;
    for (let asked = 1; asked <= 20; asked++) expect(await add()).toBe(before + asked);
  });

  it("holds nobody up who stops meanwhile, or starts", async () => {
    const early = node("early");
    await early.start();
    await nats.halt();
    await eventually(() => !isBusUp(early), { what: "it to notice" });
    await early.stop();
    const late = node("late");
    const started = late.start();
    await nats.resume();
    await started;
    await late.waitForServices(["counter"], 60_000);
    expect(await eventually(async () => await call(late, counter.add, {}), { what: "an answer" })).toBeGreaterThan(0);
    await late.stop();
  });
});
