import type { ServiceBroker, ServiceSchema } from "moleculer";
import { execute, one, rows, type Database } from "../../mixins/database/sql.ts";
import { worker, type WithWorker, type WorkControl, type WorkerGroup, type WorkerOptions } from "../../mixins/worker.mixin.ts";
import { jobs, type Job } from "../../services/jobs/contract.ts";
import jobsService from "../../services/jobs/jobs.service.ts";
import { jobOf } from "../../services/jobs/store/entries.ts";
import { beat, claim, prune, reap, release } from "../../services/jobs/store/queue.ts";
import { ERRORS, errorType, failure } from "../../services/kernel/errors.ts";
import { call } from "../../services/kernel/rpc.ts";
import { eventually } from "../support/eventually.ts";
import { kind, openQueue, type TestQueue } from "../support/jobs.ts";
import { startServices } from "../support/services.ts";

let queue: TestQueue;
let db: Database;

beforeAll(async () => {
  queue = await openQueue();
  ({ db } = queue);
});
afterAll(async () => await queue.drop());
beforeEach(async () => await queue.empty());

interface Seen {
  readonly state: string;
  readonly attempts: number;
  readonly failure: { readonly type: string; readonly message: string; readonly log?: string } | null;
  readonly progress: number;
}

async function stateOf(id: string): Promise<Seen> {
  const found = await one<Seen>(db, "select state, attempts, failure, progress from jobs where id = $1", [id]);
  if (!found) throw new Error(`there is no job ${id}`);
  return found;
}

async function typeOf(attempt: Promise<unknown>): Promise<string | undefined> {
  return errorType(await attempt.catch((error: unknown) => error));
}

const claimed = async (leaseMs = 60_000): Promise<Job> => {
  const job = await claim(db, { kind, worker: "test", leaseMs });
  if (!job) throw new Error("there was no job to claim");
  return job;
};
const refOf = ({ id, fence }: Job) => ({ id, fence });
const expire = async (id: string) => await execute(db, "update jobs set lease_until = now() - interval '1 second' where id = $1", [id]);

/** Of a lease, rounded. */
async function minutesLeft(id: string): Promise<number> {
  const found = await one<{ minutes: number }>(
    db,
    "select round(extract(epoch from lease_until - clock_timestamp()) / 60)::integer as minutes from jobs where id = $1",
    [id],
  );
  if (!found) throw new Error(`there is no job ${id}`);
  return found.minutes;
}

async function takeAll(): Promise<string[]> {
  const job = await claim(db, { kind, worker: "test", leaseMs: 60_000 });
  return job ? [job.id, ...(await takeAll())] : [];
}

/** Ends when it is aborted, as ffmpeg does. */
async function untilAborted(signal: AbortSignal): Promise<void> {
  await new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("killed"))));
}

describe("the queue", () => {
  it("gives each job to one of four workers that ask at the same time", async () => {
    await queue.add(...Array.from({ length: 60 }, () => ({})));
    const taken = (await Promise.all([takeAll(), takeAll(), takeAll(), takeAll()])).flat();
    expect(taken).toHaveLength(60);
    expect(new Set(taken).size).toBe(60);
  });

  it("gives the most urgent job first, then the oldest, of the kind that was asked for, and none before its time", async () => {
    await queue.add({ payload: { n: 1 } }, { payload: { n: 2 } }, { payload: { n: 3 }, priority: 5 }, { kind: "video.audio" });
    await execute(db, "update jobs set run_at = now() + interval '1 hour' where payload ->> 'n' = '1'");
    expect([(await claimed()).payload, (await claimed()).payload]).toEqual([{ n: 3 }, { n: 2 }]);
    expect(await claim(db, { kind, worker: "w", leaseMs: 60_000 })).toBeNull();
  });

  it("gives a worker that asks for urgent jobs no other", async () => {
    await queue.add({ priority: 999 }, { priority: 1000 }, { priority: 2000 });
    const priorities: unknown[] = [];
    for (let asked = 0; asked < 3; asked++)
      priorities.push((await claim(db, { kind, worker: "w", leaseMs: 60_000, priorityMin: 1000 }))?.priority);
    expect(priorities).toEqual([2000, 1000, undefined]);
    expect((await claimed()).priority).toBe(999);
  });

  it("takes a job away when its lease ran out: the next holder has a higher fence, and the former one is told that the job is lost", async () => {
    await queue.add({});
    const first = await claimed();
    await beat(db, { leaseMs: 3000, held: [{ ...refOf(first), progress: 0 }] });
    await expire(first.id);
    expect(await reap(db)).toEqual([kind]);
    const second = await claimed();
    expect(second.id).toBe(first.id);
    expect(BigInt(second.fence)).toBeGreaterThan(BigInt(first.fence));
    expect(second.attempts).toBe(2);
    expect(await beat(db, { leaseMs: 3000, held: [{ ...refOf(first), progress: 0 }] })).toEqual([]);
    const broker = await startServices(queue.url, jobsService);
    try {
      expect(await typeOf(call(broker, jobs.complete, { job: refOf(first) }))).toBe("JOB_LOST");
      const report = { failure: { type: "INTERNAL", message: "" }, final: false };
      expect(await typeOf(call(broker, jobs.fail, { job: refOf(first), ...report }))).toBe("JOB_LOST");
      await call(broker, jobs.complete, { job: refOf(second) });
      expect(await stateOf(first.id)).toMatchObject({ state: "done", progress: 1 });
      expect(await typeOf(call(broker, jobs.complete, { job: refOf(second) }))).toBe("JOB_LOST");
    } finally {
      await broker.stop();
    }
  });

  it("counts no attempt of which nobody heard: the answer was lost on its way to the worker", async () => {
    await queue.add({ maxAttempts: 1 });
    for (let lost = 0; lost < 10; lost++) {
      const { id, attempts, maxAttempts } = await claimed();
      expect(attempts).toBeLessThanOrEqual(maxAttempts);
      await expire(id);
      await reap(db);
    }
    const { id } = await claimed();
    expect(await jobOf(db, id)).toMatchObject({ state: "running", attempts: 1 });
    // Whoever has far too much to do has more time each time to say that it lives.
    expect(await minutesLeft(id)).toBe(16);
  });

  it("counts an attempt once, however often its worker shows that it lives", async () => {
    await queue.add({});
    const job = await claimed();
    for (let beats = 0; beats < 3; beats++) await beat(db, { leaseMs: 3000, held: [{ ...refOf(job), progress: 0 }] });
    expect(await jobOf(db, job.id)).toMatchObject({ attempts: 1 });
    expect(await release(db, refOf(job))).toBe(kind);
    expect(await stateOf(job.id)).toMatchObject({ attempts: 0 });
  });

  it("gives each attempt twice the time of the one before to show that its worker lives, to sixteen times, and as much with each renewal", async () => {
    await queue.add({ maxAttempts: 100 });
    const leases: number[] = [];
    for (let attempt = 1; attempt <= 6; attempt++) {
      const job = await claimed(60_000);
      expect(job.attempts).toBe(attempt);
      const atFirst = await minutesLeft(job.id);
      await beat(db, { leaseMs: 60_000, held: [{ ...refOf(job), progress: 0 }] });
      expect(await minutesLeft(job.id)).toBe(atFirst);
      leases.push(atFirst);
      await expire(job.id);
      await reap(db);
    }
    expect(leases).toEqual([1, 2, 4, 8, 16, 16]);
  });

  it("keeps a lease that is renewed, and lets progress only grow", async () => {
    await queue.add({});
    const job = await claimed();
    await expire(job.id);
    expect(await beat(db, { leaseMs: 3000, held: [{ ...refOf(job), progress: 0.5 }] })).toEqual([job.id]);
    expect(await reap(db)).toEqual([]);
    await beat(db, { leaseMs: 3000, held: [{ ...refOf(job), progress: 0.25 }] });
    expect((await stateOf(job.id)).progress).toBe(0.5);
  });

  it("takes no attempt from a job that is given back", async () => {
    await queue.add({});
    const job = await claimed();
    expect(await release(db, refOf(job))).toBe(kind);
    expect(await release(db, refOf(job))).toBeUndefined();
    expect(await stateOf(job.id)).toMatchObject({ state: "queued", attempts: 0 });
    expect((await claimed()).attempts).toBe(1);
  });

  it("tries again later, and after the last attempt not any more", async () => {
    await queue.add({ maxAttempts: 2 });
    const broker = await startServices(queue.url, jobsService);
    try {
      const report = { failure: { type: "TRANSCODE_FAILED", message: "no" }, final: false };
      const first = await claimed();
      expect(await call(broker, jobs.fail, { job: refOf(first), ...report })).toBe("queued");
      const waits = await one<{ s: number }>(db, "select extract(epoch from run_at - now())::float8 as s from jobs");
      expect(waits?.s).toBeLessThanOrEqual(2);
      await execute(db, "update jobs set run_at = now()");
      expect(await call(broker, jobs.fail, { job: refOf(await claimed()), ...report })).toBe("failed");
      expect(await stateOf(first.id)).toMatchObject({ state: "failed", failure: { type: "TRANSCODE_FAILED" } });
      await queue.add({});
      expect(await call(broker, jobs.fail, { job: refOf(await claimed()), ...report, final: true })).toBe("failed");
      const span = (await call(broker, jobs.depth, {})).find((depth) => depth.kind === kind);
      expect(span).toEqual({ kind, queued: 0, running: 0, failed: 2, retried: 0, oldestS: 0 });
    } finally {
      await broker.stop();
    }
  });

  it("takes no attempt for a failure that is excused, until the job is three days old", async () => {
    await queue.add({ maxAttempts: 1 });
    const broker = await startServices(queue.url, jobsService);
    try {
      const report = { failure: { type: "DISK_FULL", message: "" }, final: false, excused: true };
      for (let round = 0; round < 3; round++) {
        const job = await claimed();
        expect(job.attempts).toBe(1);
        expect(await call(broker, jobs.fail, { job: refOf(job), ...report })).toBe("queued");
        const waits = await one<{ s: number }>(db, "select extract(epoch from run_at - now())::float8 as s from jobs");
        expect(waits?.s).toBeLessThanOrEqual(30);
        await execute(db, "update jobs set run_at = now()");
      }
      await execute(db, "update jobs set created_at = now() - interval '73 hours'");
      expect(await call(broker, jobs.fail, { job: refOf(await claimed()), ...report })).toBe("failed");
    } finally {
      await broker.stop();
    }
  });

  it("forgets what was done a week ago, and nothing that failed", async () => {
    await queue.add({}, {}, {});
    await execute(db, "update jobs set state = 'done', finished_at = now() - interval '8 days'");
    await execute(db, "update jobs set state = 'failed' where id = (select min(id) from jobs)");
    await execute(db, "update jobs set finished_at = now() where id = (select max(id) from jobs)");
    await prune(db);
    expect((await rows<{ state: string }>(db, "select state from jobs order by id")).map((job) => job.state)).toEqual(["failed", "done"]);
  });
});

describe("a worker", () => {
  interface Began {
    readonly job: Job;
    readonly control: WorkControl;
  }
  let broker: ServiceBroker | undefined;
  let began: Began[];

  beforeEach(() => {
    began = [];
  });
  afterEach(async () => {
    await broker?.stop();
    broker = undefined;
  });

  function service(options: Partial<WorkerOptions<WithWorker>> & { work?: (began: Began) => Promise<void> }): ServiceSchema {
    const work = async (job: unknown, control: WorkControl): Promise<void> => {
      const now = { job: job as Job, control };
      began.push(now);
      await (options.work?.(now) ?? untilAborted(control.signal));
    };
    const handler = { completes: "mixin" as const, work };
    return {
      name: "worker",
      mixins: [
        worker<WithWorker>({
          groups: () => [{ kinds: [kind], slots: 2 }],
          kinds: { "video.span": handler, "video.inspect": handler, "video.picture": handler },
          ...options,
        }),
      ],
    };
  }

  it("does what is waiting, a slot each, and completes it", async () => {
    await queue.add({}, {}, {}, {}, {});
    let most = 0;
    let now = 0;
    const work = async (): Promise<void> => {
      most = Math.max(most, ++now);
      await rows(db, "select pg_sleep(0.05)");
      now--;
    };
    broker = await startServices(queue.url, jobsService, service({ work }));
    await eventually(async () => (await rows(db, "select 1 from jobs where state = 'done'")).length === 5);
    expect(most).toBe(2);
  });

  it("lets a quick kind with a slot of its own pass by a long one", async () => {
    await queue.add({}, {}, { kind: "video.picture" });
    const groups: readonly WorkerGroup[] = [
      { kinds: [kind], slots: 1 },
      { kinds: ["video.inspect", "video.picture"], slots: 1 },
    ];
    broker = await startServices(queue.url, jobsService, service({ groups: () => groups }));
    await eventually(() => began.length === 2);
    expect(began.map(({ job }) => job.kind).toSorted()).toEqual(["video.picture", "video.span"]);
  });

  it("keeps its lease for as long as it works, and tells how far it is", async () => {
    await queue.add({});
    broker = await startServices(queue.url, jobsService, service({}));
    const { job, control } = await eventually(() => began[0]);
    control.progress(0.75);
    await eventually(async () => (await stateOf(job.id)).progress === 0.75);
    const renewed = "select 1 from jobs where lease_until - started_at > interval '5 seconds'";
    await eventually(async () => await one(db, renewed), { what: "a lease that was renewed" });
    expect(began).toHaveLength(1);
    expect(control.signal.aborted).toBe(false);
  });

  it("gives its jobs back when it stops, at no cost", async () => {
    await queue.add({}, {});
    broker = await startServices(queue.url, jobsService, service({}));
    await eventually(() => began.length === 2);
    await broker.stop();
    broker = undefined;
    expect(began.every(({ control }) => control.signal.reason === "stopping")).toBe(true);
    for (const { job } of began) expect(await stateOf(job.id)).toMatchObject({ state: "queued", attempts: 0 });
  });

  it("stops what it does when the job was taken away, and when nobody wants it any more", async () => {
    await queue.add({}, {});
    broker = await startServices(queue.url, jobsService, service({}));
    await eventually(() => began.length === 2);
    const [first, second] = began as [Began, Began];
    await execute(db, "update jobs set fence = fence + 1 where id = $1", [first.job.id]);
    await execute(db, "update jobs set state = 'cancelled', lease_until = null where id = $1", [second.job.id]);
    await eventually(() => began.every(({ control }) => control.signal.reason === "lost"));
    expect(await stateOf(second.job.id)).toMatchObject({ state: "cancelled", failure: null });
  });

  it("ends its work by itself when the queue cannot be reached for a whole lease", async () => {
    await queue.add({});
    const deciding = await startServices(queue.url, jobsService, service({}));
    broker = deciding;
    const { control } = await eventually(() => began[0]);
    await deciding.destroyService(deciding.getLocalService("jobs"));
    expect(await eventually(() => control.signal.reason as unknown)).toBe("silence");
  });

  it.each([
    ["may pass is tried again", failure("TRANSCODE_FAILED", "ffmpeg ended"), { state: "queued", attempts: 1 }, "TRANSCODE_FAILED"],
    ["cannot pass is not tried again", failure("SOURCE_NOT_MEDIA", "a text"), { state: "failed", attempts: 1 }, "SOURCE_NOT_MEDIA"],
    ["is a mistake of ours is not tried again", new TypeError("x is undefined"), { state: "failed", attempts: 1 }, "INTERNAL"],
    [
      "comes from a service that is away costs no attempt",
      Object.assign(new Error("gone"), { retryable: true }),
      { state: "queued", attempts: 0 },
      "SERVICE_UNAVAILABLE",
    ],
    ["is a disk's costs no attempt", failure("CHUNK_NOT_FOUND", "c0ffee"), { state: "queued", attempts: 0 }, "CHUNK_NOT_FOUND"],
    [
      "is the machine's costs no attempt",
      Object.assign(new Error("spawn EMFILE"), { code: "EMFILE" }),
      { state: "queued", attempts: 0 },
      "SERVICE_UNAVAILABLE",
    ],
  ])("tells the queue of a failure: one that %s", async (_what, error, outcome, type) => {
    await queue.add({});
    broker = await startServices(queue.url, jobsService, service({ work: async () => await Promise.reject(error) }));
    const { job } = await eventually(() => began[0]);
    await eventually(async () => (await stateOf(job.id)).failure !== null);
    expect(await stateOf(job.id)).toMatchObject({ ...outcome, failure: { type } });
  });

  it.each([
    ["about the source", failure("SOURCE_DAMAGED", "Export it anew."), { message: "Export it anew." }],
    [
      "about the conversion, and keeps the log",
      failure("TRANSCODE_FAILED", "It ended early.", { data: { log: "x264" } }),
      { message: "It ended early.", log: "x264" },
    ],
    [
      "but none that name hosts",
      failure("DISK_UNAVAILABLE", "10.0.0.7 is away.", { data: { log: "x264" } }),
      { message: ERRORS.DISK_UNAVAILABLE.title, log: "x264\n10.0.0.7 is away." },
    ],
    ["but none of a mistake", new TypeError("x is undefined"), { message: ERRORS.INTERNAL.title, log: "x is undefined" }],
    [
      "but none that name chunks",
      failure("CHUNK_NOT_FOUND", "c0ffee", { data: { log: "z".repeat(5000) } }),
      { message: ERRORS.CHUNK_NOT_FOUND.title, log: `${"z".repeat(3993)}\nc0ffee` },
    ],
  ])("gives viewers the words of a failure: those %s", async (_what, error, { message, log }: { message: string; log?: string }) => {
    await queue.add({});
    broker = await startServices(queue.url, jobsService, service({ work: async () => await Promise.reject(error) }));
    const { job } = await eventually(() => began[0]);
    const told = await eventually(async () => (await stateOf(job.id)).failure);
    expect([told.message, told.log]).toEqual([message, log]);
  });

  it("gives up a job that killed its workers too often, without trying it", async () => {
    await queue.add({ maxAttempts: 2 });
    for (let round = 0; round < 2; round++) {
      const job = await claimed();
      await beat(db, { leaseMs: 3000, held: [{ ...refOf(job), progress: 0 }] });
      await expire(job.id);
      await reap(db);
    }
    broker = await startServices(queue.url, jobsService, service({}));
    const failed = "select failure from jobs where state = 'failed'";
    const found = await eventually(async () => await one<{ failure: { type: string } }>(db, failed));
    expect(found.failure.type).toBe("JOB_ABANDONED");
    expect(began).toHaveLength(0);
  });
});
