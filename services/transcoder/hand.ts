/** A job in hand: the ports of the work as calls of the other services. */
import type { WorkControl } from "../../mixins/worker.mixin.ts";
import type { Job } from "../jobs/contract.ts";
import { SEGMENT_BATCH_MAX } from "../kernel/limits.ts";
import { call, type Caller } from "../kernel/rpc.ts";
import { storage } from "../storage/contract.ts";
import { videos, type SegmentRow } from "../videos/contract.ts";
import { Account } from "./account.ts";
import type { SourceFacts } from "./domain/facts.ts";
import type { Plan } from "./domain/plan.ts";
import type { StoredRendition } from "./domain/storyboard.ts";
import type { Urgency } from "./ffmpeg/precedence.ts";
import { growingSource, offsetOf } from "./growing.ts";
import type { WithTools } from "./toolbox.ts";
import type { Hand, Ports } from "./work/ports.ts";

/** Does the work of a job, and tells what it has cost, however it ends. */
export async function inHand(
  service: WithTools,
  job: Pick<Job, "id" | "fence" | "videoId">,
  control: WorkControl,
  work: (hand: Hand) => Promise<void>,
): Promise<void> {
  const account = new Account(service, job.id);
  try {
    await work(handOf(service, job, control, account));
  } finally {
    await account.settle();
  }
}

function handOf(
  { broker, tools, means, ends }: WithTools,
  { id, fence, videoId }: Pick<Job, "id" | "fence" | "videoId">,
  control: WorkControl,
  account: Account,
): Hand {
  const job = { id, fence };
  const ports: Ports = {
    ...stored(broker),
    open: ({ blob, upload, size, waitMs }) =>
      upload === undefined ? ends.source(blob ?? "", size) : growingSource(broker, { upload, size, video: videoId ?? "" }, waitMs),
    begin: async () => void (await call(broker, videos.begin, { job })),
    reuse: async (recipe) => await call(broker, videos.reuse, { job, recipe }),
    applyPlan: async (facts, plan) => void (await call(broker, videos.applyPlan, { job, ...kept(facts, plan), tasks: [...plan.tasks] })),
    async foresee(upload, foreseen) {
      const offset = await offsetOf(broker, upload);
      const plan = foreseen ? { ...kept(foreseen.facts, foreseen.plan), tasks: [...foreseen.plan.tasks] } : null;
      await call(broker, videos.foresee, { job, offset, plan });
    },
    async lookAgain(upload, needsBytes) {
      await call(broker, videos.foresee, { job, offset: await offsetOf(broker, upload), plan: null, needsBytes });
    },
    planAnew: async () => void (await call(broker, videos.planAnew, { job })),
    async publish({ segments, ...about }) {
      await call(broker, videos.publish, { job, ...about, segments: [...segments] });
    },
    publishThumbnail: async ({ blob, size }) => void (await call(broker, videos.publishThumbnail, { job, blob, size })),
    publishCaptions: async (captions) => void (await call(broker, videos.publishCaptions, { job, ...captions })),
    stored: async () => await smallestOf(broker, videoId ?? ""),
    async publishStoryboard({ starts, ...about }) {
      await call(broker, videos.publishStoryboard, { job, ...about, starts: [...starts] });
    },
    defer: async (made) => void (await call(broker, videos.defer, { job, made })),
    finish: async () => void (await call(broker, videos.finish, { job })),
  };
  return {
    tools,
    means,
    ports,
    signal: control.signal,
    progress: (done) => control.progress(done),
    spent: (cpuS) => account.spent(cpuS),
    made: (seconds) => account.made(seconds),
  };
}

/** The bytes that are in storage, and a way to put more there. */
export function stored(broker: Caller): Pick<Ports, "read" | "put"> {
  return {
    read: async (blob, start, end) => await call(broker, storage.read, { blob, start, end }),
    put: async (bytes) => await call(broker, storage.put, { bytes }),
  };
}

/** Work that somebody waits for: with every core, and before work that can wait. */
export async function hurried(
  { urgentThreads }: WithTools,
  urgency: Urgency,
  hand: Hand,
  work: (hand: Hand) => Promise<void>,
): Promise<void> {
  const { tools, done } = hand.tools.hurry(urgency);
  try {
    await work({ ...hand, tools, means: { ...hand.means, threads: urgentThreads } });
  } finally {
    done();
  }
}

const pairOf = ([first, second]: readonly [number, number]): [number, number] => [first, second];

async function smallestOf(broker: Caller, id: string): Promise<StoredRendition> {
  const { revision, renditions } = await call(broker, videos.playback, { id });
  const smallest = renditions.filter(({ kind }) => kind === "video").toSorted((a, b) => a.height - b.height)[0]!;
  const segments: SegmentRow[] = [];
  for (let more = true; more;) {
    const range = { id, revision, rendition: smallest.name, from: segments.length + 1, count: SEGMENT_BATCH_MAX };
    const page = await call(broker, videos.segments, range);
    segments.push(...page);
    more = page.length === SEGMENT_BATCH_MAX;
  }
  return { ...smallest, segments };
}

function kept(facts: SourceFacts, { recipe, renditions }: Pick<Plan, "recipe" | "renditions">) {
  return {
    recipe,
    facts: known(facts),
    renditions: renditions.map(({ rate, runs, ...about }) => ({ ...about, rate: pairOf(rate), runs: runs.map(pairOf) })),
  };
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
