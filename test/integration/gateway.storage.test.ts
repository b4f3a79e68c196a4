import type { AddressInfo } from "node:net";
import type { ServiceBroker } from "moleculer";
import { openDatabase } from "../../mixins/database/connection.ts";
import { execute } from "../../mixins/database/sql.ts";
import blobsService from "../../services/blobs/blobs.service.ts";
import gatewayService from "../../services/gateway/gateway.service.ts";
import { storageRoutes } from "../../services/gateway/storage-routes.ts";
import { call } from "../../services/kernel/rpc.ts";
import limitsService from "../../services/limits/limits.service.ts";
import { ring } from "../../services/ring/contract.ts";
import ringService from "../../services/ring/ring.service.ts";
import usersService from "../../services/users/users.service.ts";
import { startDisks, type TestDisks } from "../support/disks.ts";
import { eventually } from "../support/eventually.ts";
import { testDatabase, type TestDatabase } from "../support/postgres.ts";
import { startServices } from "../support/services.ts";

let disks: TestDisks;
let database: TestDatabase;
let broker: ServiceBroker;
let url: string;

beforeAll(async () => {
  [disks, database] = await Promise.all([startDisks(4, { zones: ["a", "b", "c", "d"] }), testDatabase()]);
  const environment = { DISK_SECRET: disks.secret, PORT: "0", DISKS: disks.disks.slice(0, 3).map(({ address }) => address) };
  Object.assign(process.env, environment, { DISKS: environment.DISKS.join(",") });
  broker = await startServices(database.url, ringService, blobsService, usersService, limitsService, gatewayService);
  await eventually(() => call(broker, ring.get, {}));
  const { server } = broker.getLocalService("gateway") as unknown as { server: { address(): AddressInfo } };
  url = `http://127.0.0.1:${server.address().port}/api/v1/admin`;
});
afterAll(async () => {
  await broker.stop();
  delete process.env["PORT"];
  await Promise.all([database.drop(), disks.stop()]);
});

interface Answered {
  readonly status: number;
  readonly data: Record<string, unknown>;
  readonly code: string | undefined;
}

async function ask(method: string, path: string, body?: object): Promise<Answered> {
  const sent = body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  const response = await fetch(`${url}${path}`, { method, ...sent });
  const document = response.status === 204 ? {} : ((await response.json()) as { data?: never; code?: string });
  return { status: response.status, data: document.data ?? {}, code: document.code };
}

/** An answer is what its route says that it is. */
function isAsDescribed(id: string, { status, data }: Answered): void {
  const { json } = storageRoutes.find((route) => route.id === id)!.answers[status]!;
  expect(json!.safeParse({ data }).error?.issues).toBeUndefined();
}

describe("the administration of storage over HTTP", () => {
  it("shows the ring, its disks, what is stored and what is missing", async () => {
    await execute(
      openDatabase(database.url, { connectionsMax: 8 }),
      `with made as (insert into chunks (sha256, size) values (sha256('x'), 5) returning *)
       insert into missing_copies (disk_id, sha256, size) select $1, sha256, size from made`,
      [disks.disks[0]!.id],
    );
    for (const [id, path] of [
      ["getRing", "/ring"],
      ["listDisks", "/disks"],
      ["getStorageUsage", "/storage/usage"],
      ["listRepairs", "/storage/repairs"],
    ] as const) {
      const answer = await ask("GET", path);
      expect([id, answer.status]).toEqual([id, 200]);
      isAsDescribed(id, answer);
    }
    expect((await ask("GET", "/disks")).data).toHaveLength(3);
    expect((await ask("GET", "/storage/repairs")).data).toMatchObject([{ disk: disks.disks[0]!.id, copies: 1, bytes: 5 }]);
  });

  it("stages a disk, says what it would get, and gives it that", async () => {
    const staged = await ask("POST", "/disks", { address: disks.disks[3]!.address });
    expect(staged).toMatchObject({ status: 200, data: { plan: { epoch: 1, copies: 3072, minimum: 3072 }, refusal: null } });
    isAsDescribed("addDisk", staged);
    const plan = await ask("GET", "/ring/plan");
    isAsDescribed("getRingPlan", plan);
    expect(await ask("POST", "/ring/apply", { epoch: 7 })).toMatchObject({ status: 409, code: "RING_CHANGED" });
    expect(await ask("POST", "/ring/apply", { epoch: 1 })).toMatchObject({ status: 200, data: { epoch: 2 } });
    expect((await ask("GET", "/ring")).data).toMatchObject({ epoch: 2, moves: { partitions: { total: 3072, done: 0 } } });
    const again = await ask("POST", "/disks", { address: disks.disks[3]!.address });
    expect(again).toMatchObject({ status: 200, data: { changes: [], plan: null } });
  });

  it("drains, weighs and removes a disk, one after the other or together", async () => {
    const [first, second] = disks.disks.map(({ id }) => id);
    expect((await ask("PUT", `/disks/${second}/weight`, { weight: 5e11 })).data).toMatchObject({
      changes: [{ disk: second, change: "weight", weight: 5e11 }],
    });
    const drained = await ask("POST", `/disks/${first}/drain`);
    expect(drained.data["changes"]).toHaveLength(2);
    isAsDescribed("drainDisk", drained);
    expect(await ask("DELETE", "/ring/changes")).toMatchObject({ status: 204 });
    expect(await ask("GET", "/ring/plan")).toMatchObject({ status: 409, code: "RING_CHANGE_REFUSED" });
    expect(await ask("DELETE", `/disks/${first}`)).toMatchObject({ status: 409, code: "RING_CHANGE_REFUSED" });
    expect(await ask("DELETE", `/disks/${first}?force=true`)).toMatchObject({ status: 409, code: "RING_CHANGE_REFUSED" });
    const { data } = await ask("POST", `/disks/${first}/drain`);
    expect(data).toMatchObject({ refusal: null });
    await ask("DELETE", "/ring/changes");
  });

  it("refuses what is not valid, and disks that there are not", async () => {
    expect(await ask("POST", "/disks", { address: "nowhere" })).toMatchObject({ status: 400, code: "INVALID_REQUEST" });
    expect(await ask("POST", "/disks", { address: "127.0.0.1:1" })).toMatchObject({ status: 503, code: "DISK_UNAVAILABLE" });
    expect(await ask("POST", `/disks/${crypto.randomUUID()}/drain`)).toMatchObject({ status: 404, code: "DISK_NOT_FOUND" });
    expect(await ask("PUT", `/disks/${disks.disks[0]!.id}/weight`, { weight: 0 })).toMatchObject({ status: 400 });
    expect(await ask("DELETE", `/disks/${disks.disks[0]!.id}?force=yes`)).toMatchObject({ status: 400 });
  });
});
