/** What the work needs of the rest of the system. */
import type { Readable } from "node:stream";
import type { Means } from "../domain/argv.ts";
import type { Plan, PlannedTask } from "../domain/plan.ts";
import type { SourceFacts } from "../domain/facts.ts";
import type { StoredRendition, Storyboard } from "../domain/storyboard.ts";
import type { Tools } from "../ffmpeg/sandbox.ts";
import type { Source } from "../ffmpeg/source.ts";

export interface StoredBlob {
  readonly blob: string;
  readonly size: number;
}

export interface SegmentRow extends StoredBlob {
  readonly number: number;
  readonly start: number;
  readonly duration: number;
}

export interface Publication {
  readonly rendition: string;
  readonly timescale: number;
  readonly codecs: string;
  readonly init: StoredBlob;
  readonly segments: readonly SegmentRow[];
}

/** Where the bytes of a source are: in a blob, or on their way in an upload. */
export interface SourceBytes {
  readonly blob?: string | undefined;
  readonly upload?: string | undefined;
  /** That it has, or will have. */
  readonly size: number;
  /** How long bytes that have not come are waited for; default: as long as somebody who needs them all can. */
  readonly waitMs?: number | undefined;
}

/** What will be done to a source once it is there; a part of it before. */
export interface ForeseenPlan {
  readonly facts: SourceFacts;
  readonly plan: Omit<Plan, "tasks"> & { readonly tasks: readonly (PlannedTask & { readonly needsBytes: number })[] };
}

export interface Ports {
  /** Bytes that have not come are waited for, for a while. */
  open(source: SourceBytes): Source;
  /** Bytes start (inclusive) to end (exclusive) of a stored source. */
  read(blob: string, start: number, end: number): Promise<Readable>;
  /** Answers when the bytes are durable. */
  put(bytes: Uint8Array<ArrayBuffer>): Promise<StoredBlob>;
  begin(): Promise<void>;
  /** Whether the video is ready, since another one of the same source was made like this: then the job is done. */
  reuse(recipe: string): Promise<boolean>;
  applyPlan(facts: SourceFacts, plan: Plan): Promise<void>;
  /** Ends the look at an upload. */
  foresee(upload: { readonly upload: string; readonly size: number }, foreseen: ForeseenPlan | undefined): Promise<void>;
  /** Gives the look at an upload back until so many bytes have come. */
  lookAgain(upload: { readonly upload: string; readonly size: number }, needsBytes: number): Promise<void>;
  /** The plan that this job is part of is of no use any more: the video is inspected again. */
  planAnew(): Promise<void>;
  publish(publication: Publication): Promise<void>;
  publishThumbnail(picture: StoredBlob): Promise<void>;
  publishCaptions(captions: StoredBlob & { readonly language: string }): Promise<void>;
  /** The smallest quality of a video that is ready. */
  stored(): Promise<StoredRendition>;
  /** Ends the job, too. */
  publishStoryboard(storyboard: PublishedStoryboard): Promise<void>;
  /** Ends the job until it is its turn to make the other renditions. */
  defer(made: string): Promise<void>;
  finish(): Promise<void>;
}

export interface PublishedStoryboard extends StoredBlob, Omit<Storyboard, "rows" | "parts"> {}

/** One job in hand: the machine's means, the ports of this job, and what its holder may say meanwhile. */
export interface Hand {
  readonly tools: Tools;
  readonly means: Means;
  readonly ports: Ports;
  readonly signal: AbortSignal;
  /** 0–1. */
  progress(done: number): void;
  /** What a program has taken of processors, s. */
  readonly spent: (cpuS: number) => void;
  /** So many seconds of a video have been encoded, in all of its renditions. */
  made(seconds: number): void;
}
