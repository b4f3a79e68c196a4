/** Turns a source into renditions. Its work comes from the queue, not from calls; this is what an operator may ask it. */
import { z } from "zod";
import { action, contract, returns } from "../kernel/rpc.ts";

export interface TranscoderInfo {
  readonly node: string;
  /** First line of `ffmpeg -version`. */
  readonly ffmpeg: string;
  /** Where it was found: configuration, PATH, or an npm package (then old, and a warning was logged). */
  readonly found: "configuration" | "path" | "package";
  readonly running: number;
  readonly slots: number;
}

export const transcoder = contract("transcoder", {
  info: action({ params: z.strictObject({}), returns: returns<TranscoderInfo>(), scope: "cluster", idempotent: true, timeoutMs: 2000 }),
});
