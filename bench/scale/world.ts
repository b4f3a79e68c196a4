/** Uploads that come, are converted and end; machines that fail meanwhile; and what all of it asks of the queue, of PostgreSQL, of NATS and of the network. */
import { type JobKind, PRIORITY } from "../../services/jobs/contract.ts";
import { groupsOf } from "../../services/transcoder/groups.ts";
import { Agenda } from "./agenda.ts";
import { Chance } from "./chance.ts";
import { Farm, type Work } from "./farm.ts";
import { FAILURES, STEPS, UPLOADS, WORK, WORKERS } from "./measured.ts";
import { bytesOf, sourceBy, tasksOf, type Source, type Task } from "./uploads.ts";

const HOUR_S = 3600;

export interface Scale {
  readonly seed: string;
  readonly uploadsAnHour: number;
  /** Hours that count, and before them some until what waits is as much as it will be. */
  readonly hours: number;
  readonly warmUpHours: number;
  readonly transcoders: number;
  /** Of each. */
  readonly cores: number;
  readonly slots: number;
  /** Cores that one ffmpeg can use: on the two of the machine that was measured it used both. */
  readonly parallel: number;
  readonly sigma: number;
  readonly transcoderFailureS: number;
  /** How many transcoders hear that work waits: all of them, as it is shipped. */
  readonly told: number;
}

export const ISSUE: Scale = {
  seed: "1",
  uploadsAnHour: 10_000,
  hours: 2,
  warmUpHours: 1,
  transcoders: 200,
  cores: 8,
  slots: 4,
  parallel: 2,
  sigma: UPLOADS.sigma,
  transcoderFailureS: FAILURES.transcoderS,
  told: Number.POSITIVE_INFINITY,
};

/** Of the hours that count. */
export interface Outcome {
  readonly uploads: number;
  readonly ended: number;
  readonly endedTwice: number;
  readonly secondsOfVideo: number;
  readonly jobs: number;
  readonly lost: number;
  readonly failures: number;
  readonly waits: ReadonlyMap<JobKind, readonly number[]>;
  /** From the last byte to what playing begins with, and to the last segment, s. */
  readonly firstFrames: readonly number[];
  readonly ready: readonly number[];
  readonly claims: number;
  readonly announcements: number;
  readonly segments: number;
  readonly uploadedBytes: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly busyS: number;
  readonly seconds: number;
  /** Jobs that waited when the last upload came. */
  readonly backlog: number;
}

/** Counted as it happens. */
interface Tally {
  uploads: number;
  ended: number;
  endedTwice: number;
  secondsOfVideo: number;
  announcements: number;
  segments: number;
  uploadedBytes: number;
  readBytes: number;
  writtenBytes: number;
  failures: number;
  readonly firstFrames: number[];
  readonly ready: number[];
}

const nothing = (): Tally => ({
  uploads: 0,
  ended: 0,
  endedTwice: 0,
  secondsOfVideo: 0,
  announcements: 0,
  segments: 0,
  uploadedBytes: 0,
  readBytes: 0,
  writtenBytes: 0,
  failures: 0,
  firstFrames: [],
  ready: [],
});

export function simulate(scale: Scale): Outcome {
  return new World(scale).run();
}

class World {
  readonly #scale: Scale;
  readonly #agenda = new Agenda();
  readonly #farm: Farm<JobKind>;
  readonly #uploads: Chance;
  readonly #failures: Chance;
  /** Of the uploads that count; those that came before have one of their own. */
  #tally = nothing();
  readonly #end: number;

  constructor(scale: Scale) {
    this.#scale = scale;
    this.#uploads = new Chance(`uploads ${scale.seed}`);
    this.#failures = new Chance(`failures ${scale.seed}`);
    this.#end = (scale.warmUpHours + scale.hours) * HOUR_S;
    const { transcoders: machines, cores, parallel, slots, told } = scale;
    const options = { machines, cores, parallel, told, groups: groupsOf(slots), leaseS: WORKERS.leaseS };
    this.#farm = new Farm(this.#agenda, new Chance(`workers ${scale.seed}`), options);
  }

  run(): Outcome {
    const { warmUpHours, hours } = this.#scale;
    this.#arrive();
    this.#fail();
    this.#poll();
    this.#agenda.run(warmUpHours * HOUR_S);
    const counts = this.#farm.counts;
    const before = { ...counts };
    this.#farm.waits.clear();
    this.#tally = nothing();
    this.#agenda.run(this.#end);
    const counted = { claims: counts.claims - before.claims, busyS: counts.busyS - before.busyS, jobs: counts.begun - before.begun };
    const lost = counts.lost - before.lost;
    const backlog = this.#farm.waiting;
    const { announcements, segments, readBytes, writtenBytes } = this.#tally;
    // What has come is converted to its end.
    this.#agenda.run();
    return {
      ...this.#tally,
      ...counted,
      lost,
      backlog,
      announcements,
      segments,
      readBytes,
      writtenBytes,
      waits: this.#farm.waits,
      seconds: hours * HOUR_S,
    };
  }

  #arrive(): void {
    this.#agenda.after(this.#uploads.exponential(HOUR_S / this.#scale.uploadsAnHour), () => {
      if (this.#agenda.now >= this.#end) return;
      this.#upload(sourceBy(this.#uploads, this.#scale.sigma));
      this.#arrive();
    });
  }

  #fail(): void {
    const { transcoderFailureS, transcoders } = this.#scale;
    this.#agenda.after(this.#failures.exponential(transcoderFailureS / transcoders), () => {
      if (this.#agenda.now >= this.#end) return;
      this.#tally.failures++;
      this.#farm.failOne(FAILURES.backS);
      this.#fail();
    });
  }

  #poll(): void {
    this.#agenda.after(WORKERS.pollS, () => {
      this.#farm.poll();
      if (this.#agenda.now < this.#end || this.#farm.waiting > 0) this.#poll();
    });
  }

  /** Everything of one upload, from its last byte on. */
  #upload(source: Source): void {
    const tally = this.#tally;
    const arrived = this.#agenda.now;
    const since = (more = 0): number => this.#agenda.now - arrived + more;
    tally.uploads++;
    tally.secondsOfVideo += source.seconds;
    tally.uploadedBytes += bytesOf(source);
    const tasks = tasksOf(source);
    let firsts = tasks.filter(({ first }) => first).length;
    let left = tasks.length;
    const shown = (): void => void (--firsts === 0 && tally.firstFrames.push(since(STEPS.publish)));
    const done = (): void => {
      if (--left === 0) this.#finish(tally, since);
    };
    const planned = (): void => this.#announce(tasks.map((task) => this.#workOf(task, shown, done)));
    const inspected = (): void => this.#agenda.after(STEPS.plan, planned);
    const inspection = { kind: "video.inspect", priority: PRIORITY.start, cpuS: WORK.inspect, urgent: false, onDone: inspected } as const;
    this.#agenda.after(STEPS.create, () => this.#announce([inspection]));
  }

  #finish(tally: Tally, since: (more?: number) => number): void {
    tally.ready.push(since(STEPS.publish));
    const ended = once(
      () => tally.ended++,
      () => tally.endedTwice++,
    );
    this.#announce([{ kind: "video.storyboard", priority: 0, cpuS: WORK.storyboard, urgent: false, onDone: ended }]);
  }

  #workOf({ kind, priority, cpuS, partS, first, segments, reads, writes }: Task, shown: () => void, done: () => void): Work<JobKind> {
    const tell = first ? once(shown) : undefined;
    return {
      kind,
      priority,
      cpuS,
      partS,
      urgent: priority >= PRIORITY.start,
      ...(tell && partS !== undefined ? { onPart: tell } : {}),
      onDone: () => {
        this.#tally.segments += segments;
        this.#tally.readBytes += reads;
        this.#tally.writtenBytes += writes;
        tell?.();
        done();
      },
    };
  }

  #announce(work: readonly Work<JobKind>[]): void {
    this.#tally.announcements++;
    this.#farm.add(work);
  }
}

/** What is done the first time, and what each further time. */
function once(first: () => void, again: () => void = () => {}): () => void {
  let told = false;
  return () => {
    if (told) return again();
    told = true;
    first();
  };
}
