/** The queue, for workers that have no database: they reach it by these actions only. Any number of instances may run. */
import type { ServiceSchema } from "moleculer";
import { announceJobs, databaseMixin, type WithDatabase } from "../../mixins/database/database.mixin.ts";
import { completeJob, excuseAttempt, failJob } from "../../mixins/database/jobs.ts";
import { repeat, type Repeated } from "../../mixins/repeat.ts";
import { messageOf } from "../kernel/errors.ts";
import { implement } from "../kernel/rpc.ts";
import { jobs } from "./contract.ts";
import { historyOf, jobOf, listJobs, retryJob } from "./store/entries.ts";
import { addCpu, beat, claim, depth, prune, reap, release } from "./store/queue.ts";

/** With a first lease of 3 s, the job of a worker that died is taken again after at most 4 s. */
const REAP_MS = 1000;
const PRUNE_MS = 3_600_000;

interface JobsService extends WithDatabase {
  rounds: readonly Repeated[];
}

const service: ServiceSchema<object, object, object, JobsService> = {
  name: "jobs",
  mixins: [databaseMixin],

  actions: implement<JobsService>()(jobs, {
    async claim(params) {
      return await claim(this.db, params);
    },
    async beat(params) {
      return await beat(this.db, params);
    },
    async spent({ id, cpuSeconds }) {
      await addCpu(this.db, id, cpuSeconds);
      return null;
    },
    async complete({ job }) {
      await completeJob(this.db, job);
      return null;
    },
    async fail({ job, ...report }) {
      return await failJob(this.db, job, report);
    },
    async excuse({ job }) {
      await excuseAttempt(this.db, job);
      return null;
    },
    async release({ job }) {
      const kind = await release(this.db, job);
      if (kind) await announceJobs(this.broker, [kind]);
      return null;
    },
    async list(asked) {
      return await listJobs(this.db, asked);
    },
    async history({ videoId }) {
      return await historyOf(this.db, videoId);
    },
    async get({ id }) {
      return await jobOf(this.db, id);
    },
    async retry({ id }) {
      await announceJobs(this.broker, [await retryJob(this.db, id)]);
      return null;
    },
    async depth() {
      return await depth(this.db);
    },
  }),

  async started() {
    const tell = (error: unknown): void => this.logger.warn("the queue could not be tidied; trying again", { reason: messageOf(error) });
    this.rounds = [
      repeat(REAP_MS, async () => await announceJobs(this.broker, await reap(this.db)), tell),
      repeat(PRUNE_MS, async () => await prune(this.db), tell),
    ];
  },

  async stopped() {
    await Promise.all(this.rounds.map(async (round) => await round.stop()));
  },
};

export default service;
