import type { Video } from "./api.ts";
import { h } from "./dom.ts";
import { formatBytes, formatCodec, formatDuration } from "./format.ts";

/** What is known of the file that was uploaded, as terms and their values. */
export function videoFacts(video: Video): HTMLElement[] {
  const { duration, width, height, frameRate, videoCodec, audioCodec, size } = video;
  const facts: readonly (readonly [string, string | null])[] = [
    ["Length", duration === null ? null : formatDuration(duration)],
    ["Resolution", width === null || height === null ? null : `${width} × ${height}`],
    ["Frame rate", frameRate === null ? null : `${Number(frameRate.toFixed(2))} fps`],
    ["Picture", videoCodec === null ? null : formatCodec(videoCodec)],
    // Without a picture codec the file was not inspected, and its sound is not known either.
    ["Sound", videoCodec === null ? null : audioCodec === null ? "None" : formatCodec(audioCodec)],
    ["Size", formatBytes(size)],
  ];
  return facts.flatMap(([term, value]) => (value === null ? [] : [h("div", {}, h("dt", {}, term), h("dd", {}, value))]));
}
