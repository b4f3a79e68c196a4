/**
 * Work on videos whose bytes are still on their way (decision 0033). It is the work that would be done when they are there, by the same plan; only where
 * the bytes are read from differs, until the source has come.
 */
import { enqueue, type JobKind } from "../../../mixins/database/enqueue.ts";
import { awaitBytes, completeJob, releaseJobs } from "../../../mixins/database/jobs.ts";
import { one, transaction, type Database } from "../../../mixins/database/sql.ts";
import type { JobRef } from "../../kernel/schemas.ts";
import { lock, type Change } from "./catalogue.ts";
import { isForeseen } from "./foreseen.ts";
import { keepPlan, withVideo, type Plan } from "./work.ts";

export interface Growth {
  readonly id: string;
  readonly upload: string;
  readonly offset: number;
  readonly length: number;
  readonly begins: boolean;
}

/** Kinds of the jobs that may be taken now. */
export async function grew(db: Database, { id, upload, offset, length, begins }: Growth): Promise<readonly JobKind[]> {
  if (!begins) return await releaseJobs(db, id, offset);
  return await transaction(db, async (tx) => {
    const video = await lock(tx, id);
    if (video.status !== "uploading" || (await isForeseen(tx, video))) return [];
    return await enqueue(tx, [{ kind: "video.foresee", videoId: id, payload: { upload, size: length }, dedupeKey: upload }]);
  });
}

export interface Foresight {
  readonly offset: number;
  readonly needsBytes?: number | undefined;
  readonly plan: (Omit<Plan, "tasks"> & { readonly tasks: readonly (Plan["tasks"][number] & { readonly needsBytes: number })[] }) | null;
}

/** What needs the last byte waits for `arrive`, also when that byte has come: the last job would end a video that is still uploading. */
export async function foresee(db: Database, job: JobRef, { offset, plan, needsBytes }: Foresight): Promise<Change> {
  return await withVideo(db, job, async (tx, video) => {
    if (needsBytes !== undefined && video.status === "uploading") {
      await awaitBytes(tx, job, needsBytes);
      return { id: video.id, enqueued: await releaseJobs(tx, video.id, offset) };
    }
    await completeJob(tx, job);
    if (plan === null || video.status !== "uploading" || (await isForeseen(tx, video))) return { id: video.id };
    await keepPlan(tx, video, video.status, plan);
    const most = (await one<{ size: number }>(tx, "select source_size::float8 as size from videos where id = $1", [video.id]))?.size ?? 0;
    return { id: video.id, status: video.status, enqueued: await releaseJobs(tx, video.id, Math.min(offset, most - 1)) };
  });
}
