import { ListObjectVersionsCommand } from "@aws-sdk/client-s3";
import { evaluate } from "../../deploy/operator/evaluate.ts";
import { call } from "../../services/kernel/rpc.ts";
import { ring } from "../../services/ring/contract.ts";
import { Pace } from "../../services/upkeep/domain/pace.ts";
import { move } from "../../services/upkeep/work/move.ts";
import { bytesOf, chunksOn } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { describeWith } from "../support/neighbours.ts";
import { startS3, type TestS3 } from "../support/s3.ts";
import { dying, NEVER, startQuietCluster, type QuietCluster } from "../support/upkeep.ts";

const LAST = 4095;
/** Each move looks at 4096 partitions, with a statement for each. */
const PATIENCE_MS = 600_000;

describeWith("moto", "what is stored", () => {
  let s3: TestS3;
  let cluster: QuietCluster;
  const written = new Map<string, Buffer>();
  beforeAll(async () => {
    s3 = await startS3();
    await s3.bucket("chunks");
    const { endpoint, region, credentials } = s3.access;
    const access = { S3_ACCESS_KEY_ID: credentials.accessKeyId, S3_SECRET_ACCESS_KEY: credentials.secretAccessKey };
    cluster = await startQuietCluster({ zones: ["a", "b", "c"], settings: { S3_ENDPOINT: endpoint, S3_REGION: region, ...access } });
  });
  afterAll(async () => {
    await cluster.stop();
    await s3.stop();
  });

  const write = async (): Promise<void> => {
    const bytes = bytesOf(1000);
    written.set((await cluster.write(bytes)).blob, bytes);
  };
  const eachReads = async (): Promise<void> => {
    for (const [blob, bytes] of written) expect((await cluster.read(blob)).equals(bytes)).toBe(true);
  };
  const said = async (line: string): Promise<string> => {
    const { text, failed } = await evaluate(cluster.broker, line);
    if (failed) throw new Error(text);
    return text;
  };
  const refused = async (line: string): Promise<string> => (await evaluate(cluster.broker, line)).text;
  const moveAll = async (from = 0, to = LAST, ports = cluster.ports): Promise<void> =>
    await move(ports, { first: from, last: to, pace: new Pace(2 ** 40), graceSeconds: 0, progress: () => {} }, NEVER);
  const inBucket = async (): Promise<string[]> => {
    const { Versions = [] } = await s3.client.send(new ListObjectVersionsCommand({ Bucket: "chunks", Prefix: "here/chunks/" }));
    return Versions.map(({ Key = "" }) => Key.split("/").at(-1)!).toSorted();
  };
  const onDisks = async (): Promise<number[]> => await Promise.all(cluster.disks.map(async (disk) => (await chunksOn(disk)).size));

  it(
    "goes from disks to a bucket, is there at any moment wherever the work is killed, and the disks are forgotten",
    async () => {
      for (let n = 0; n < 10; n++) await write();
      expect(await said("storage move s3://chunks/here")).toMatch(
        /Copies of each chunk: 1 instead of 3[^]*applied: the ring is at epoch 2/,
      );
      await eventually(async () => (await call(cluster.broker, ring.get, {})).epoch === 2);
      await write();
      const [first] = await cluster.chunks();
      const partition = Number.parseInt(first!.slice(0, 3), 16);
      let deaths = 0;
      for (let nth = 1; ; nth++) {
        const lives = dying(cluster.ports, nth, nth % 2 === 0 ? "before" : "after");
        await moveAll(partition, partition, lives.ports).catch(() => undefined);
        await eachReads();
        if (lives.calls < nth) break;
        deaths += 1;
      }
      expect(deaths).toBeGreaterThan(6);
      expect(JSON.parse(await said("storage move s3://chunks/here --json"))).toMatchObject({
        done: false,
        told: expect.stringMatching(/^moving: 1 of 4,096/),
      });
      await moveAll();
      expect(await said("storage move s3://chunks/here")).toContain("everything is where it was to go");
      expect(await onDisks()).toEqual([0, 0, 0]);
      expect(await inBucket()).toEqual((await cluster.chunks()).toSorted());
      await eventually(
        async () => (await call(cluster.broker, ring.disks, {})).map(({ address }) => address).join() === "s3://chunks/here",
      );
      await write();
      await eachReads();
    },
    PATIENCE_MS,
  );

  it(
    "goes from a bucket to one folder, and then to more disks",
    async () => {
      const [folder, second, third] = cluster.disks.map(({ address }) => address);
      await said(`storage move ${folder}`);
      await eventually(async () => (await call(cluster.broker, ring.get, {})).disks[0]?.address === folder);
      await moveAll();
      expect(await said(`storage move ${folder}`)).toContain("everything is where it was to go");
      expect([await inBucket(), (await onDisks())[0]]).toEqual([[], written.size]);
      await eachReads();
      await said(`storage move ${folder} ${second} ${third}`);
      await eventually(async () => (await call(cluster.broker, ring.get, {})).replicas === 3);
      await moveAll();
      expect(await onDisks()).toEqual([written.size, written.size, written.size]);
      await eachReads();
    },
    PATIENCE_MS,
  );

  it("goes nowhere while something else is staged, and has to be told where to", async () => {
    const { id } = cluster.disks[0]!;
    await call(cluster.broker, ring.stage, { disk: id, change: "weight", weight: 1000 });
    expect(await refused("storage move s3://chunks/there")).toContain("RING_CHANGE_REFUSED: Something else is staged");
    await call(cluster.broker, ring.unstage, {});
    expect(await said("storage move")).toContain("everything is where it was to go");
  });
});
