/** The documents of the storage cluster, as schemas. */
import { z } from "zod";
import { uuid } from "../../kernel/schemas.ts";

const count = z.number().nonnegative();
const bytes = count.describe("bytes");
const state = z.enum(["spare", "in", "draining", "out", "removed"]).describe("what it is to the ring");

export const diskSchema = z
  .object({
    id: uuid,
    address: z.string().describe("host:port"),
    zone: z.string(),
    state,
    up: z.boolean().describe("whether it answered just now"),
    reason: z.string().nullable().describe("why it is not up"),
    downSince: z.iso.datetime().nullable(),
    weight: bytes.describe("bytes that it counts for"),
    partitions: count.describe("that it owns"),
    capacityBytes: bytes,
    freeBytes: bytes,
    chunks: count,
    faults: count.describe("chunks that were bad since it was new"),
    readOnly: z.string().nullable().describe("why it takes no more chunks for now"),
    trashBytes: bytes.describe("of deleted chunks that can still be brought back"),
    quarantineBytes: bytes.describe("of files that were not what their names said"),
    verifiedSince: z.iso.datetime().nullable().describe("every chunk was verified then or later"),
    scrub: z.enum(["running", "paused", "resting"]),
    scrubbed: z.number().min(0).max(1).describe("of the pass that is under way, or of the last one"),
  })
  .meta({ id: "Disk", description: "A process that keeps chunks in one folder." });

const change = z
  .object({
    disk: uuid,
    change: z.enum(["add", "drain", "remove", "weight"]),
    weight: bytes.nullable().describe("null: its capacity"),
  })
  .meta({ id: "RingChange", description: "What the next ring is to change." });

const progress = z.object({ total: count, done: count });
const movesSchema = z
  .object({
    epoch: z.int(),
    partitions: progress,
    chunks: progress,
    bytes: progress,
    lostChunks: count.describe("passed over: no disk that is known has a good copy"),
    copiedBytes: bytes,
    bytesPerSecond: count,
    secondsLeft: count.nullable().describe("null while it is not known, 0 when nothing moves"),
  })
  .meta({ id: "Moves", description: "How far the moves of the last change are." });

export const ringSchema = z
  .object({ epoch: z.int(), partitions: z.int(), replicas: z.int(), staged: z.array(change).readonly(), moves: movesSchema })
  .meta({ id: "Ring", description: "Which disks own which partition, in figures." });

const share = z.object({ state, weight: bytes, partitions: count, bytes });
export const planSchema = z
  .object({
    epoch: z.int().describe("the ring that it starts from: what apply must be told"),
    changes: z.array(change).readonly(),
    partitions: count.describe("that change owners"),
    copies: count.describe("of partitions that have to be made"),
    minimum: count.describe("the fewest copies that any table with these shares needs"),
    chunks: count.describe("copies of chunks that have to be made"),
    bytes,
    disks: z
      .array(z.object({ id: uuid, address: z.string(), zone: z.string(), capacityBytes: bytes, before: share, after: share }))
      .readonly(),
    warnings: z.array(z.string()).readonly(),
  })
  .meta({ id: "RingPlan", description: "What applying the staged changes would do." });

export const stagedSchema = z
  .object({
    changes: z.array(change).readonly(),
    plan: planSchema.nullable(),
    refusal: z.string().nullable().describe("why there is no plan: what is staged so far cannot be applied alone"),
  })
  .meta({ id: "Staged", description: "Everything that is staged, and what it would do." });

const amount = z.object({ count, bytes });
export const usageSchema = z
  .object({
    logical: amount.describe("blobs, as long as they are"),
    unique: amount.describe("chunks that they are made of, each once"),
    physical: amount.describe("copies that the ring wants of them"),
    deduplicated: amount.describe("did not have to be stored: it was there"),
    pending: amount.describe("on its way in, or waiting for the end of its time of grace"),
    leaving: amount.describe("being deleted"),
    missing: amount.describe("copies that owners have not yet"),
  })
  .meta({ id: "StorageUsage", description: "What is stored, and what it takes." });

export const backlogSchema = z
  .object({ disk: uuid, copies: count, bytes, oldest: z.iso.datetime() })
  .meta({ id: "Backlog", description: "What a disk lacks." });
