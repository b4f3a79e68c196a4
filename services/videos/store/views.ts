/** Rows as the rest of the system sees them. */
import assert from "node:assert/strict";
import type { Playback, PlaybackRendition, ProcessingStatus, Video } from "../contract.ts";
import { isPlayable, type VideoStatus } from "../domain/lifecycle.ts";
import { progressOf, secondsLeft, shareStored, stagesOf, type Work } from "../domain/progress.ts";
import { plannedRuns } from "../domain/runs.ts";
import type { DescribedRow } from "./described.ts";
import { notPlayable, type DescribedRendition } from "./read.ts";
import type { VideoRow } from "./video.model.ts";

export function statusOf({ deletedAt, storedStatus }: VideoRow): VideoStatus {
  return deletedAt === null ? storedStatus : "deleted";
}

/** `work` may be left out of a video that is ready. */
export function videoOf(row: DescribedRow, work?: Work): Video {
  const status = statusOf(row);
  const { id, title, description, tags, visibility, owner, duration, width, height, container, videoCodec, audioCodec } = row;
  const { renditions, views, captions, edition } = row;
  return {
    id,
    title,
    description,
    tags,
    visibility,
    owner,
    duration,
    width,
    height,
    container,
    videoCodec,
    audioCodec,
    renditions,
    status,
    playable: isPlayable(status, work?.renditions ?? []),
    progress: doneOf(row, work),
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
    deletedAt: row.deletedAt?.toISOString() ?? null,
    size: Number(row.size),
    frameRate: row.frameRateNum === null || row.frameRateDen === null ? null : row.frameRateNum / row.frameRateDen,
    views,
    captions,
    edition,
    hasThumbnail: row.thumbnailSize !== null,
    hasStoryboard: row.storyboardSize !== null,
    error: errorOf(row),
  };
}

/** What is in the trash is as far as it was. */
function doneOf({ storedStatus }: VideoRow, work: Work | undefined): number {
  if (storedStatus === "ready") return 1;
  return work ? progressOf(work) : 0;
}

export function processingOf(row: VideoRow, work: Work): ProcessingStatus {
  const spans = work.jobs.filter(({ stage }) => stage === "video");
  return {
    id: row.id,
    status: work.status,
    playable: isPlayable(work.status, work.renditions),
    progress: progressOf(work),
    stages: stagesOf(work),
    renditions: work.renditions.map((rendition) => ({
      name: rendition.name,
      segmentsDone: rendition.segmentsDone,
      segmentsTotal: rendition.segmentsTotal,
      progress: shareStored(rendition),
    })),
    spansDone: spans.filter(({ state }) => state === "done").length,
    spansTotal: spans.length,
    secondsLeft: secondsLeft(work),
    attempts: Math.max(0, ...work.jobs.map((job) => job.attempts)),
    error: errorOf(row),
  };
}

/** What manifests are made of. VIDEO_NOT_PLAYABLE. */
export function playbackOf(row: VideoRow, renditions: readonly DescribedRendition[], captions: readonly string[]): Playback {
  const { id, revision, visibility, owner, frameRateNum, frameRateDen } = row;
  const status = statusOf(row);
  if (!isPlayable(status, renditions)) throw notPlayable(id, status);
  assert(frameRateNum !== null && frameRateDen !== null, `the video ${id} is playable and has no frame rate`);
  return { id, revision, visibility, owner, captions, frameRate: [frameRateNum, frameRateDen], renditions: renditions.map(presented) };
}

/** While segments are still to come, all that are planned are promised: no player has to learn of them later. */
function presented({ initBlob, initSize, planned, begun: _begun, complete, runs, ...rendition }: DescribedRendition): PlaybackRendition {
  assert(initBlob !== null, `the rendition ${rendition.name} is playable and has no initialisation`);
  const promised = complete || planned === null ? runs : plannedRuns(planned, rendition.timescale);
  return { ...rendition, init: { blob: initBlob, size: initSize }, runs: promised };
}

function errorOf({ errorType, errorMessage }: VideoRow): Video["error"] {
  return errorType === null ? null : { code: errorType, message: errorMessage ?? "" };
}
