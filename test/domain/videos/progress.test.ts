import * as fc from "fast-check";
import { progressOf, secondsLeft, stagesOf, type JobView, type StageName, type Work } from "../../../services/videos/domain/progress.ts";

const job = (stage: StageName, about: Partial<JobView> = {}): JobView => ({
  stage,
  state: "queued",
  progress: 0,
  attempts: 0,
  failure: null,
  ...about,
});
const done = (stage: StageName): JobView => job(stage, { state: "done", progress: 1, attempts: 1 });
const rendition = (name: string, segmentsDone: number, segmentsTotal = 10): Work["renditions"][number] =>
  name === "audio"
    ? { name, kind: "audio", width: 0, height: 0, segmentsDone, segmentsTotal, begun: segmentsDone > 0 }
    : {
        name,
        kind: "video",
        width: (Number.parseInt(name) * 16) / 9,
        height: Number.parseInt(name),
        segmentsDone,
        segmentsTotal,
        begun: segmentsDone > 0,
      };
const work = (about: Partial<Work>): Work => ({ status: "processing", jobs: [], renditions: [], elapsedS: null, ...about });

const states = (about: Partial<Work>): string[] => stagesOf(work(about)).map(({ name, state }) => `${name} ${state}`);

describe("progress", () => {
  it("is nothing before the first job begins, and two percent when the source is known", () => {
    expect(progressOf(work({ status: "queued", jobs: [job("inspect")] }))).toBe(0);
    const planned = work({ jobs: [done("inspect"), job("video"), job("picture")], renditions: [rendition("720p", 0)] });
    expect(progressOf(planned)).toBeCloseTo(0.02);
  });

  it("counts what is stored, a large picture for more than a small one", () => {
    const jobs = [done("inspect"), job("video", { state: "running" }), job("video"), job("picture")];
    const large = progressOf(work({ jobs, renditions: [rendition("720p", 5), rendition("360p", 0)] }));
    const small = progressOf(work({ jobs, renditions: [rendition("720p", 0), rendition("360p", 5)] }));
    expect(large).toBeCloseTo(0.02 + 0.97 * 0.4);
    expect(small).toBeCloseTo(0.02 + 0.97 * 0.1);
  });

  it("is what a single job tells when that is more than it has stored", () => {
    const jobs = [done("inspect"), job("video", { state: "running", progress: 0.5 }), job("picture")];
    expect(progressOf(work({ jobs, renditions: [rendition("720p", 1)] }))).toBeCloseTo(0.02 + 0.97 * 0.5);
  });

  it("is one for a ready video even when its jobs are forgotten, and for no other", () => {
    const all = [done("inspect"), done("video"), done("audio"), done("picture")];
    const renditions = [rendition("720p", 11), rendition("audio", 10)];
    expect(progressOf(work({ status: "ready" }))).toBe(1);
    expect(progressOf(work({ jobs: all, renditions }))).toBe(0.99);
  });

  it("never goes backwards while jobs run, fail, are taken up again, and end", () => {
    const steps = fc.array(fc.tuple(fc.nat(5), fc.constantFrom("run", "tell", "store", "retry", "end")), { maxLength: 60 });
    fc.assert(
      fc.property(steps, (list) => {
        const jobs = [done("inspect"), job("video"), job("video"), job("video"), job("audio"), job("picture")];
        const renditions = [rendition("720p", 0), rendition("360p", 0), rendition("audio", 0)];
        let before = progressOf(work({ jobs, renditions }));
        for (const [index, step] of list) {
          advance(jobs, renditions, index, step);
          const now = progressOf(work({ jobs: [...jobs], renditions: [...renditions] }));
          expect(now).toBeGreaterThanOrEqual(before);
          expect(now).toBeLessThan(1);
          before = now;
        }
      }),
    );
  });
});

function advance(jobs: JobView[], renditions: Work["renditions"][number][], index: number, step: string): void {
  const at = jobs[index]!;
  const stored = renditions[index % renditions.length]!;
  if (step === "store")
    renditions[index % renditions.length] = { ...stored, segmentsDone: Math.min(stored.segmentsDone + 1, stored.segmentsTotal + 1) };
  if (at.state === "done") return;
  if (step === "run") jobs[index] = { ...at, state: "running", attempts: at.attempts + 1 };
  // The queue keeps the greatest value that was told.
  if (step === "tell") jobs[index] = { ...at, progress: Math.min(1, at.progress + 0.2) };
  if (step === "retry") jobs[index] = { ...at, state: "queued" };
  if (step === "end") jobs[index] = { ...at, state: "done", progress: 1 };
}

describe("the estimate", () => {
  const jobs = [done("inspect"), job("video", { state: "running", progress: 0.25 })];

  it("comes from the speed so far", () => {
    expect(secondsLeft(work({ jobs, renditions: [rendition("720p", 0)], elapsedS: 10 }))).toBe(30);
  });

  it("is not made before there is a speed, nor for a video that does not go on", () => {
    expect(secondsLeft(work({ jobs: [done("inspect"), job("video")], renditions: [rendition("720p", 0)], elapsedS: 1 }))).toBeNull();
    expect(secondsLeft(work({ jobs, renditions: [rendition("720p", 0)] }))).toBeNull();
    expect(secondsLeft(work({ status: "failed", jobs, renditions: [rendition("720p", 0)], elapsedS: 10 }))).toBeNull();
    expect(secondsLeft(work({ status: "ready" }))).toBe(0);
  });
});

describe("the stages", () => {
  it("wait for the plan, and show sound only where there is some", () => {
    expect(states({ status: "queued", jobs: [job("inspect")] })).toEqual(["inspect waiting", "video waiting", "picture waiting"]);
    expect(states({ jobs: [done("inspect"), job("video"), job("audio"), job("picture")] })).toContain("audio waiting");
  });

  it("run from the first job that begins to the last that ends", () => {
    expect(states({ jobs: [done("inspect"), done("video"), job("video"), done("picture")] })).toEqual([
      "inspect done",
      "video running",
      "picture done",
    ]);
  });

  it("tell why and how often they failed", () => {
    const failure = { type: "TRANSCODE_FAILED", message: "no" };
    const jobs = [done("inspect"), job("video", { state: "failed", attempts: 3, failure }), job("picture", { state: "cancelled" })];
    expect(stagesOf(work({ status: "failed", jobs }))).toEqual([
      expect.objectContaining({ name: "inspect", state: "done", progress: 1 }),
      expect.objectContaining({ name: "video", state: "failed", attempts: 3, error: failure }),
      expect.objectContaining({ name: "picture", state: "cancelled", error: null }),
    ]);
  });

  it("are all done for a ready video whose jobs are forgotten", () => {
    expect(states({ status: "ready", renditions: [rendition("720p", 10), rendition("audio", 10)] })).toEqual([
      "inspect done",
      "video done",
      "audio done",
      "picture done",
    ]);
  });
});
