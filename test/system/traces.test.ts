/** A cluster that sends its traces: what one upload causes in all processes is one tree. */
import { readFile } from "node:fs/promises";
import { evaluate } from "../../deploy/operator/evaluate.ts";
import { untilStatus, uploadFile } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import { makeSource } from "../support/media.ts";
import { describeWith } from "../support/neighbours.ts";
import { orphans, startReceiver, traceOfUpload, type ReceivedStep, type Receiver } from "../support/otlp.ts";
import { startProcesses, type Processes } from "../support/processes.ts";
import { removeFolder, temporaryFolder } from "../support/tritontube.ts";

const PATIENCE_MS = 300_000;

/** Disks are named by their ids. */
const processOf = ({ service, instance }: ReceivedStep): string => (service === "tritontube-disk" ? "a disk" : instance);

describeWith(["nats-server", "ffmpeg", "ffprobe"], "the traces of a cluster", () => {
  let folder: string;
  let receiver: Receiver;
  let cluster: Processes;
  let trace: readonly ReceivedStep[];

  beforeAll(async () => {
    folder = await temporaryFolder("tritontube-traces-");
    receiver = await startReceiver();
    // Disks are told by the environment as well.
    Object.assign(process.env, { OTLP_URL: receiver.url, OTLP_READS: "0" });
    cluster = await startProcesses();
    trace = await traceOfUpload(cluster, receiver, await makeSource(folder, { seconds: 5 }));
  }, PATIENCE_MS);
  afterAll(async () => {
    await cluster.stop();
    await receiver.stop();
    delete process.env["OTLP_URL"];
    delete process.env["OTLP_READS"];
    await removeFolder(folder);
  }, PATIENCE_MS);

  it("show an upload as one tree, from its request to the last segment that is stored", () => {
    expect(trace.filter(({ parent }) => parent === null).map(({ name }) => name)).toEqual(["POST /api/v1/videos/upload"]);
    expect(orphans(trace)).toEqual([]);
    expect(trace.filter(({ failed }) => failed)).toEqual([]);
    const names = new Set(trace.map(({ name }) => name));
    const wanted = [
      "storage.write",
      "videos.create",
      "sql insert",
      "job video.inspect",
      "job video.span",
      "ffprobe",
      "ffmpeg",
      "storage.put",
      "blobs.commit",
    ];
    expect(wanted.filter((name) => !names.has(name))).toEqual([]);
  });

  it("go through every process that has a part in it", () => {
    // The ring may be known already.
    expect([...new Set(trace.map(processOf))].filter((one) => one !== "ring-1").toSorted()).toEqual([
      "a disk",
      "gateway-1",
      "transcoder-1",
      "videos-1",
    ]);
    const known = new Map(trace.map((step) => [step.id, step]));
    const callersOf = (name: string): Set<string> =>
      new Set(
        trace.filter((step) => step.name === name && processOf(step) === "a disk").map(({ parent }) => processOf(known.get(parent!)!)),
      );
    expect(callersOf("disk PutChunk")).toEqual(new Set(["gateway-1", "transcoder-1"]));
    expect(callersOf("disk GetChunk")).toEqual(new Set(["transcoder-1"]));
  });

  it("hold no secret, and nothing that a person said", () => {
    const all = JSON.stringify(receiver.steps);
    const { DISK_SECRET, NATS_URL, DATABASE_URL } = cluster.joining;
    for (const secret of [DISK_SECRET!, new URL(NATS_URL!).password, new URL(DATABASE_URL!).password]) expect(all).not.toContain(secret);
    // Its file's name and title.
    expect(all).not.toContain("source-1280x720");
  });

  it("are not made of what reads where OTLP_READS is 0, nor of what nobody asked for", async () => {
    const known = receiver.steps.length;
    await fetch(`${cluster.urls[0]}/api/v1/videos`);
    await uploadFile(cluster.urls[0]!, await makeSource(folder, { seconds: 2 }));
    await eventually(() => receiver.steps.slice(known).some(({ parent }) => parent === null), { what: "the trace of another upload" });
    const roots = receiver.steps.filter(({ parent }) => parent === null).map(({ name }) => name);
    expect(new Set(roots)).toEqual(new Set(["POST /api/v1/videos/upload"]));
  });

  it("are found by the id of a video, with what waited how long and who did it", async () => {
    const { attributes } = trace.find(({ name }) => name === "job video.span")!;
    const text = (await evaluate(cluster.broker, `trace ${String(attributes["tritontube.video"])}`)).text;
    expect(text).toContain(`trace ${trace[0]!.traceId}\n`);
    expect(text).toMatch(/^ *\d+ +video\.inspect +done +0\.0 +\d+\.\d +\d+\.\d +\d+\.\d +1 +transcoder-1\/transcoder$/m);
    expect((await evaluate(cluster.broker, "trace nobody")).text).toContain('"videos" lists them');
  });

  it("have their id in the lines of the log", async () => {
    const lines = (await readFile(cluster.logFile, "utf8")).split("\n").filter((line) => line.includes(`"traceId":"${trace[0]!.traceId}"`));
    expect(lines.length).toBeGreaterThan(0);
  });

  it(
    "cost nothing but themselves while their collector is away",
    async () => {
      await receiver.stop();
      const { id } = await uploadFile(cluster.urls[0]!, await makeSource(folder, { seconds: 3 }));
      await untilStatus(cluster.urls[0]!, id, ["ready"], PATIENCE_MS);
      const said = async (): Promise<boolean> => (await readFile(cluster.logFile, "utf8")).includes("steps of traces cannot be sent");
      await eventually(said, { what: "a line about the collector", timeoutMs: PATIENCE_MS });
      expect((await fetch(`${cluster.urls[0]}/health/ready`)).status).toBe(200);
    },
    PATIENCE_MS,
  );
});
