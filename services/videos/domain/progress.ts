/** How far the work on a video is, told from its jobs and from what they have stored. */
import type { VideoStatus } from "./lifecycle.ts";

export type StageName = "inspect" | "video" | "audio" | "picture";

export interface JobView {
  readonly stage: StageName;
  readonly state: "queued" | "running" | "done" | "failed" | "cancelled";
  /** 0–1; never falls (services/jobs/store/queue.ts). */
  readonly progress: number;
  readonly attempts: number;
  readonly failure: { readonly type: string; readonly message: string } | null;
}

export interface RenditionView {
  readonly name: string;
  readonly kind: "video" | "audio";
  readonly width: number;
  readonly height: number;
  readonly segmentsDone: number;
  readonly segmentsTotal: number;
  /** Whether its first segment is stored. */
  readonly begun: boolean;
}

export interface Work {
  readonly status: VideoStatus;
  readonly jobs: readonly JobView[];
  readonly renditions: readonly RenditionView[];
  /** Since the first conversion began, s; null before. */
  readonly elapsedS: number | null;
}

export interface Stage {
  readonly name: StageName;
  readonly state: "waiting" | "running" | "done" | "failed" | "cancelled";
  readonly progress: number;
  readonly attempts: number;
  readonly error: { readonly type: string; readonly message: string } | null;
}

/** Of all the work; the rest is conversion. */
const WEIGHT = { inspect: 0.02, picture: 0.01 };
/** Encoding a second of sound costs about as much as a second of a picture of this many pixels. */
const AUDIO_PIXELS = 20_000;
/** 1 is said only of a video that is ready. */
const ALMOST = 0.99;
/** Below this share of the conversion its speed is mostly noise. */
const ESTIMATE_FROM = 0.01;

/** 0–1 of everything between the upload and `ready`; grows only. */
export function progressOf(work: Work): number {
  if (work.status === "ready") return 1;
  const sum =
    WEIGHT.inspect * stageOf("inspect", work).progress +
    WEIGHT.picture * stageOf("picture", work).progress +
    (1 - WEIGHT.inspect - WEIGHT.picture) * conversionOf(work);
  return Math.min(sum, ALMOST);
}

/** From the speed so far; null before there is any, 0 when nothing is left. */
export function secondsLeft(work: Work): number | null {
  if (work.status === "ready") return 0;
  const done = conversionOf(work);
  if (work.status !== "processing" || work.elapsedS === null || done < ESTIMATE_FROM) return null;
  return Math.ceil((work.elapsedS * (1 - done)) / done);
}

/** In the order in which they are done. A video without sound has no stage for it. */
export function stagesOf(work: Work): readonly Stage[] {
  const hasAudio = work.renditions.some(({ kind }) => kind === "audio") || jobsOf("audio", work).length > 0;
  const names: readonly StageName[] = hasAudio ? ["inspect", "video", "audio", "picture"] : ["inspect", "video", "picture"];
  return names.map((name) => stageOf(name, work));
}

/** 0–1 of the segments that were planned; their real number may differ by one. */
export function shareStored({ segmentsDone, segmentsTotal }: Pick<RenditionView, "segmentsDone" | "segmentsTotal">): number {
  return Math.min(segmentsDone / segmentsTotal, 1);
}

function stageOf(name: StageName, work: Work): Stage {
  const jobs = jobsOf(name, work);
  const state = stateOf(name, jobs, work);
  return {
    name,
    state,
    progress: state === "done" ? 1 : shareOf(name, jobs, work),
    attempts: Math.max(0, ...jobs.map((job) => job.attempts)),
    error: jobs.find((job) => job.state !== "done" && job.failure !== null)?.failure ?? null,
  };
}

function jobsOf(name: StageName, { jobs }: Work): readonly JobView[] {
  return jobs.filter(({ stage }) => stage === name);
}

function stateOf(name: StageName, jobs: readonly JobView[], work: Work): Stage["state"] {
  const some = (state: JobView["state"]): boolean => jobs.some((job) => job.state === state);
  if (jobs.length === 0) return stateWithoutJobs(name, work);
  if (some("failed")) return "failed";
  if (some("cancelled")) return "cancelled";
  if (!some("running") && !some("queued")) return "done";
  return some("running") || some("done") ? "running" : "waiting";
}

/** Jobs that are done are forgotten after a week, and conversion has none before the plan. */
function stateWithoutJobs(name: StageName, { status, renditions }: Work): Stage["state"] {
  if (status === "ready" || (name === "inspect" && renditions.length > 0)) return "done";
  return status === "failed" || status === "deleted" ? "cancelled" : "waiting";
}

/**
 * Conversion is counted by what is stored. A single job for all of it may store everything at its end, and then tells how far it is itself;
 * of several the lengths are not known here.
 */
function shareOf(name: StageName, jobs: readonly JobView[], work: Work): number {
  const told = jobs.length === 1 ? (jobs[0]?.progress ?? 0) : 0;
  if (name === "inspect" || name === "picture") return told;
  return Math.max(told, storedOf(work.renditions.filter(({ kind }) => kind === name)));
}

function storedOf(renditions: readonly RenditionView[]): number {
  const all = total(renditions, costOf);
  return all === 0 ? 0 : total(renditions, (rendition) => costOf(rendition) * shareStored(rendition)) / all;
}

/** 0–1 of the conversion, pictures and sound by what they cost. */
function conversionOf(work: Work): number {
  const costs = { video: costsOf("video", work), audio: costsOf("audio", work) };
  const all = costs.video + costs.audio;
  if (all === 0) return 0;
  return (costs.video * stageOf("video", work).progress + costs.audio * stageOf("audio", work).progress) / all;
}

function costsOf(kind: RenditionView["kind"], { renditions }: Work): number {
  return total(
    renditions.filter((rendition) => rendition.kind === kind),
    costOf,
  );
}

function costOf({ kind, width, height, segmentsTotal }: RenditionView): number {
  return segmentsTotal * (kind === "audio" ? AUDIO_PIXELS : width * height);
}

function total<T>(list: readonly T[], of: (item: T) => number): number {
  return list.reduce((sum, item) => sum + of(item), 0);
}
