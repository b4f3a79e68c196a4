/** A storage, a catalogue and a queue in this process, and transcoders that are processes of their own, each kept to some cores. */
import { spawn, type ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createReadStream, createWriteStream } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { childEnvironment, loadConfig } from "../../config/index.ts";
import { rows } from "../../mixins/database/sql.ts";
import type { JobKind } from "../../services/jobs/contract.ts";
import jobsService from "../../services/jobs/jobs.service.ts";
import { SEGMENT_BATCH_MAX } from "../../services/kernel/limits.ts";
import { onlyPerson } from "../../services/kernel/principal.ts";
import { call } from "../../services/kernel/rpc.ts";
import { storage } from "../../services/storage/contract.ts";
import { videos } from "../../services/videos/contract.ts";
import videosService from "../../services/videos/videos.service.ts";
import { startCluster, type Cluster } from "../../test/support/cluster.ts";
import { freeBox } from "../../test/support/media.ts";
import { familySeconds } from "../processes.ts";

const SOURCE_BYTES_MAX = 2 ** 36;
/** Seldom enough to take nothing from those that are measured. */
const POLL_MS = 100;

export interface Converted {
  readonly id: string;
  /** From the video's row until its last segment is stored, s. */
  readonly seconds: number;
  /** Of the transcoders and all that they started, s. */
  readonly cpuS: number;
  readonly jobs: readonly DoneJob[];
}

export interface DoneJob {
  readonly kind: JobKind;
  readonly priority: number;
  /** From its claim to its end, s. */
  readonly seconds: number;
  readonly payload: Readonly<Record<string, unknown>>;
}

export class Fleet {
  readonly #cluster: Cluster;
  #transcoders: readonly ChildProcess[] = [];

  private constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  static async start(): Promise<Fleet> {
    return new Fleet(await startCluster({ services: [jobsService, videosService] }));
  }

  /** Converts a film with one transcoder for each list of cores. `settings` are theirs. */
  async convert(film: string, cores: readonly (readonly number[])[], settings: Readonly<Record<string, string>> = {}): Promise<Converted> {
    const { DATABASE_URL, DISK_SECRET } = loadConfig();
    const environment = childEnvironment({ DATABASE_URL, DISK_SECRET, DATABASE_POOL: "4", NODE_OPTIONS: "", ...settings });
    this.#transcoders = await Promise.all(cores.map(async (own) => await startTranscoder(own, environment)));
    try {
      const source = await call(
        this.#cluster.broker,
        storage.write,
        { maxBytes: SOURCE_BYTES_MAX },
        { stream: Readable.from(anotherOf(film), { objectMode: false }) },
      );
      return await this.#measure(film, source);
    } finally {
      await Promise.all(this.#transcoders.map(endTranscoder));
    }
  }

  /** One rendition as a file, as a player would get it. Answers its size, bytes. */
  async assemble(id: string, rendition: string, path: string): Promise<number> {
    const { broker } = this.#cluster;
    const { revision, renditions } = await call(broker, videos.playback, { id });
    const blobs = [renditions.find(({ name }) => name === rendition)!.init];
    for (let more = true; more;) {
      const page = await call(broker, videos.segments, { id, revision, rendition, from: blobs.length, count: SEGMENT_BATCH_MAX });
      blobs.push(...page);
      more = page.length === SEGMENT_BATCH_MAX;
    }
    await pipeline(async function* () {
      for (const { blob } of blobs) yield* await call(broker, storage.read, { blob });
    }, createWriteStream(path));
    return blobs.reduce((sum, { size }) => sum + size, 0);
  }

  async stop(): Promise<void> {
    await this.#cluster.stop();
  }

  async #measure(film: string, source: { blob: string; size: number }): Promise<Converted> {
    const id = randomUUID();
    const before = await this.#cpuSeconds();
    const began = performance.now();
    await call(this.#cluster.broker, videos.create, { as: onlyPerson, id, title: film, filename: film, source });
    for (let status = ""; status !== "ready";) {
      await sleep(POLL_MS);
      const video = await call(this.#cluster.broker, videos.get, { as: onlyPerson, id });
      if (video.error) throw new Error(video.error.message);
      status = video.status;
    }
    const seconds = (performance.now() - began) / 1000;
    const jobs = await this.#jobsOf(id);
    return { id, seconds, cpuS: (await this.#cpuSeconds()) - before, jobs };
  }

  async #cpuSeconds(): Promise<number> {
    const each = await Promise.all(this.#transcoders.map(async ({ pid = 0 }) => await familySeconds(pid)));
    return each.reduce((sum, one) => sum + one, 0);
  }

  async #jobsOf(id: string): Promise<readonly DoneJob[]> {
    return await rows<DoneJob>(
      this.#cluster.db,
      `select kind, priority, payload, extract(epoch from finished_at - started_at)::float8 as seconds from jobs
       where video_id = $1 and state = 'done' order by priority desc, id`,
      [id],
    );
  }
}

async function startTranscoder(cores: readonly number[], env: Record<string, string>): Promise<ChildProcess> {
  const script = join(import.meta.dirname, "../../test/support/transcoder.ts");
  const child = spawn("taskset", ["-c", cores.join(","), process.execPath, script], {
    env,
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  await once(child, "message");
  return child;
}

async function endTranscoder(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.send("stop");
  await exit;
}

/** The same film in other bytes: the same ones are not converted again. */
async function* anotherOf(film: string): AsyncGenerator<Buffer> {
  yield* createReadStream(film) as AsyncIterable<Buffer>;
  yield freeBox();
}
