/** The queue as operators see it. */
import { UNTIL_DONE } from "../../mixins/database/enqueue.ts";
import { failJob } from "../../mixins/database/jobs.ts";
import { execute, rows, type Database } from "../../mixins/database/sql.ts";
import { jobs } from "../../services/jobs/contract.ts";
import jobsService from "../../services/jobs/jobs.service.ts";
import { jobOf, listJobs, retryJob } from "../../services/jobs/store/entries.ts";
import { beat, claim, depth, reap } from "../../services/jobs/store/queue.ts";
import { errorType } from "../../services/kernel/errors.ts";
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

const typeOf = async (attempt: Promise<unknown>): Promise<string | undefined> => errorType(await attempt.catch((error: unknown) => error));

const failedCollection = async (): Promise<string> => {
  const made = await rows<{ id: string }>(
    db,
    `insert into jobs (kind, state, attempts, finished_at, failure, dedupe_key)
     values ('chunks.collect', 'failed', 5, now(), '{"type": "INTERNAL", "message": "It broke."}', 'once') returning id`,
  );
  return made[0]!.id;
};

const aVideo = async (): Promise<string> => {
  const made = await rows<{ id: string }>(
    db,
    `insert into videos (id, title, filename, source_size, status) values (gen_random_uuid(), 'a film', 'a.mp4', 5, 'uploading') returning id`,
  );
  return made[0]!.id;
};

describe("what operators see of the queue", () => {
  it("is the newest first, page by page, of a kind and a state", async () => {
    await queue.add({}, {}, {});
    const failed = await failedCollection();
    const all = await listJobs(db, { limit: 2 });
    expect(all[0]).toMatchObject({ id: failed, kind: "chunks.collect", state: "failed", failure: { type: "INTERNAL" }, videoId: null });
    const older = await listJobs(db, { limit: 100, before: all[1]!.id });
    expect([all.length, older.length]).toEqual([2, 2]);
    expect(older.every(({ id }) => BigInt(id) < BigInt(all[1]!.id))).toBe(true);
    expect((await listJobs(db, { limit: 100, state: "failed" })).map(({ id }) => id)).toEqual([failed]);
    expect(await listJobs(db, { limit: 100, kind })).toHaveLength(3);
  });

  it("shows what waits for bytes of an upload, without a time", async () => {
    await queue.add({ needsBytes: 1000 }, {});
    const [due, waiting] = await listJobs(db, { limit: 2 });
    expect([waiting?.state, waiting?.runAt, due?.runAt]).toEqual(["queued", null, expect.stringMatching(/^20.*Z$/)]);
    expect(await jobOf(db, waiting!.id)).toEqual(waiting);
  });

  it("tells what the work on a video has taken of processors, also by attempts that were lost, and that nobody is known to have", async () => {
    const videoId = await aVideo();
    await queue.add({ videoId }, { videoId });
    const broker = await startServices(queue.url, jobsService);
    try {
      const [first] = (await call(broker, jobs.history, { videoId })).work;
      await call(broker, jobs.spent, { id: first!.id, cpuSeconds: 1.5 });
      await execute(db, "update jobs set state = 'done', fence = fence + 1 where id = $1", [first!.id]);
      await call(broker, jobs.spent, { id: first!.id, cpuSeconds: 0.25 });
      await call(broker, jobs.spent, { id: "999999999", cpuSeconds: 1 });
      expect((await call(broker, jobs.history, { videoId })).work.map(({ cpuSeconds }) => cpuSeconds)).toEqual([1.75, 0]);
    } finally {
      await broker.stop();
    }
  });

  it("gives what is never to be given up to the next worker, also when nobody heard of an attempt", async () => {
    await queue.add({ maxAttempts: UNTIL_DONE });
    for (let lost = 0; lost < 3; lost++) {
      const job = await claim(db, { kind, worker: "test", leaseMs: 1000 });
      expect(job).toMatchObject({ attempts: lost + 1, maxAttempts: UNTIL_DONE + lost });
      await execute(db, "update jobs set lease_until = now() - interval '1 second'");
      await reap(db);
    }
  });

  it("puts what is never to be given up behind what has not failed, whatever it failed with", async () => {
    await queue.add({ maxAttempts: UNTIL_DONE });
    const first = (await claim(db, { kind, worker: "test", leaseMs: 1000 }))!;
    const report = { failure: { type: "INTERNAL", message: "It broke." }, final: true, excused: false };
    expect(await failJob(db, first, report)).toBe("queued");
    await execute(db, "update jobs set run_at = now()");
    await queue.add({});
    const [second, third] = [
      await claim(db, { kind, worker: "test", leaseMs: 1000 }),
      await claim(db, { kind, worker: "test", leaseMs: 1000 }),
    ];
    expect([second?.id === first.id, third?.id]).toEqual([false, first.id]);
    expect((await depth(db)).find((one) => one.kind === kind)).toMatchObject({ running: 2, retried: 1 });
  });

  it("lets workers live for up to a minute between two attempts at what has killed five of them and is never to be given up", async () => {
    await queue.add({ maxAttempts: UNTIL_DONE });
    const paused: boolean[] = [];
    for (let death = 1; death <= 7; death++) {
      const { id, fence } = (await claim(db, { kind, worker: "dies", leaseMs: 1000 }))!;
      await beat(db, { leaseMs: 1000, held: [{ id, fence, progress: 0 }] });
      await execute(db, "update jobs set lease_until = now() - interval '1 second'");
      await reap(db);
      const [job] = await rows<{ paused: boolean; most: boolean }>(
        db,
        "select run_at > now() as paused, run_at < now() + interval '1 minute' as most from jobs",
      );
      expect(job?.most).toBe(true);
      paused.push(job!.paused);
      await execute(db, "update jobs set run_at = now()");
    }
    expect(paused).toEqual([false, false, false, false, false, true, true]);
    expect((await depth(db)).find((one) => one.kind === kind)).toMatchObject({ queued: 1, retried: 1 });
  });

  it("is tried again when it has failed, as if it had never been tried, and not else", async () => {
    const id = await failedCollection();
    expect(await retryJob(db, id)).toBe("chunks.collect");
    expect(await jobOf(db, id)).toMatchObject({ state: "queued", attempts: 0, failure: null, finishedAt: null });
    expect(await typeOf(retryJob(db, id))).toBe("JOB_NOT_FAILED");
    expect(await typeOf(retryJob(db, await failedCollection()))).toBe("JOB_NOT_FAILED");
    expect(await typeOf(jobOf(db, "999999999"))).toBe("JOB_NOT_FOUND");
  });

  it("is not tried again when somebody makes another one for the same at that moment", async () => {
    const id = await failedCollection();
    const other = await db.transaction();
    try {
      await db.query("insert into jobs (kind, dedupe_key) values ('chunks.collect', 'once')", { transaction: other });
      const tried = typeOf(retryJob(db, id));
      const waits = "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
      await eventually(async () => (await rows(db, waits)).length > 0, { what: "the one waiting for the other" });
      await other.commit();
      expect(await tried).toBe("JOB_NOT_FAILED");
    } catch (error) {
      await other.rollback().catch(() => {});
      throw error;
    }
  });
});
