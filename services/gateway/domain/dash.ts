/** The MPEG-DASH manifest (ISO/IEC 23009-1): static, live profile, segments by number and timeline. */
import { decimal, durationS, ofKind, segmentSecondsMax, streamFolder, type Presentation, type PresentedRendition } from "./presentation.ts";

/** The MPD of a video, with addresses relative to its own. */
export function mpd(presentation: Presentation): string {
  const longestS = segmentSecondsMax(presentation.renditions);
  return [
    `<?xml version="1.0" encoding="UTF-8"?>`,
    // minBufferTime: @bandwidth is the peak over one segment, so a client that holds the longest one never runs dry (5.3.5.4).
    `<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-live:2011" type="static" mediaPresentationDuration="PT${decimal(durationS(presentation))}S" maxSegmentDuration="PT${decimal(longestS)}S" minBufferTime="PT${decimal(longestS)}S">`,
    `  <Period id="0" start="PT0S">`,
    ...adaptationSet(presentation, "video"),
    ...adaptationSet(presentation, "audio"),
    `  </Period>`,
    `</MPD>`,
    ``,
  ].join("\n");
}

function adaptationSet(presentation: Presentation, kind: PresentedRendition["kind"]): string[] {
  const renditions = ofKind(presentation, kind);
  if (renditions.length === 0) return [];
  const id = kind === "video" ? 0 : 1;
  return [
    `    <AdaptationSet id="${id}" contentType="${kind}" mimeType="${kind}/mp4" segmentAlignment="true" startWithSAP="1">`,
    `      <Role schemeIdUri="urn:mpeg:dash:role:2011" value="main"/>`,
    ...renditions.flatMap((rendition) => representation(presentation, rendition)),
    `    </AdaptationSet>`,
  ];
}

function representation({ revision, frameRate }: Presentation, rendition: PresentedRendition): string[] {
  const { name, codecs, bitrate, timescale, runs } = rendition;
  const folder = escaped(streamFolder(revision, name));
  return [
    `      <Representation id="${escaped(name)}" codecs="${escaped(codecs)}" bandwidth="${bitrate}"${picture(rendition, frameRate)}>`,
    `        <SegmentTemplate timescale="${timescale}" initialization="${folder}/init.mp4" media="${folder}/$Number$.m4s" startNumber="1">`,
    `          <SegmentTimeline>`,
    ...runs.map(([count, duration], index) => `            ${run(count, duration, index)}`),
    `          </SegmentTimeline>`,
    `        </SegmentTemplate>`,
    `      </Representation>`,
  ];
}

function picture({ kind, width, height }: PresentedRendition, [numerator, denominator]: readonly [number, number]): string {
  if (kind === "audio") return "";
  const rate = denominator === 1 ? `${numerator}` : `${numerator}/${denominator}`;
  return ` width="${width}" height="${height}" frameRate="${rate}" sar="1:1"`;
}

/** @r counts the repetitions after the first. */
function run(count: number, duration: number, index: number): string {
  const start = index === 0 ? ` t="0"` : "";
  return count === 1 ? `<S${start} d="${duration}"/>` : `<S${start} d="${duration}" r="${count - 1}"/>`;
}

const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;" };

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? "");
}
