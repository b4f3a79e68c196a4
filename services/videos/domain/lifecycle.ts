/** The life of a video, as a table of what may happen to it. */

/** uploading → queued → processing → ready | failed; deleted from any of them. */
export type VideoStatus = "uploading" | "queued" | "processing" | "ready" | "failed" | "deleted";

/** What happens to a video: its source is durable; a worker began; its last job ended well; a job ended badly for good; somebody wants a failed one to be tried again; somebody put it into the trash. */
export type VideoEvent = "stored" | "begun" | "finished" | "failed" | "retried" | "removed";

const transitions: Readonly<Record<VideoStatus, { readonly [E in VideoEvent]?: VideoStatus }>> = {
  /** Its bytes are on their way. Where its container allows it, it can be watched as far as they have come. */
  uploading: { stored: "queued", removed: "deleted" },
  /** Its source is stored, and the job that looks at it exists. */
  queued: { begun: "processing", failed: "failed", removed: "deleted" },
  /** Some of its jobs have begun; a job may begin more than once. */
  processing: { begun: "processing", finished: "ready", failed: "failed", removed: "deleted" },
  /** Every segment is stored. */
  ready: { removed: "deleted" },
  /** It has an error, and no work is left. */
  failed: { retried: "queued", removed: "deleted" },
  /** Gone from lists and playback. The row keeps the status that it had: a video that is restored is as it was. */
  deleted: {},
};

/** The status after the event; undefined when the event cannot happen to a video of that status. */
export function transition(status: VideoStatus, event: VideoEvent): VideoStatus | undefined {
  return transitions[status][event];
}

/** A rendition of which the first segment is stored can be begun. */
export interface Begun {
  readonly begun: boolean;
}

/** Whether there are manifests: the plan tells them before the end, but not how the first segments came out, nor whether they did. */
export function isPlayable(status: VideoStatus, renditions: readonly Begun[]): boolean {
  if (status === "ready") return true;
  return isServed(status) && renditions.length > 0 && renditions.every(({ begun }) => begun);
}

/** Whether segments that are stored are served. */
export function isServed(status: VideoStatus): boolean {
  return status === "ready" || status === "processing" || status === "uploading";
}

/** Its last pictures come without an event, at most moments after its last segment. */
const SETTLED_MS = 60_000;

interface Dated {
  readonly updatedAt: string;
}

/** Whether nothing has happened to it for a while. */
export function isQuiet({ updatedAt }: Dated, nowMs: number): boolean {
  return Date.parse(updatedAt) < nowMs - SETTLED_MS;
}

/** Whether nobody works on it: all that changes by itself are its views. */
export function isSettled(video: Dated & { readonly status: VideoStatus }, nowMs: number): boolean {
  return (video.status === "ready" || video.status === "failed" || video.status === "deleted") && isQuiet(video, nowMs);
}
