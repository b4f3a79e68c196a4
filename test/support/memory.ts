/** What the services behind a gateway hold in memory: see catalogue.ts. */
import { createHash } from "node:crypto";
import type { Readable } from "node:stream";
import { failure, type ErrorType } from "../../services/kernel/errors.ts";
import type { Principal } from "../../services/kernel/principal.ts";
import type { DiskHealth } from "../../services/ring/contract.ts";
import type { StoredBlob } from "../../services/storage/contract.ts";
import type { Play, Playback, Report, SegmentRow, Storyboard, Video } from "../../services/videos/contract.ts";

export interface Catalogue {
  readonly videos: Map<string, Video>;
  /** What each video was made of. */
  readonly sources: Map<string, { filename: string; blob: string }>;
  readonly playbacks: Map<string, Playback>;
  /** By `id/revision/rendition`. */
  readonly segments: Map<string, SegmentRow[]>;
  readonly thumbnails: Map<string, StoredBlob>;
  readonly storyboards: Map<string, Storyboard>;
  readonly blobs: Map<string, Buffer>;
  /** By `id/language`. */
  readonly captions: Map<string, StoredBlob>;
  readonly trash: Map<string, Video>;
  /** All that was told of. */
  readonly plays: Play[];
  /** What players told, or said along with what they asked for. */
  readonly reports: (Report & { readonly as: Principal })[];
  /** Streams that storage is reading now. */
  readonly open: Set<Readable>;
  /** Calls so far, by the action's name. */
  readonly calls: Map<string, number>;
  /** What an action is to fail with, by its name; or what it is to wait for first. */
  readonly failures: Map<string, Error>;
  readonly waits: Map<string, Promise<unknown>>;
  disks: DiskHealth[];
}

export function emptyCatalogue(): Catalogue {
  return {
    videos: new Map(),
    sources: new Map(),
    playbacks: new Map(),
    segments: new Map(),
    thumbnails: new Map(),
    storyboards: new Map(),
    blobs: new Map(),
    captions: new Map(),
    trash: new Map(),
    plays: [],
    reports: [],
    open: new Set(),
    calls: new Map(),
    failures: new Map(),
    waits: new Map(),
    disks: [disk("a", "up"), disk("b", "up"), disk("c", "up")],
  };
}

export function disk(zone: string, answers: "up" | "down"): DiskHealth {
  return {
    id: "00000000-0000-4000-8000-000000000000",
    address: "127.0.0.1:1",
    zone,
    weight: 1,
    state: "in",
    up: answers === "up",
    partitions: 1,
    downSince: null,
    capacityBytes: 1,
    freeBytes: 1,
    chunks: 0,
    faults: 0,
    readOnly: null,
    trashBytes: 0,
    quarantineBytes: 0,
    verifiedSince: null,
    scrub: "resting",
    scrubbed: 0,
    reason: null,
  };
}

/** Puts bytes where `storage.fetch` finds them. */
export function keep(catalogue: Catalogue, bytes: Buffer): StoredBlob {
  const blob = createHash("sha256").update(bytes).digest("hex");
  catalogue.blobs.set(blob, bytes);
  return { blob, size: bytes.length };
}

/** Counts the call, waits or fails if it was told to. */
export async function called(catalogue: Catalogue, name: string): Promise<void> {
  catalogue.calls.set(name, (catalogue.calls.get(name) ?? 0) + 1);
  await catalogue.waits.get(name);
  const error = catalogue.failures.get(name);
  if (error) throw error;
}

export function find<T>(values: Map<string, T>, key: string, type: ErrorType): T {
  const value = values.get(key);
  if (value === undefined) throw failure(type, `There is no ${key}.`);
  return value;
}

export const unused = async (): Promise<never> => {
  throw failure("INTERNAL", "The gateway has no business with this action.");
};
