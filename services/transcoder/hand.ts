/** A job in hand: the ports of the work as calls of the other services. */
import type { WorkControl } from "../../mixins/worker.mixin.ts";
import type { Job } from "../jobs/contract.ts";
import { call } from "../kernel/rpc.ts";
import { storage } from "../storage/contract.ts";
import { videos } from "../videos/contract.ts";
import type { SourceFacts } from "./domain/facts.ts";
import type { WithTools } from "./toolbox.ts";
import type { Hand, Ports } from "./work/ports.ts";

export function handOf({ broker, tools, means }: WithTools, { id, fence }: Pick<Job, "id" | "fence">, control: WorkControl): Hand {
  const job = { id, fence };
  const ports: Ports = {
    read: async (blob, start, end) => await call(broker, storage.read, { blob, start, end }),
    put: async (bytes) => await call(broker, storage.put, { bytes }),
    begin: async () => void (await call(broker, videos.begin, { job })),
    async applyPlan(facts, { renditions, tasks }) {
      await call(broker, videos.applyPlan, {
        job,
        facts: known(facts),
        renditions: renditions.map(({ rate, ...about }) => ({ ...about, rate: [rate[0], rate[1]] as [number, number] })),
        tasks: [...tasks],
      });
    },
    async publish({ segments, ...about }) {
      await call(broker, videos.publish, { job, ...about, segments: [...segments] });
    },
    publishThumbnail: async ({ blob, size }) => void (await call(broker, videos.publishThumbnail, { job, blob, size })),
    finish: async () => void (await call(broker, videos.finish, { job })),
  };
  return { tools, means, ports, signal: control.signal, progress: (done) => control.progress(done) };
}

/** What the catalogue keeps. */
function known({ container, durationS, picture, sound }: SourceFacts) {
  const { width, height, rate, codec } = picture;
  return {
    container,
    durationS,
    width,
    height,
    frameRate: [...rate] as [number, number],
    videoCodec: codec,
    audioCodec: sound?.codec ?? null,
  };
}
