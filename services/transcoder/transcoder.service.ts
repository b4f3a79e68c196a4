/** Turns sources into renditions. It is asked for nothing but work: any number of transcoders may run, and each takes what it has slots for. */
import type { ServiceSchema } from "moleculer";
import { loadConfig } from "../../config/index.ts";
import { worker, type JobReport, type WorkControl } from "../../mixins/worker.mixin.ts";
import { failure } from "../kernel/errors.ts";
import { call, implement } from "../kernel/rpc.ts";
import { PRIORITY, type Job } from "../jobs/contract.ts";
import { videos } from "../videos/contract.ts";
import { transcoder } from "./contract.ts";
import { ageOf, taskOf, type TaskKind, type TaskOf } from "./domain/plan.ts";
import type { Urgency } from "./ffmpeg/precedence.ts";
import { groupsOf } from "./groups.ts";
import { hurried, inHand, stored } from "./hand.ts";
import { toolbox, type WithTools } from "./toolbox.ts";
import { takeCaptions } from "./work/captions.ts";
import { encodeAudio, encodeSpan } from "./work/encode.ts";
import { foresee } from "./work/foresee.ts";
import { inspect, type InspectionSettings } from "./work/inspect.ts";
import { makeStoryboard, takePicture, takeStill } from "./work/picture.ts";
import type { Hand } from "./work/ports.ts";

/** The last step of each job ends it, in one transaction with what it made; a failure is the video's, and told to it. */
const ofVideo = {
  completes: "work",
  async fail(this: WithTools, report: JobReport) {
    await call(this.broker, videos.fail, report);
  },
} as const;

/** Work that a plan asks for. While programs are exchanged there are plans of others: of an older one the video is planned anew; of a newer one the work waits for its program. */
function planned<K extends TaskKind>(kind: K, work: (this: WithTools, task: TaskOf<K>, hand: Hand) => Promise<void>) {
  return {
    ...ofVideo,
    async work(this: WithTools, job: Job, control: WorkControl) {
      await inHand(this, job, control, async (hand) => {
        const age = ageOf(job.payload);
        if (age === "older") return await hand.ports.planAnew();
        if (age === "newer") throw failure("SERVICE_UNAVAILABLE", "The work was planned by a newer program than this one.");
        const task = taskOf(kind, job.payload);
        const urgency = urgencyOf(job);
        if (urgency === undefined) await work.call(this, task, hand);
        else await hurried(this, urgency, hand, async (ours) => await work.call(this, task, ours));
      });
    },
  };
}

function urgencyOf({ priority }: Job): Urgency | undefined {
  if (priority >= PRIORITY.wanted) return "wanted";
  return priority >= PRIORITY.start ? "start" : undefined;
}

function inspection(): InspectionSettings {
  const { SOURCE_SECONDS_MAX, SOURCE_PIXELS_MAX, X264_PRESET } = loadConfig();
  const limits = { secondsMax: SOURCE_SECONDS_MAX, pixelsMax: SOURCE_PIXELS_MAX };
  return { limits, preset: X264_PRESET, startPriority: PRIORITY.start };
}

const service: ServiceSchema<object, object, object, WithTools> = {
  name: "transcoder",
  // The last mixin starts first and stops last: the tools are there before the worker asks for jobs, and gone after its last one has ended.
  mixins: [
    worker<WithTools>({
      groups: () => groupsOf(loadConfig().TRANSCODER_SLOTS),
      kinds: {
        "video.inspect": {
          ...ofVideo,
          async work(job, control) {
            await inHand(this, job, control, async (hand) => await inspect(job.payload, hand, inspection()));
          },
        },
        "video.foresee": {
          ...ofVideo,
          async work(job, control) {
            await inHand(this, job, control, async (hand) => await foresee(job.payload, hand, inspection()));
          },
        },
        "video.span": planned("video.span", encodeSpan),
        "video.audio": planned("video.audio", encodeAudio),
        "video.picture": planned("video.picture", takePicture),
        "video.captions": planned("video.captions", async function (task, hand) {
          const empty = await takeCaptions(task, hand);
          if (empty.length > 0)
            this.logger.warn("nothing is left of lines of text of a source", { blob: task.source.blob, languages: empty });
        }),
        "video.storyboard": {
          ...ofVideo,
          async work(job, control) {
            await inHand(this, job, control, makeStoryboard);
          },
        },
      },
    }),
    toolbox,
  ],

  actions: implement<WithTools>()(transcoder, {
    async info() {
      const { version, found } = this.tools.programs.ffmpeg;
      return { node: this.broker.nodeID, ffmpeg: version, found, running: this.worker.running, slots: loadConfig().TRANSCODER_SLOTS };
    },
    async still(task) {
      const { broker, means, stopping } = this;
      const tools = this.tools.prompt();
      return await this.stills.use(
        async () => await takeStill(task, { tools, means, signal: stopping.signal, ports: stored(broker), spent: () => {} }),
      );
    },
  }),
};

export default service;
