import { mkdtemp, rm } from "node:fs/promises";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ServiceBroker } from "moleculer";
import { evaluate } from "../../deploy/operator/evaluate.ts";
import { joinSocket, openSocket } from "../../deploy/operator/socket.ts";
import { openDatabase } from "../../mixins/database/connection.ts";
import { execute, type Database } from "../../mixins/database/sql.ts";
import blobsService from "../../services/blobs/blobs.service.ts";
import { broadcast, call } from "../../services/kernel/rpc.ts";
import { ring } from "../../services/ring/contract.ts";
import { jobs } from "../../services/jobs/contract.ts";
import jobsService from "../../services/jobs/jobs.service.ts";
import { videoChanged } from "../../services/videos/contract.ts";
import videosService from "../../services/videos/videos.service.ts";
import ringService from "../../services/ring/ring.service.ts";
import { startDisks, type TestDisks } from "../support/disks.ts";
import { eventually } from "../support/eventually.ts";
import { testDatabase, type TestDatabase } from "../support/postgres.ts";
import { startServices } from "../support/services.ts";

let disks: TestDisks;
let database: TestDatabase;
let db: Database;
let broker: ServiceBroker;

beforeAll(async () => {
  [disks, database] = await Promise.all([startDisks(4, { zones: ["a", "b", "c", "d"] }), testDatabase()]);
  db = openDatabase(database.url, { connectionsMax: 8 });
  process.env["DISK_SECRET"] = disks.secret;
  process.env["DISKS"] = disks.disks
    .slice(0, 3)
    .map(({ address }) => address)
    .join(",");
  broker = await startServices(database.url, ringService, blobsService, jobsService, videosService);
  await eventually(() => call(broker, ring.get, {}));
  await execute(db, "insert into chunks (sha256, size) select sha256(n::text::bytea), 1048576 from generate_series(1, 1000) as n");
});
beforeEach(async () => {
  await call(broker, ring.unstage, {});
});
afterAll(async () => {
  await broker.stop();
  await Promise.all([database.drop(), disks.stop()]);
});

const said = async (line: string) => {
  const { text, failed } = await evaluate(broker, line);
  if (failed) throw new Error(text);
  return text;
};
const refused = async (line: string) => {
  const { text, failed } = await evaluate(broker, line);
  expect(failed).toBe(true);
  return text;
};

describe("an operator", () => {
  it("sees the ring and its disks in a table, each number under its head", async () => {
    const lines = (await said("ring")).split("\n");
    expect(lines[0]).toBe("epoch 1: 4096 partitions, 3 copies");
    expect(lines[1]).toMatch(/^disk +address +zone +state +condition +partitions +chunks +capacity +free +verified +faults +weight$/);
    for (const { id, address } of disks.disks.slice(0, 3)) {
      const line = lines.find((one) => one.startsWith(id.slice(0, 8)))!;
      expect(line).toContain(address);
      expect(line.indexOf("4,096") + 5).toBe(lines[1]!.indexOf("partitions") + "partitions".length);
    }
    expect(lines.slice(-2)).toEqual(["nothing moves", "nothing is staged"]);
    expect(await said("disks")).toBe(lines.slice(1, 5).join("\n"));
  });

  it("adds a disk by its address, and is told how many chunks and bytes come to it", async () => {
    const text = await said(`ring add ${disks.disks[3]!.address}`);
    const [, chunks, size] = /would move ([\d,]+) chunks, ([\d.]+) MiB: 3,072 copies of 3,072 partitions \(least possible: 3,072\)/.exec(
      text,
    )!;
    expect(Number(chunks)).toBe(Number(size));
    expect(Number(chunks)).toBeGreaterThan(650);
    expect(text).toMatch(new RegExp(`${disks.disks[3]!.id.slice(0, 8)} .*spare → in +0 → 3,072 `));
    expect(await said("ring plan")).toBe(text);
    const { plan } = JSON.parse(await said("ring plan --json")) as { plan: { chunks: number; minimum: number } };
    expect(plan).toMatchObject({ chunks: Number(chunks), minimum: 3072 });
    expect(await said("ring unstage")).toBe("nothing is staged");
    expect(await said("ring plan")).toBe("nothing is staged");
  });

  it("drains, weighs and removes disks that are named by the first digits of their ids", async () => {
    const [first, , , fourth] = disks.disks.map(({ id }) => id.slice(0, 6));
    expect(await said(`ring drain ${first}`)).toContain("this alone cannot be applied: 2 disks would be left");
    await said(`ring add ${disks.disks[3]!.address} --weight 100GB`);
    expect(await said(`ring weight ${fourth} 50gib`)).toContain("weight");
    await said("ring unstage");
    expect(await said(`ring remove ${fourth}`)).toContain(`staged: remove ${fourth}`);
    expect(await refused(`ring remove ${first}`)).toContain("RING_CHANGE_REFUSED: Disk");
  });

  it("applies what is staged", async () => {
    await said(`ring add ${disks.disks[3]!.address}`);
    expect(await said("ring apply")).toContain("applied: the ring is at epoch 2");
    expect(await said("ring")).toContain("moving: 0 of 3,072 partitions");
    expect(await refused("ring apply")).toContain("Nothing is staged");
  });

  it("sees what is stored, and what is missing", async () => {
    expect(await said("storage usage")).toMatch(/^pending +1,000 +1000 MiB/m);
    expect(await said("repairs")).toBe("every copy is where it belongs");
    await execute(db, "insert into missing_copies (disk_id, sha256, size) select $1, sha256, size from chunks limit 7", [
      disks.disks[0]!.id,
    ]);
    expect(await said("repairs")).toMatch(new RegExp(`^${disks.disks[0]!.id.slice(0, 8)} +7 +7.0 MiB`, "m"));
  });

  it("has work that failed tried again, by the id that it is listed with", async () => {
    const insert = `insert into jobs (kind, payload, state, failure, finished_at, attempts)
      values ('disk.compare', '{"disk":"01890000-0000-7000-8000-000000000000"}', 'failed', '{"type":"DISK_UNAVAILABLE","message":"it was away"}', now(), 5)`;
    await execute(db, insert);
    const [, id] = /^ *(\d+) +disk\.compare +– +5 .*DISK_UNAVAILABLE: it was away$/m.exec(await said("jobs failed"))!;
    expect(await said(`job retry ${id}`)).toBe(`the job ${id} (disk.compare) is tried again`);
    expect(await call(broker, jobs.get, { id: id! })).toMatchObject({ state: "queued", attempts: 0 });
    expect(await said("jobs failed")).toBe("no job is failed");
    expect(await refused(`job retry ${id}`)).toContain("JOB_NOT_FAILED");
    expect(await refused("job retry all")).toContain('"jobs failed" lists them');
    expect(await refused("jobs lost")).toContain("say queued, running, done, failed, cancelled");
  });

  it("hears what services tell each other, as long as it listens", async () => {
    const heard: string[] = [];
    const ending = new AbortController();
    const listening = evaluate(broker, "events --follow --json", { say: (line) => heard.push(line), signal: ending.signal });
    const told = async (): Promise<boolean> => {
      await broadcast(broker, videoChanged, { id: "a", status: "ready" });
      return heard.length > 0;
    };
    await eventually(told, { what: "an event to be heard" });
    expect(JSON.parse(heard[0]!)).toMatchObject({ event: "video.changed", payload: { id: "a", status: "ready" } });
    ending.abort();
    expect(await listening).toMatchObject({ failed: false });
    const before = heard.length;
    await broadcast(broker, videoChanged, { id: "b", status: "ready" });
    expect(heard).toHaveLength(before);
    expect(await refused("jobs --follow")).toBe("INVALID_REQUEST: Say it so: jobs [state]");
  });

  it("has a disk verified, or left in peace", async () => {
    const disk = disks.disks[1]!.id.slice(0, 8);
    expect(await said(`disk scrub ${disk} pause`)).toMatch(/up .* paused at /);
    expect(await said(`disk scrub ${disk} resume`)).not.toContain("paused");
    await said(`disk scrub ${disk}`);
    await eventually(async () => (await said("disks")).split("\n").some((line) => line.startsWith(disk) && / since \d{4}-/.test(line)));
    expect(await refused(`disk scrub ${disk} softly`)).toContain('"softly" is neither');
  });

  it("is told what was wrong, and how to say it", async () => {
    expect(await refused("ring drain")).toBe("INVALID_REQUEST: Say it so: ring drain <disk>");
    expect(await refused("ring plan --fast")).toBe("INVALID_REQUEST: Say it so: ring plan");
    expect(await refused("drink tea")).toContain('"help" lists them');
    expect(await refused("ring drain ffffffffffff")).toContain("DISK_NOT_FOUND");
    expect(await refused(`ring weight ${disks.disks[0]!.id} heavy`)).toContain('"heavy" is no weight');
    expect(JSON.parse(await refused("ring drain ffffffffffff --json"))).toMatchObject({ error: { code: "DISK_NOT_FOUND" } });
    for (const line of (await said("help")).split("\n").slice(1))
      expect(line).toMatch(/^(ring|disks?|storage|repairs|status|nodes|videos?|jobs?|events|trace|transcoders|config)/);
    expect(await said("")).toBe("");
  });

  it("is hung up on when he does not read what he asked to be told", async () => {
    const folder = await mkdtemp(join(tmpdir(), "tritontube-operator-"));
    const socket = (await openSocket(folder, broker))!;
    const deaf = createConnection(join(folder, "operator.sock"));
    deaf.pause().write("events --follow --json\n");
    const listeners = (): number => broker.services.filter(({ name }) => name.startsWith("$operator")).length;
    await eventually(() => listeners() === 1);
    const hungUp = async (): Promise<boolean> => {
      await broadcast(broker, videoChanged, { id: "x".repeat(100_000), status: "ready" });
      return listeners() === 0;
    };
    await eventually(hungUp, { what: "nobody to listen any more" });
    expect(deaf.bytesRead).toBeLessThan(1024 * 1024);
    deaf.destroy();
    await socket.stop();
    await rm(folder, { recursive: true });
  });

  it("speaks to a process through a socket in its data folder, which only its own user may open", async () => {
    const folder = await mkdtemp(join(tmpdir(), "tritontube-operator-"));
    // One that was killed has left its own behind.
    await (await openSocket(folder, broker))!.stop();
    const socket = (await openSocket(folder, broker))!;
    const joined = await joinSocket(folder);
    const heard: string[] = [];
    const ask = async (line: string) => await joined.evaluate(line, (told) => heard.push(told));
    expect(await ask("repairs")).toEqual({ text: await said("repairs"), failed: false });
    expect(await ask("nothing")).toMatchObject({ failed: true });
    const listening = ask("events --follow");
    await eventually(async () => {
      await broadcast(broker, videoChanged, { id: "told over the socket", status: "ready" });
      return heard.some((line) => line.includes("told over the socket"));
    });
    joined.close();
    await expect(listening).rejects.toThrow("TritonTube has ended");
    await eventually(() => !broker.services.some(({ name }) => name.startsWith("$operator")), { what: "nobody to listen any more" });
    await socket.stop();
    await expect(joinSocket(folder)).rejects.toThrow("ENOENT");
    expect(await openSocket(join(folder, "x".repeat(100)), broker)).toBeUndefined();
    await rm(folder, { recursive: true });
  });
});
