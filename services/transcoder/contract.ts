/** Turns a source into renditions. Its work comes from the queue; this is what may be asked of it beside. */
import { z } from "zod";
import { action, contract, returns } from "../kernel/rpc.ts";
import { sha256 } from "../kernel/schemas.ts";

export interface TranscoderInfo {
  readonly node: string;
  /** First line of `ffmpeg -version`. */
  readonly ffmpeg: string;
  /** Where it was found: configuration, PATH, or an npm package (then old, and a warning was logged). */
  readonly found: "configuration" | "path" | "package";
  readonly running: number;
  readonly slots: number;
}

const stored = z.strictObject({ blob: sha256, size: z.int().positive() });
/** A keyframe every 4 s at up to 300 frames a second. */
const SEGMENT_FRAMES_MAX = 100_000;

export const transcoder = contract("transcoder", {
  info: action({ params: z.strictObject({}), returns: returns<TranscoderInfo>(), scope: "cluster", idempotent: true, timeoutMs: 2000 }),
  /**
   * One frame of a segment that is stored, as a JPEG: `frame` counts from the segment's first. The picture is a blob that nothing names, so it is
   * there for as long as the collector leaves such blobs alone. TOO_BUSY; TRANSCODE_FAILED when the segment has no such frame.
   */
  still: action({
    params: z.strictObject({ init: stored, segment: stored, frame: z.int().min(0).max(SEGMENT_FRAMES_MAX) }),
    returns: returns<z.infer<typeof stored>>(),
    scope: "cluster",
    idempotent: false,
    timeoutMs: 30_000,
  }),
});
