import { ServiceBroker, type ServiceSchema } from "moleculer";
import { freePort } from "../../deploy/local/free-port.ts";
import { loadConfig } from "../../config/index.ts";
import { openDatabase } from "../../mixins/database/connection.ts";
import { execute } from "../../mixins/database/sql.ts";
import brokerOptions from "../../moleculer.config.ts";
import blobsService from "../../services/blobs/blobs.service.ts";
import figuresService from "../../services/figures/figures.service.ts";
import jobsService from "../../services/jobs/jobs.service.ts";
import { call } from "../../services/kernel/rpc.ts";
import { ring } from "../../services/ring/contract.ts";
import ringService from "../../services/ring/ring.service.ts";
import { startDisks, type TestDisks } from "../support/disks.ts";
import { eventually } from "../support/eventually.ts";
import { testDatabase, type TestDatabase } from "../support/postgres.ts";

let disks: TestDisks;
let database: TestDatabase;
let broker: ServiceBroker;
let url: string;

beforeAll(async () => {
  [disks, database] = await Promise.all([startDisks(4, { zones: ["a", "b", "c", "d"] }), testDatabase()]);
  const port = await freePort();
  const config = loadConfig({
    DATABASE_URL: database.url,
    DISK_SECRET: disks.secret,
    DISKS: disks.disks.map(({ address }) => address).join(","),
    METRICS_PORT: String(port),
  });
  broker = new ServiceBroker({ ...brokerOptions(config), logger: false });
  for (const schema of [ringService, blobsService, jobsService, figuresService]) broker.createService(schema as ServiceSchema);
  await broker.start();
  await eventually(() => call(broker, ring.get, {}));
  url = `http://127.0.0.1:${port}/metrics`;
});
afterAll(async () => {
  await broker.stop();
  await Promise.all([database.drop(), disks.stop()]);
});

/** The samples by name and labels, without those that are the same for all. */
async function samples(): Promise<Map<string, number>> {
  await (broker.getLocalService("figures") as unknown as { look(): Promise<void> }).look();
  const text = await (await fetch(url)).text();
  const found = [...text.matchAll(/^(\w+)\{([^}]*)\} (\S+)$/gm)].map(([, name = "", labels = "", value]) => {
    const own = labels.split(",").filter((label) => !/^(namespace|nodeID)=/.test(label));
    return [`${name}{${own.join(",")}}`, Number(value)] as const;
  });
  return new Map(found);
}

describe("the figures for Prometheus", () => {
  it("tell of the ring, of its disks, of what is missing and of what waits", async () => {
    const db = openDatabase(database.url, { connectionsMax: 8 });
    await execute(db, "insert into chunks (sha256, size) select sha256(n::text::bytea), 100 from generate_series(1, 50) as n");
    await execute(db, "insert into missing_copies (disk_id, sha256, size) select $1, sha256, size from chunks", [disks.disks[0]!.id]);
    const found = await samples();
    const [{ id }] = [disks.disks[0]!];
    expect(found.get("tritontube_ring_epoch{}")).toBe(1);
    expect(found.get('tritontube_disks{state="in",condition="up"}')).toBe(4);
    expect(found.get(`tritontube_missing_copies{disk="${id}"}`)).toBe(50);
    expect(found.get(`tritontube_missing_bytes{disk="${id}"}`)).toBe(5000);
    expect(found.get(`tritontube_missing_age_seconds{disk="${id}"}`)).toBeGreaterThanOrEqual(0);
    expect(found.get(`tritontube_disk_free_bytes{disk="${id}",zone="a"}`)).toBeGreaterThan(0);
    expect(found.get(`tritontube_disk_faults{disk="${id}",zone="a"}`)).toBe(0);
    expect(found.get("tritontube_moves_partitions_left{}")).toBe(0);
    expect(found.get("tritontube_moves_chunks_lost{}")).toBe(0);
  });

  it("tell what the collector has to do", async () => {
    const db = openDatabase(database.url, { connectionsMax: 8 });
    await execute(
      db,
      "update chunks set state = 'leaving', touched_at = now() - interval '1 hour' where sha256 in (select sha256 from chunks limit 20)",
    );
    const found = await samples();
    const numbers = (name: string) => ["pending", "leaving"].map((state) => found.get(`tritontube_collect_${name}{state="${state}"}`));
    expect([numbers("chunks"), numbers("bytes")]).toEqual([
      [30, 20],
      [3000, 2000],
    ]);
    expect(found.get("tritontube_collect_blobs{}")).toBe(0);
    expect(found.get("tritontube_collect_age_seconds{}")).toBeGreaterThanOrEqual(3600);
  });

  it("follow a change of the ring, and a disk that goes", async () => {
    await call(broker, ring.stage, { disk: disks.disks[3]!.id, change: "drain" });
    await call(broker, ring.apply, { epoch: 1 });
    await disks.disks[3]!.kill();
    const found = await samples();
    expect(found.get("tritontube_ring_epoch{}")).toBe(2);
    expect(found.get("tritontube_moves_partitions_left{}")).toBe(3072);
    expect(found.get('tritontube_jobs{kind="partition.move",state="queued"}')).toBe(64);
    expect(found.get('tritontube_disks{state="in",condition="up"}')).toBe(3);
    expect(found.get('tritontube_disks{state="draining",condition="down"}')).toBe(1);
    expect([...found.keys()].filter((sample) => sample.includes(disks.disks[3]!.id))).toEqual([]);
  });

  it("count the errors of each action by their code", async () => {
    await call(broker, ring.plan, {}).catch(() => {});
    const counted = [...(await samples())].filter(([sample]) => sample.startsWith("moleculer_request_error_total"));
    expect(counted.some(([sample]) => sample.includes('action="ring.plan"') && sample.includes('errorType="RING_CHANGE_REFUSED"'))).toBe(
      true,
    );
  });

  it("are offered on loopback alone, unless another address is asked for", () => {
    const options = brokerOptions(loadConfig({ METRICS_PORT: "9100" }));
    expect(options.metrics).toMatchObject({ enabled: true, reporter: [{ options: { host: "127.0.0.1", port: 9100 } }] });
    expect(brokerOptions(loadConfig({ METRICS_PORT: "" })).metrics).toMatchObject({ enabled: false });
  });
});
