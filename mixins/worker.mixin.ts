/**
 * Makes a service a worker: it takes jobs of some kinds from the queue, holds each by a lease, and gives it back when it must stop.
 * Asking the queue again and again is the truth; the events only make it quick. What makes two workers of one job harmless is the fence.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Context, Service, ServiceSchema } from "moleculer";
import type { z } from "zod";
import {
  jobPayloads,
  jobs,
  leaseFactor,
  jobsCancelled,
  jobsWaiting,
  type Job,
  type JobKind,
  type JobReport,
} from "../services/jobs/contract.ts";
import { ERRORS, errorType, failure as failed, isOfEnvironment, messageOf, type ErrorType } from "../services/kernel/errors.ts";
import { tellMistake, type Circumstances } from "../services/kernel/mistakes.ts";
import { call, type Caller } from "../services/kernel/rpc.ts";
import type { JobRef } from "../services/kernel/schemas.ts";
import { continued, StepKind, type Step } from "../services/kernel/trace.ts";
import { repeat, type Repeated } from "./repeat.ts";

/** A worker that died is noticed after this. */
const LEASE_MS = 3000;
const BEAT_MS = 1000;
const POLL_MS = 2000;
/** Work waits for so long until what was not told is. */
const EXCUSE_MS = 2000;
/** Attempts to be excused when the queue answers again; of more, the oldest count. */
const UNTOLD_MAX = 1000;
/** Handlers have this long to end when the service stops: less than the broker waits (moleculer.config.ts). */
const STOP_MS = 6000;

export type { JobReport } from "../services/jobs/contract.ts";

export interface WorkControl {
  /** Aborted when the job is not ours any more, is not wanted any more, or the service stops: end soon, and leave nothing behind. */
  readonly signal: AbortSignal;
  /** Tells how much of the job is done, 0–1. */
  readonly progress: (done: number) => void;
}

type JobOf<K extends JobKind> = Omit<Job, "kind" | "payload"> & { readonly kind: K; readonly payload: z.output<(typeof jobPayloads)[K]> };

export interface KindOptions<TThis, K extends JobKind> {
  work(this: TThis, job: JobOf<K>, control: WorkControl): Promise<void>;
  /** Who completes the job: `work` itself, in the transaction of what it made, before it returns; or the mixin, when `work` has returned. */
  readonly completes: "work" | "mixin";
  /** Where a failure is reported; `jobs.fail` when not given. */
  fail?(this: TThis, report: JobReport): Promise<unknown>;
}

/** Kinds that share a number of slots. The first kind is asked for first. */
export interface WorkerGroup {
  readonly kinds: readonly JobKind[];
  readonly slots: number;
  /** The group takes jobs of at least this priority only; default: all. */
  readonly priorityMin?: number | undefined;
}

export interface WorkerOptions<TThis> {
  /** Asked when the service is created, since the slots come from the configuration. */
  readonly groups: () => readonly WorkerGroup[];
  readonly kinds: { readonly [K in JobKind]?: KindOptions<TThis, K> };
}

export interface WithWorker extends Service {
  worker: Worker<unknown>;
}

/** `mixins: [worker<MyService>({ groups: () => [{ kinds: ["video.span"], slots: 1 }], kinds: { "video.span": { completes: "work", work } } })]` */
export function worker<TThis extends WithWorker>(options: WorkerOptions<TThis>): Partial<ServiceSchema> & ThisType<WithWorker> {
  return {
    created() {
      this.worker = new Worker(this as TThis, options) as Worker<unknown>;
    },
    async started() {
      this.worker.start();
    },
    async stopped() {
      await this.worker.stop();
    },
    events: {
      [jobsWaiting.name](this: WithWorker, ctx: Context<{ kinds: readonly JobKind[] }>) {
        this.worker.wake(ctx.params.kinds);
      },
      [jobsCancelled.name](this: WithWorker, ctx: Context<{ videoId: string }>) {
        this.worker.cancel(ctx.params.videoId);
      },
      /** The queue may have come up just now: at the start of a process, after its workers. */
      "$services.changed"(this: WithWorker) {
        this.worker.wake();
      },
    },
  };
}

/** Why a job was aborted: "silence" when it was the queue that did not answer. */
type Reason = "stopping" | "lost" | "silence" | "cancelled";

interface Held {
  readonly job: Job;
  readonly ref: JobRef;
  readonly abort: (reason: Reason) => void;
  readonly signal: AbortSignal;
  /** Aborts the job when no beat has come through for a whole lease: somebody else may have it by then. */
  readonly lease: NodeJS.Timeout;
  /** A beat was answered: the queue knows that the attempt has begun. */
  heard: boolean;
  progress: number;
  ended: Promise<void>;
}

class Group implements WorkerGroup {
  readonly kinds: readonly JobKind[];
  readonly slots: number;
  readonly priorityMin: number | undefined;
  readonly held = new Set<Held>();
  /** Whether a search for jobs runs, and whether there was a reason for another one since it began. */
  searching = false;
  again = false;
  search: Promise<void> = Promise.resolve();

  constructor({ kinds, slots, priorityMin }: WorkerGroup) {
    this.kinds = kinds;
    this.slots = slots;
    this.priorityMin = priorityMin;
  }
}

class Worker<TThis> {
  readonly #service: TThis & Service;
  readonly #caller: Caller;
  readonly #logger: Service["logger"];
  readonly #name: string;
  readonly #kinds: WorkerOptions<TThis>["kinds"];
  readonly #groups: readonly Group[];
  #rounds: readonly Repeated[] = [];
  #stopping = false;
  /** Since when the queue has not answered, in ms of the monotonic clock; and whether that was told. */
  #silentSince: number | undefined;
  #told = false;
  /** When the first beat was sent that nobody has answered, nor any after it. */
  #unheardSince: number | undefined;
  /** Attempts that ended while the queue did not answer, and not through a fault of the job. */
  readonly #untold: JobRef[] = [];
  #excusing: Promise<void> | undefined;

  constructor(service: TThis & Service, options: WorkerOptions<TThis>) {
    this.#service = service;
    this.#caller = service.broker;
    this.#logger = service.logger;
    this.#name = `${service.broker.nodeID}/${service.name}`;
    this.#kinds = options.kinds;
    this.#groups = options.groups().map((group) => new Group(group));
  }

  /** Jobs that are being worked on. */
  get running(): number {
    return this.#held().length;
  }

  start(): void {
    const tell = (error: unknown): void => this.#unreachable(error);
    this.#rounds = [
      repeat(POLL_MS, async () => this.wake(), tell),
      repeat(BEAT_MS, async () => await this.#beat(), tell),
      repeat(BEAT_MS, async () => await this.#excuse(), tell),
    ];
  }

  /** Gives every job back, so that another worker has it at once, and none has lost an attempt. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#groups.map((group) => group.search));
    const held = this.#held();
    for (const one of held) one.abort("stopping");
    const patience = new AbortController();
    await Promise.race([Promise.all(held.map((one) => one.ended)), sleep(STOP_MS, undefined, { signal: patience.signal }).catch(() => {})]);
    patience.abort();
    await Promise.all(this.#held().map(async (stuck) => await this.#release(stuck)));
    await Promise.all(this.#rounds.map(async (round) => await round.stop()));
  }

  /** Looks for jobs of these kinds, or of all. */
  wake(kinds?: readonly JobKind[]): void {
    for (const group of this.#groups) {
      if (kinds === undefined || group.kinds.some((kind) => kinds.includes(kind))) this.#fill(group);
    }
  }

  /** Ends the work on a video that nobody wants any more. */
  cancel(videoId: string): void {
    for (const held of this.#held()) if (held.job.videoId === videoId) held.abort("cancelled");
  }

  #held(): Held[] {
    return this.#groups.flatMap((group) => [...group.held]);
  }

  #fill(group: Group): void {
    group.again = true;
    if (group.searching) return;
    group.searching = true;
    group.search = this.#search(group)
      .catch((error: unknown) => this.#unreachable(error))
      .finally(() => (group.searching = false));
  }

  async #search(group: Group): Promise<void> {
    // First, or a job that is claimed again here may have had attempts enough; but a queue that does not answer is asked for jobs as ever.
    const excused = this.#excuse().catch((error: unknown) => this.#unreachable(error));
    if (this.#untold.length > 0) await Promise.race([excused, sleep(EXCUSE_MS, undefined, { ref: false })]);
    while (group.again) {
      group.again = false;
      while (!this.#stopping && group.held.size < group.slots) {
        const job = await this.#claim(group);
        if (!job) break;
        this.#take(group, job);
      }
    }
  }

  async #claim(group: Group): Promise<Job | null> {
    const { kinds, priorityMin } = group;
    for (const kind of kinds) {
      const job = await call(this.#caller, jobs.claim, { kind, worker: this.#name, leaseMs: LEASE_MS, priorityMin });
      this.#reached();
      if (job) return job;
    }
    return null;
  }

  #take(group: Group, job: Job): void {
    const controller = new AbortController();
    const abort = (reason: Reason): void => controller.abort(reason);
    const held: Held = {
      job,
      ref: { id: job.id, fence: job.fence },
      abort,
      signal: controller.signal,
      lease: setTimeout(() => abort(this.#isCutOff ? "silence" : "lost"), LEASE_MS * leaseFactor(job.attempts)),
      heard: false,
      progress: 0,
      ended: Promise.resolve(),
    };
    group.held.add(held);
    if (this.#stopping) held.abort("stopping");
    else this.#beat([held]).catch((error: unknown) => this.#unreachable(error));
    held.ended = this.#run(held).finally(() => {
      clearTimeout(held.lease);
      group.held.delete(held);
      if (!this.#stopping) this.#fill(group);
    });
  }

  /** Never rejects: whatever happens to a job is told to the queue, or left to the end of the lease. */
  async #run(held: Held): Promise<void> {
    try {
      await continued(held.job.trace, stepOf(held.job), async () => await this.#work(held));
    } catch (error) {
      await this.#settle(held, error).catch((told: unknown) => {
        this.#logger.warn("the end of a job could not be told; its lease will run out", { ...held.ref, reason: messageOf(told) });
      });
    }
  }

  async #work(held: Held): Promise<void> {
    const { job, signal } = held;
    const options = this.#optionsOf(job.kind);
    if (signal.aborted) throw new Error("aborted before it began");
    // Each of those attempts ended without a word: the job itself may be what kills its workers.
    if (job.attempts > job.maxAttempts)
      throw failed("JOB_ABANDONED", `The work was begun ${job.maxAttempts} times and never came to an end.`);
    const progress = (done: number): void => void (held.progress = Math.min(Math.max(done, 0), 1));
    await options.work.call(this.#service, { ...job, payload: jobPayloads[job.kind].parse(job.payload) }, { signal, progress });
    if (options.completes === "mixin") await call(this.#caller, jobs.complete, { job: held.ref });
  }

  async #settle(held: Held, error: unknown): Promise<void> {
    const reason = held.signal.aborted ? (held.signal.reason as Reason) : undefined;
    if (reason === "stopping") return await this.#release(held);
    if (reason !== undefined || errorType(error) === "JOB_LOST") {
      this.#logger.info("left a job that is not ours any more", { ...held.ref, kind: held.job.kind, reason: reason ?? "lost" });
      if (reason === "silence") this.#excuseLater(held);
      return;
    }
    const report = { job: held.ref, ...reportOf(error) };
    const { failure, final, excused } = report;
    this.#logger.warn("a job failed", { ...held.ref, kind: held.job.kind, attempt: held.job.attempts, ...failure, final, excused });
    if (failure.type === "INTERNAL") this.#logger.error(error);
    if (UNEXPECTED.has(failure.type)) tellMistake(error, { service: this.#service.name, ...circumstancesOf(held.job) });
    const options = this.#optionsOf(held.job.kind);
    try {
      await (options.fail?.call(this.#service, report) ?? call(this.#caller, jobs.fail, report));
    } catch (untold) {
      // Whoever hears that the job is lost was not cut off: then it may be the job that kept the worker from its beats.
      if (excused && errorType(untold) !== "JOB_LOST") this.#excuseLater(held);
      throw untold;
    }
  }

  /** An attempt that the queue has not heard of counts as none anyway; where only its answer was lost, it counts. */
  #excuseLater({ ref, heard }: Held): void {
    if (heard) this.#untold.push(ref);
    if (this.#untold.length > UNTOLD_MAX) this.#untold.shift();
  }

  /** One after the other, and by one at a time. */
  #excuse(): Promise<void> {
    return (this.#excusing ??= this.#excuseAll().finally(() => (this.#excusing = undefined)));
  }

  async #excuseAll(): Promise<void> {
    for (let ref = this.#untold[0]; ref && !this.#stopping; ref = this.#untold[0]) {
      await call(this.#caller, jobs.excuse, { job: ref });
      this.#untold.shift();
    }
  }

  /** It is the queue that is silent, and not this process that has not come to ask it. */
  get #isCutOff(): boolean {
    return this.#unheardSince !== undefined && performance.now() - this.#unheardSince >= BEAT_MS;
  }

  async #release(held: Held): Promise<void> {
    await call(this.#caller, jobs.release, { job: held.ref });
  }

  /** What never sends one has not begun: of what ends its worker, the first one tells before it can. */
  async #beat(held: readonly Held[] = this.#held()): Promise<void> {
    if (held.length === 0) return void (this.#unheardSince = undefined);
    const claims = held.map((one) => ({ ...one.ref, progress: one.progress }));
    this.#unheardSince ??= performance.now();
    const kept = new Set(await call(this.#caller, jobs.beat, { leaseMs: LEASE_MS, held: claims }));
    this.#unheardSince = undefined;
    this.#reached();
    for (const one of held) {
      if (!kept.has(one.ref.id)) one.abort("lost");
      else one.lease.refresh();
      one.heard ||= kept.has(one.ref.id) && !one.signal.aborted;
    }
  }

  #optionsOf(kind: JobKind): KindOptions<TThis, JobKind> {
    const options = this.#kinds[kind];
    if (!options) throw new Error(`a group names the kind ${kind}, for which there is no handler`);
    return options;
  }

  /** Services start in any order, so a short silence is normal; a longer one is worth a line, and no more lines follow. */
  #unreachable(error: unknown): void {
    this.#silentSince ??= performance.now();
    if (this.#told || this.#stopping || performance.now() - this.#silentSince < LEASE_MS) return;
    this.#told = true;
    this.#logger.warn("the job queue does not answer; asking again", { reason: messageOf(error) });
  }

  #reached(): void {
    if (this.#told) this.#logger.info("the job queue answers again");
    this.#silentSince = undefined;
    this.#told = false;
  }
}

function stepOf({ id, kind, videoId, attempts }: Job): Step {
  const attributes = { "tritontube.job": id, "tritontube.attempt": attempts, ...(videoId === null ? {} : { "tritontube.video": videoId }) };
  return { name: `job ${kind}`, kind: StepKind.CONSUMER, attributes };
}

/** What somebody has to look at: the rest of what jobs fail with is what sources and disks are like. */
const UNEXPECTED: ReadonlySet<string> = new Set<ErrorType>(["INTERNAL", "JOB_ABANDONED"]);

function circumstancesOf({ id, kind, attempts }: Job): Omit<Circumstances, "service"> {
  return { doing: kind, jobId: id, attempt: attempts };
}

/** What is told of an error. Only words about the source are for viewers; others name hosts, paths and chunks, and are for operators. */
function reportOf(error: unknown): Omit<JobReport, "job"> {
  const { data } = error as { data?: { log?: unknown } };
  const type = typeOf(error);
  const words = messageOf(error).slice(0, 2000);
  const shown = /^(?:SOURCE|TRANSCODE)_/.test(type);
  const told = [data?.log, shown ? undefined : words].filter((part) => typeof part === "string" && part !== "");
  const log = told.length === 0 ? {} : { log: told.join("\n").slice(-4000) };
  const excused = isOfEnvironment(type);
  return {
    failure: { type, message: shown ? words : ERRORS[type].title, ...log },
    final: !excused && !ERRORS[type].retryable,
    excused,
  };
}

/**
 * An error that is not of the table is a mistake of ours, unless the broker says that a later try may succeed, or the operating system
 * refused something (ENOSPC, EMFILE, EACCES of a program): then the machine is at fault.
 */
function typeOf(error: unknown): ErrorType {
  const { code, retryable } = error as { code?: unknown; retryable?: unknown };
  const refused = typeof code === "string" && /^E[A-Z]+$/.test(code);
  return errorType(error) ?? (retryable === true || refused ? "SERVICE_UNAVAILABLE" : "INTERNAL");
}
