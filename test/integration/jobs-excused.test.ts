/** Outages that end attempts: a job is given up for what it does to its workers, never for what is done to them. */
import type { ServiceBroker } from "moleculer";
import { excuseAttempt } from "../../mixins/database/jobs.ts";
import { execute, one, type Database } from "../../mixins/database/sql.ts";
import { worker, type WithWorker, type WorkControl } from "../../mixins/worker.mixin.ts";
import type { Job } from "../../services/jobs/contract.ts";
import jobsService from "../../services/jobs/jobs.service.ts";
import { beat, claim, reap } from "../../services/jobs/store/queue.ts";
import { failure } from "../../services/kernel/errors.ts";
import { eventually } from "../support/eventually.ts";
import { kind, openQueue, type TestQueue } from "../support/jobs.ts";
import { startServices } from "../support/services.ts";

let queue: TestQueue;
let db: Database;
let broker: ServiceBroker | undefined;

beforeAll(async () => {
  queue = await openQueue();
  ({ db } = queue);
});
afterAll(async () => await queue.drop());
beforeEach(async () => await queue.empty());
afterEach(async () => {
  await broker?.stop();
  broker = undefined;
});

const begun = async () => await one(db, "select 1 from jobs where begun");
const seen = async () =>
  await one<{ state: string; counted: number; type: string | null }>(
    db,
    "select state, attempts - unheard as counted, failure ->> 'type' as type from jobs",
  );

/** Whether nobody may begin the job for some seconds. */
const waits = async () => (await one<{ waits: boolean }>(db, "select run_at > now() + interval '3 seconds' as waits from jobs"))?.waits;

/** An attempt that its worker has shown to be alive in, and whose lease has run out then. */
async function attempt(): Promise<Job> {
  const job = await claim(db, { kind, worker: "test", leaseMs: 3000 });
  if (!job) throw new Error("there was no job to claim");
  await beat(db, { leaseMs: 3000, held: [{ id: job.id, fence: job.fence, progress: 0 }] });
  await execute(db, "update jobs set lease_until = now() - interval '1 second'");
  await reap(db);
  return job;
}

describe("an attempt that is excused when it is over", () => {
  it("is not counted, whoever has the job by then, nor more often than there were attempts", async () => {
    await queue.add({ maxAttempts: 3 });
    const first = await attempt();
    await attempt();
    expect(await seen()).toMatchObject({ counted: 2 });
    await excuseAttempt(db, first);
    expect(await seen()).toMatchObject({ state: "queued", counted: 1 });
    for (let again = 0; again < 3; again++) await excuseAttempt(db, first);
    expect(await seen()).toMatchObject({ counted: 0 });
  });

  it("is counted when the job is three days old: an outage that nobody ended is not going to end", async () => {
    await queue.add({});
    const job = await attempt();
    await execute(db, "update jobs set created_at = now() - interval '73 hours'");
    await excuseAttempt(db, job);
    expect(await seen()).toMatchObject({ counted: 1 });
  });

  it("is never the one that another worker is at, however often it is told", async () => {
    await queue.add({ maxAttempts: 3 });
    const first = await attempt();
    await claim(db, { kind, worker: "another", leaseMs: 3000 });
    for (let again = 0; again < 3; again++) await excuseAttempt(db, first);
    expect(await seen()).toMatchObject({ state: "running", counted: 1 });
  });

  it("comes in time: a job that has had attempts enough waits for some seconds before anybody can give it up, and no other does", async () => {
    await queue.add({ maxAttempts: 2 });
    await attempt();
    expect(await waits()).toBe(false);
    await attempt();
    expect(await waits()).toBe(true);
  });

  it("brings nothing back that has ended", async () => {
    await queue.add({});
    const job = await attempt();
    await execute(db, "update jobs set state = 'failed'");
    await excuseAttempt(db, job);
    expect(await seen()).toMatchObject({ state: "failed", counted: 1 });
  });
});

interface CutOff {
  readonly controls: readonly WorkControl[];
  readonly held: WithWorker["worker"];
  readonly comeBack: () => void;
}

/** Each attempt ends with what `end` does; the first only when it is let. */
async function cutOff(end: (control: WorkControl) => Promise<void>): Promise<CutOff> {
  await queue.add({ maxAttempts: 1 });
  const controls: WorkControl[] = [];
  const work = async (_: unknown, control: WorkControl): Promise<void> => {
    controls.push(control);
    await (controls.length === 1 ? end(control) : undefined);
  };
  const options = {
    groups: () => [{ kinds: [kind] as const, slots: 1 }],
    kinds: { "video.span": { completes: "mixin" as const, work } },
  };
  const started = await startServices(queue.url, jobsService, { name: "worker", mixins: [worker<WithWorker>(options)] });
  broker = started;
  await eventually(begun, { what: "an attempt of which the queue has heard" });
  await started.destroyService(started.getLocalService("jobs"));
  const { worker: held } = started.getLocalService("worker") as unknown as WithWorker;
  return { controls, held, comeBack: () => void started.createService(jobsService) };
}

describe("a worker that is cut off from the queue", () => {
  it("has the attempt that ended meanwhile excused as soon as the queue answers, and does the job", async () => {
    const { promise: away, resolve: leave } = Promise.withResolvers<void>();
    const { controls, held, comeBack } = await cutOff(async () => {
      await away;
      throw failure("DATABASE_UNAVAILABLE", "The database does not answer.");
    });
    leave();
    await eventually(() => held.running === 0, { what: "the end of the attempt" });
    comeBack();
    await eventually(async () => (await seen())?.state === "done", { what: "the end of the job", timeoutMs: 30_000 });
    expect([controls.length, (await seen())?.counted]).toEqual([2, 1]);
  });

  it("does so for an attempt that it ended by itself, since nobody answered for a whole lease", async () => {
    const { controls, comeBack } = await cutOff(async ({ signal }) => {
      await new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("killed"))));
    });
    expect(await eventually(() => controls[0]?.signal.reason as unknown)).toBe("silence");
    comeBack();
    await eventually(async () => (await seen())?.state === "done", { what: "the end of the job", timeoutMs: 30_000 });
    expect([controls.length, (await seen())?.counted]).toEqual([2, 1]);
  });
});
