/** What a conversion has taken of processors: as the kernel tells of the children of this process, once they are gone. */
import { readFile } from "node:fs/promises";
import { ServiceBroker } from "moleculer";
import { Account, registerCounters } from "../../services/transcoder/account.ts";
import { taskOf } from "../../services/transcoder/domain/plan.ts";
import { openTools, type Tools } from "../../services/transcoder/ffmpeg/sandbox.ts";
import { encodeSpan } from "../../services/transcoder/work/encode.ts";
import { takePicture } from "../../services/transcoder/work/picture.ts";
import { Workshop } from "../support/conversion.ts";
import { makeSource } from "../support/media.ts";
import { describeWith } from "../support/neighbours.ts";
import { removeFolder, temporaryFolder } from "../support/tritontube.ts";

/** Of children that are gone, and of theirs: fields 16 and 17 of /proc/self/stat. */
async function ofChildren(): Promise<number> {
  const stat = await readFile("/proc/self/stat", "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[13]) + Number(fields[14])) / 100;
}

function counter(broker: ServiceBroker, name: string): unknown {
  return broker.metrics.getMetric(name)?.snapshot()[0];
}

describeWith(["ffmpeg", "ffprobe"], "the processor time of a conversion", () => {
  let folder: string;
  let tools: Tools;
  beforeAll(async () => {
    folder = await temporaryFolder("tritontube-cpu-");
    tools = await openTools({ ffmpeg: undefined, ffprobe: undefined }, 60);
  });
  afterAll(async () => {
    await tools.close();
    await removeFolder(folder);
  });

  it("is what the kernel counts of ffmpeg, but for its last moment; and each second of the video is counted once", async () => {
    const workshop = new Workshop(tools);
    const source = workshop.store(await readFile(await makeSource(folder, { seconds: 12 })));
    const { facts, plan } = await workshop.plan(source);
    const counted = { spent: 0, made: 0 };
    const hand = {
      ...workshop.hand(new AbortController().signal, {}),
      spent: (cpuS: number) => void (counted.spent += cpuS),
      made: (seconds: number) => void (counted.made += seconds),
    };
    const before = await ofChildren();
    for (const { kind, payload } of plan.tasks) {
      if (kind === "video.span") await encodeSpan(taskOf(kind, payload), hand);
      if (kind === "video.picture") await takePicture(taskOf(kind, payload), hand);
    }
    const taken = (await ofChildren()) - before;
    expect(taken).toBeGreaterThan(1);
    // The kernel's counter has ticks of 10 ms.
    expect(counted.spent).toBeLessThan(taken + 0.05);
    expect(counted.spent).toBeGreaterThan(0.85 * taken);
    expect(counted.made).toBeCloseTo(facts.durationS, 1);
  });
});

describe("an account of work", () => {
  it("adds up what its programs took, tells it once, and counts it for monitors", async () => {
    const told: unknown[] = [];
    const broker = new ServiceBroker({ logger: false, metrics: { enabled: true, reporter: [] } });
    broker.createService({ name: "jobs", actions: { spent: { handler: ({ params }: { params: unknown }) => void told.push(params) } } });
    await broker.start();
    try {
      registerCounters(broker);
      const account = new Account({ broker, logger: broker.logger }, "7");
      account.spent(1.5);
      account.spent(0.5);
      account.made(8);
      await account.settle();
      expect(told).toEqual([{ id: "7", cpuSeconds: 2 }]);
      expect(counter(broker, "tritontube.transcoder.cpu.seconds")).toMatchObject({ value: 2 });
      expect(counter(broker, "tritontube.transcoded.seconds")).toMatchObject({ value: 8 });
    } finally {
      await broker.stop();
    }
  });

  it("fails no work when nobody takes it", async () => {
    const broker = new ServiceBroker({ logger: false });
    const account = new Account({ broker, logger: broker.logger }, "7");
    account.spent(1);
    await expect(account.settle()).resolves.toBeUndefined();
  });
});
