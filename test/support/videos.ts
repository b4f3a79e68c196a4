/** The catalogue and the queue on a real database, and what a test does with a video. */
import { randomBytes, randomUUID } from "node:crypto";
import type { ServiceBroker } from "moleculer";
import { openDatabase } from "../../mixins/database/connection.ts";
import { execute, type Database } from "../../mixins/database/sql.ts";
import { jobs, jobsCancelled, jobsWaiting, type Job, type JobKind } from "../../services/jobs/contract.ts";
import jobsService from "../../services/jobs/jobs.service.ts";
import { errorType } from "../../services/kernel/errors.ts";
import { onlyPerson } from "../../services/kernel/principal.ts";
import { call } from "../../services/kernel/rpc.ts";
import type { JobRef } from "../../services/kernel/schemas.ts";
import { videoChanged, videos } from "../../services/videos/contract.ts";
import videosService from "../../services/videos/videos.service.ts";
import { testDatabase, type TestDatabase } from "./postgres.ts";
import { startServices } from "./services.ts";

interface StoredBlob {
  readonly blob: string;
  readonly size: number;
}

/** 120 frames are four seconds. */
const frames = (count: number) => ({
  rate: [30, 1] as [number, number],
  runs: [...(count >= 120 ? [[Math.floor(count / 120), 120]] : []), ...(count % 120 > 0 ? [[1, count % 120]] : [])] as [number, number][],
});

export const plan = {
  recipe: "as the test wants it",
  facts: {
    durationS: 8.4,
    width: 1280,
    height: 720,
    frameRate: [30_000, 1001] as [number, number],
    container: "mov",
    videoCodec: "h264",
    audioCodec: "aac",
  },
  renditions: [
    { name: "720p", kind: "video" as const, width: 1280, height: 720, ...frames(252) },
    { name: "360p", kind: "video" as const, width: 640, height: 360, ...frames(252) },
    { name: "audio", kind: "audio" as const, width: 0, height: 0, ...frames(240) },
  ],
  tasks: [
    { kind: "video.span" as const, priority: 1, payload: { part: 1 }, segments: { first: 1, last: 2 } },
    { kind: "video.span" as const, priority: 0, payload: { part: 2 }, segments: { first: 3, last: 3 } },
    { kind: "video.audio" as const, priority: 0, payload: {}, segments: { first: 1, last: 2 } },
    { kind: "video.picture" as const, priority: 0, payload: {} },
  ],
};

/** Starts the services on a database of their own. */
export async function startCatalogue(): Promise<TestCatalogue> {
  const database = await testDatabase();
  const told: string[] = [];
  const listener = {
    name: "listener",
    events: {
      [videoChanged.name]: ({ params }: { params: { id: string; status: string } }) => void told.push(`${params.id} ${params.status}`),
      [jobsWaiting.name]: ({ params }: { params: { kinds: string[] } }) => void told.push(`waiting ${params.kinds.toSorted().join(" ")}`),
      [jobsCancelled.name]: ({ params }: { params: { videoId: string } }) => void told.push(`cancelled ${params.videoId}`),
    },
  };
  const broker = await startServices(database.url, jobsService, videosService, listener);
  return new TestCatalogue(database, broker, told);
}

export class TestCatalogue {
  readonly db: Database;
  readonly broker: ServiceBroker;
  /** Everything that was broadcast, in order. */
  readonly told: string[];
  readonly #database: TestDatabase;
  readonly #inits = new Map<string, StoredBlob>();

  constructor(database: TestDatabase, broker: ServiceBroker, told: string[]) {
    this.#database = database;
    this.db = openDatabase(database.ownerUrl, { connectionsMax: 8 });
    this.broker = broker;
    this.told = told;
  }

  async empty(): Promise<void> {
    await execute(this.db, "truncate videos, jobs, blobs cascade");
    this.told.length = 0;
  }

  async stop(): Promise<void> {
    await this.broker.stop();
    await this.#database.drop();
  }

  async blob(size = 1000): Promise<StoredBlob> {
    const id = randomBytes(32);
    await execute(this.db, "insert into blobs (id, size, chunks) values ($1, $2, $3)", [id, size, randomBytes(32)]);
    return { blob: id.toString("hex"), size };
  }

  async newVideo(about: object = {}): Promise<string> {
    const id = randomUUID();
    await call(this.broker, videos.create, {
      as: onlyPerson,
      id,
      title: "A day",
      filename: "day.mp4",
      source: await this.blob(),
      ...about,
    });
    return id;
  }

  async statusOf(id: string): Promise<string> {
    return (await call(this.broker, videos.get, { as: onlyPerson, id })).status;
  }

  async claim(kind: JobKind): Promise<Job> {
    const job = await call(this.broker, jobs.claim, { kind, worker: "test", leaseMs: 60_000 });
    if (!job) throw new Error(`no ${kind} job is waiting`);
    return job;
  }

  async finish(...held: readonly Job[]): Promise<void> {
    for (const job of held) await call(this.broker, videos.finish, { job: refOf(job) });
  }

  /** The initialisation of a rendition: the same for each of its parts. */
  async init(videoId: string | null, rendition: string): Promise<StoredBlob> {
    const known = this.#inits.get(`${videoId} ${rendition}`) ?? (await this.blob(700));
    this.#inits.set(`${videoId} ${rendition}`, known);
    return known;
  }

  async publish(job: Job, rendition: string, ...numbers: number[]): Promise<void> {
    const segments = [];
    for (const number of numbers) segments.push(await this.segment(number));
    const init = await this.init(job.videoId, rendition);
    await call(this.broker, videos.publish, { job: refOf(job), rendition, timescale: 30_000, codecs: "avc1.64001f", init, segments });
  }

  /** Four seconds, but the third one is short. */
  async segment(number: number, size = 100_000) {
    return { number, ...(await this.blob(size)), start: (number - 1) * 120_000, duration: number === 3 ? 12_000 : 120_000 };
  }

  /** Everything that workers do, but for the end of the jobs: two spans, sound, picture. */
  async convert(): Promise<[Job, Job, Job, Job]> {
    const inspection = { job: refOf(await this.claim("video.inspect")) };
    await call(this.broker, videos.begin, inspection);
    await call(this.broker, videos.applyPlan, { ...inspection, ...plan });
    const spans = [await this.claim("video.span"), await this.claim("video.span")] as const;
    for (const name of ["720p", "360p"]) {
      await this.publish(spans[0], name, 1, 2);
      await this.publish(spans[1], name, 3);
    }
    const audio = await this.claim("video.audio");
    await this.publish(audio, "audio", 1, 2);
    return [...spans, audio, await this.claim("video.picture")];
  }
}

export function refOf({ id, fence }: Job): JobRef {
  return { id, fence };
}

/** The row of the error table that the attempt ends with; undefined when it succeeds or the error is not of the table. */
export async function typeOf(attempt: Promise<unknown>): Promise<string | undefined> {
  return await attempt.then(() => undefined, errorType);
}
