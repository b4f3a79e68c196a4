/** What the work needs of the rest of the system. */
import type { Readable } from "node:stream";
import type { Means } from "../domain/argv.ts";
import type { Plan } from "../domain/plan.ts";
import type { SourceFacts } from "../domain/facts.ts";
import type { StoredRendition, Storyboard } from "../domain/storyboard.ts";
import type { Tools } from "../ffmpeg/sandbox.ts";

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

export interface Ports {
  /** Bytes start (inclusive) to end (exclusive) of a stored source. */
  read(blob: string, start: number, end: number): Promise<Readable>;
  /** Answers when the bytes are durable. */
  put(bytes: Uint8Array<ArrayBuffer>): Promise<StoredBlob>;
  begin(): Promise<void>;
  applyPlan(facts: SourceFacts, plan: Plan): Promise<void>;
  /** The plan that this job is part of is of no use any more: the video is inspected again. */
  planAnew(): Promise<void>;
  publish(publication: Publication): Promise<void>;
  publishThumbnail(picture: StoredBlob): Promise<void>;
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
}
