/** What is told of a disk to an operator. */
import { messageOf } from "../../kernel/errors.ts";
import type { KnownDisk } from "./states.ts";

interface BinFacts {
  readonly bytes: number;
}

/** What a disk answered when it was asked who it is. */
export interface Answer {
  readonly id: string;
  readonly capacityBytes: number;
  readonly freeBytes: number;
  readonly chunks: number;
  readonly faults: number;
  readonly readOnly: string | null;
  readonly trash: BinFacts;
  readonly quarantine: BinFacts;
  readonly scrub: {
    readonly oldestVerifiedAt: number | null;
    readonly running: boolean;
    readonly paused: boolean;
    readonly progress: number;
  };
}

interface Figures {
  readonly capacityBytes: number;
  readonly freeBytes: number;
  readonly chunks: number;
  /** Chunks that were bad since it was new. */
  readonly faults: number;
  /** Why it takes no more chunks for now; null when it does. */
  readonly readOnly: string | null;
  /** Of deleted chunks that can still be brought back, and of files that were not what their names said. */
  readonly trashBytes: number;
  readonly quarantineBytes: number;
  /** Every chunk was verified then or later, ISO 8601; null while that is not so. */
  readonly verifiedSince: string | null;
  readonly scrub: "running" | "paused" | "resting";
  /** How much of the pass is done, 0 to 1. */
  readonly scrubbed: number;
}

export interface DiskCondition extends Figures {
  /** Whether it answered just now. */
  readonly up: boolean;
  /** Why it is not up. */
  readonly reason: string | null;
  /** Since when nobody has heard of it, ISO 8601; null while it answers. */
  readonly downSince: string | null;
}

/** What is told of a disk that says nothing. */
const SILENT: Omit<Figures, "capacityBytes"> = {
  freeBytes: 0,
  chunks: 0,
  faults: 0,
  readOnly: null,
  trashBytes: 0,
  quarantineBytes: 0,
  verifiedSince: null,
  scrub: "resting",
  scrubbed: 0,
};

/** `asked` is the answer that came from the address of the disk, or why none came. A disk is its UUID: another one at its address is no answer. */
export function conditionOf(disk: KnownDisk & { readonly downSince: Date | null }, asked: PromiseSettledResult<Answer>): DiskCondition {
  const reason = reasonOf(disk, asked);
  if (reason === null && asked.status === "fulfilled") return { up: true, reason, downSince: null, ...figuresOf(asked.value) };
  return { up: false, reason, downSince: disk.downSince?.toISOString() ?? null, capacityBytes: disk.capacityBytes, ...SILENT };
}

function figuresOf({ capacityBytes, freeBytes, chunks, faults, readOnly, trash, quarantine, scrub }: Answer): Figures {
  return {
    capacityBytes,
    freeBytes,
    chunks,
    faults,
    readOnly,
    trashBytes: trash.bytes,
    quarantineBytes: quarantine.bytes,
    verifiedSince: scrub.oldestVerifiedAt === null ? null : new Date(scrub.oldestVerifiedAt).toISOString(),
    scrub: scrub.paused ? "paused" : scrub.running ? "running" : "resting",
    scrubbed: scrub.progress,
  };
}

/** Why what came is not the disk's answer; null when it is. */
export function reasonOf(disk: Pick<KnownDisk, "id" | "address">, asked: PromiseSettledResult<Pick<Answer, "id">>): string | null {
  if (asked.status === "rejected") return messageOf(asked.reason);
  return asked.value.id === disk.id ? null : `At ${disk.address} answers another disk, ${asked.value.id}.`;
}
