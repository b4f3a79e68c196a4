/** Two broker nodes that know each other only by NATS: what a contract promises must hold across it. */
import { randomUUID } from "node:crypto";
import { ServiceBroker } from "moleculer";
import { z } from "zod";
import { loadConfig } from "../../config/index.ts";
import brokerOptions from "../../moleculer.config.ts";
import jobsService from "../../services/jobs/jobs.service.ts";
import { jobKind, jobs } from "../../services/jobs/contract.ts";
import { errorType } from "../../services/kernel/errors.ts";
import { onlyPerson } from "../../services/kernel/principal.ts";
import { action, call, contract, implement, returns } from "../../services/kernel/rpc.ts";
import videosService from "../../services/videos/videos.service.ts";
import { videos } from "../../services/videos/contract.ts";
import type { SupervisedNats } from "../../deploy/local/cluster/nats.ts";
import { startNats } from "../support/nats.ts";
import { describeWith } from "../support/neighbours.ts";
import { testDatabase, type TestDatabase } from "../support/postgres.ts";

const bytes = contract("bytes", {
  echo: action({
    params: z.strictObject({ bytes: z.instanceof(Uint8Array) }),
    returns: returns<Uint8Array>(),
    scope: "cluster",
    idempotent: true,
  }),
  local: action({ params: z.strictObject({}), returns: returns<string>(), scope: "node", idempotent: true }),
});

describeWith("nats-server", "two nodes on one NATS server", () => {
  let nats: SupervisedNats;
  let database: TestDatabase;
  let catalogue: ServiceBroker;
  let caller: ServiceBroker;

  beforeAll(async () => {
    [nats, database] = await Promise.all([startNats(), testDatabase()]);
    const config = loadConfig({ NATS_URL: nats.url, DATABASE_URL: database.url, LOG_LEVEL: "error" });
    catalogue = new ServiceBroker(brokerOptions({ ...config, NODE_ID: "catalogue" }));
    caller = new ServiceBroker(brokerOptions({ ...config, NODE_ID: "caller" }));
    catalogue.createService(jobsService);
    catalogue.createService(videosService);
    catalogue.createService({
      name: "bytes",
      actions: implement()(bytes, {
        async echo(params) {
          return params.bytes;
        },
        async local() {
          return "here";
        },
      }),
    });
    await Promise.all([catalogue.start(), caller.start()]);
    await caller.waitForServices(["videos", "jobs", "bytes"], 10_000);
  });
  afterAll(async () => {
    await Promise.all([caller.stop(), catalogue.stop()]);
    await Promise.all([database.drop(), nats.stop()]);
  });

  it("answers a call of the other node", async () => {
    await expect(call(caller, videos.list, { as: onlyPerson })).resolves.toMatchObject({ items: [], total: 0, hasMore: false });
    expect((await call(caller, jobs.depth, {})).map(({ queued }) => queued)).toEqual(jobKind.options.map(() => 0));
  });

  it("keeps the type of an error, although its class is lost on the way", async () => {
    const error: unknown = await call(caller, videos.get, { as: onlyPerson, id: randomUUID() }).catch((thrown: unknown) => thrown);
    expect(errorType(error)).toBe("VIDEO_NOT_FOUND");
  });

  it("carries bytes as bytes, 205 KB of them, which is what the hashes of the largest blob weigh", async () => {
    const sent = Buffer.alloc(6400 * 32, 0xa5);
    const received = await call(caller, bytes.echo, { bytes: sent });
    expect(received).toBeInstanceOf(Uint8Array);
    expect(Buffer.compare(Buffer.from(received), sent)).toBe(0);
  });

  it("does not let another node reach an action that belongs to its own", async () => {
    await expect(call(caller, bytes.local, {})).rejects.toMatchObject({ type: "SERVICE_NOT_FOUND" });
    await expect(call(catalogue, bytes.local, {})).resolves.toBe("here");
  });
});
