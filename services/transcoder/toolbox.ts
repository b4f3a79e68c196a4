/** Gives the service ffmpeg and ffprobe: found, checked and fenced in before the first job comes. */
import { availableParallelism } from "node:os";
import type { ServiceSchema } from "moleculer";
import { loadConfig } from "../../config/index.ts";
import { Permits } from "../kernel/permits.ts";
import { call } from "../kernel/rpc.ts";
import type { WithWorker } from "../../mixins/worker.mixin.ts";
import { storage } from "../storage/contract.ts";
import type { Means } from "./domain/argv.ts";
import { registerCounters } from "./account.ts";
import { SourceEnds } from "./ends.ts";
import { openTools, type Tools } from "./ffmpeg/sandbox.ts";

/** x264 gains little from more, and each costs memory: 8K in eight threads has 4.3 GB of address space. */
const THREADS_MAX = 8;

/** Each decodes up to a segment of 720p in one thread: a few tenths of a second. */
const STILLS_AT_ONCE = 2;
/** The last of them waits for some seconds, which is as long as people look at an empty place. */
const STILLS_WAITING = 16;

export interface WithTools extends WithWorker {
  tools: Tools;
  means: Means;
  /** Threads for work that somebody waits for. */
  urgentThreads: number;
  stills: Permits;
  ends: SourceEnds;
  /** Aborted when the service stops. */
  stopping: AbortController;
}

export const toolbox: Partial<ServiceSchema> & ThisType<WithTools> = {
  created() {
    this.stills = new Permits(STILLS_AT_ONCE, { waitingMax: STILLS_WAITING, refusal: "Too many ask for single pictures at this moment." });
    this.stopping = new AbortController();
    this.ends = new SourceEnds(async (blob, start, end) => await call(this.broker, storage.read, { blob, start, end }));
  },

  async started() {
    const { FFMPEG_PATH, FFPROBE_PATH, SOURCE_SECONDS_MAX, SOURCE_PIXELS_MAX, TRANSCODER_SLOTS } = loadConfig();
    this.tools = await openTools({ ffmpeg: FFMPEG_PATH, ffprobe: FFPROBE_PATH }, SOURCE_SECONDS_MAX);
    const cores = Math.min(THREADS_MAX, availableParallelism());
    this.urgentThreads = cores;
    const threads = Math.min(cores, Math.max(1, Math.floor(availableParallelism() / TRANSCODER_SLOTS)));
    this.means = { threads, pixelsMax: SOURCE_PIXELS_MAX, ...this.tools.programs.abilities };
    introduce(this.tools, this.logger);
    if (this.broker.isMetricsEnabled()) registerCounters(this.broker);
  },

  async stopped() {
    this.stopping.abort();
    await this.tools?.close();
  },
};

function introduce({ programs: { ffmpeg, ffprobe, abilities }, leftOut }: Tools, logger: WithTools["logger"]): void {
  for (const [name, { path, found, version }] of Object.entries({ ffmpeg, ffprobe })) {
    logger.info(`found ${name}`, { found, path, version });
    if (found === "package") {
      logger.warn(`${name} comes from an npm package and is years old, with known holes; get a current one: apt-get install ffmpeg`);
    }
  }
  if (leftOut.length > 0) logger.warn("strangers' files are read with less protection: this machine has not all programs", { leftOut });
  if (!abilities.canToneMap) logger.info("this ffmpeg has no zscale: HDR videos will look pale");
}
