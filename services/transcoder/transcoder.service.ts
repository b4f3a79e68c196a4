/** Turns sources into renditions. It is asked for nothing but work: any number of transcoders may run, and each takes what it has slots for. */
import type { ServiceSchema } from "moleculer";
import { loadConfig } from "../../config/index.ts";
import { worker, type JobReport } from "../../mixins/worker.mixin.ts";
import { call, implement } from "../kernel/rpc.ts";
import { PRIORITY } from "../jobs/contract.ts";
import { videos } from "../videos/contract.ts";
import { transcoder } from "./contract.ts";
import { taskOf } from "./domain/plan.ts";
import { handOf, hurried } from "./hand.ts";
import { toolbox, type WithTools } from "./toolbox.ts";
import { encodeAudio, encodeSpan } from "./work/encode.ts";
import { inspect } from "./work/inspect.ts";
import { makeStoryboard, takePicture } from "./work/picture.ts";

/** Work that hardly needs a processor does not wait behind spans; and nothing is played before it was inspected, so that waits for nothing. */
const LIGHT_SLOTS = 2;
/** The start of a new video, and what a player waits for, do not wait for the end of a span that nobody waits for. */
const URGENT_SLOTS = 1;

/** The last step of each job ends it, in one transaction with what it made; a failure is the video's, and told to it. */
const ofVideo = {
  completes: "work",
  async fail(this: WithTools, report: JobReport) {
    await call(this.broker, videos.fail, report);
  },
} as const;

const service: ServiceSchema<object, object, object, WithTools> = {
  name: "transcoder",
  // The last mixin starts first and stops last: the tools are there before the worker asks for jobs, and gone after its last one has ended.
  mixins: [
    worker<WithTools>({
      groups: () => [
        { kinds: ["video.inspect"], slots: LIGHT_SLOTS },
        { kinds: ["video.audio", "video.picture", "video.storyboard"], slots: LIGHT_SLOTS },
        { kinds: ["video.span"], slots: loadConfig().TRANSCODER_SLOTS },
        { kinds: ["video.span"], slots: URGENT_SLOTS, priorityMin: PRIORITY.start },
      ],
      kinds: {
        "video.inspect": {
          ...ofVideo,
          async work(job, control) {
            const { SOURCE_SECONDS_MAX, SOURCE_PIXELS_MAX, X264_PRESET } = loadConfig();
            const limits = { secondsMax: SOURCE_SECONDS_MAX, pixelsMax: SOURCE_PIXELS_MAX };
            await inspect(job.payload, handOf(this, job, control), { limits, preset: X264_PRESET, startPriority: PRIORITY.start });
          },
        },
        "video.span": {
          ...ofVideo,
          async work(job, control) {
            const hand = handOf(this, job, control);
            await encodeSpan(taskOf("video.span", job.payload), job.priority < PRIORITY.start ? hand : hurried(this, hand));
          },
        },
        "video.audio": {
          ...ofVideo,
          async work(job, control) {
            await encodeAudio(taskOf("video.audio", job.payload), handOf(this, job, control));
          },
        },
        "video.storyboard": {
          ...ofVideo,
          async work(job, control) {
            await makeStoryboard(handOf(this, job, control));
          },
        },
        "video.picture": {
          ...ofVideo,
          async work(job, control) {
            await takePicture(taskOf("video.picture", job.payload), handOf(this, job, control));
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
  }),
};

export default service;
