/** The MPEG-DASH manifest (ISO/IEC 23009-1): static, live profile, segments by number and timeline. */
import {
  decimal,
  durationS,
  languageName,
  ofKind,
  segmentSecondsMax,
  streamFolder,
  type Presentation,
  type PresentedRendition,
} from "./presentation.ts";

/** The MPD of a video, with addresses relative to its own. `query` is what each of them shows behind it. */
export function mpd(presentation: Presentation, query = ""): string {
  const longestS = segmentSecondsMax(presentation.renditions);
  return [
    `<?xml version="1.0" encoding="UTF-8"?>`,
    // minBufferTime: @bandwidth is the peak over one segment, so a client that holds the longest one never runs dry (5.3.5.4).
    `<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-live:2011" type="static" mediaPresentationDuration="PT${decimal(durationS(presentation))}S" maxSegmentDuration="PT${decimal(longestS)}S" minBufferTime="PT${decimal(longestS)}S">`,
    `  <Period id="0" start="PT0S">`,
    ...adaptationSet(presentation, "video", query),
    ...adaptationSet(presentation, "audio", query),
    ...presentation.captions.flatMap((language, index) => captionSet(language, index + 2, query)),
    `  </Period>`,
    `</MPD>`,
    ``,
  ].join("\n");
}

function adaptationSet(presentation: Presentation, kind: PresentedRendition["kind"], query: string): string[] {
  const renditions = ofKind(presentation, kind);
  if (renditions.length === 0) return [];
  const id = kind === "video" ? 0 : 1;
  return [
    `    <AdaptationSet id="${id}" contentType="${kind}" mimeType="${kind}/mp4" segmentAlignment="true" startWithSAP="1">`,
    `      <Role schemeIdUri="urn:mpeg:dash:role:2011" value="main"/>`,
    ...renditions.flatMap((rendition) => representation(presentation, rendition, query)),
    `    </AdaptationSet>`,
  ];
}

/** Whole, beside the video: a text of some KB needs no segments (5.3.9.5.1). */
function captionSet(language: string, id: number, query: string): string[] {
  return [
    `    <AdaptationSet id="${id}" contentType="text" mimeType="text/vtt" lang="${escaped(language)}">`,
    `      <Role schemeIdUri="urn:mpeg:dash:role:2011" value="caption"/>`,
    `      <Label>${escaped(languageName(language))}</Label>`,
    `      <Representation id="captions-${escaped(language)}" bandwidth="1000">`,
    `        <BaseURL>captions/${escaped(language)}.vtt${escaped(query)}</BaseURL>`,
    `      </Representation>`,
    `    </AdaptationSet>`,
  ];
}

function representation({ revision, frameRate }: Presentation, rendition: PresentedRendition, query: string): string[] {
  const { name, codecs, bitrate, timescale, runs } = rendition;
  const folder = escaped(streamFolder(revision, name));
  const shown = escaped(query);
  return [
    `      <Representation id="${escaped(name)}" codecs="${escaped(codecs)}" bandwidth="${bitrate}"${picture(rendition, frameRate)}>`,
    `        <SegmentTemplate timescale="${timescale}" initialization="${folder}/init.mp4${shown}" media="${folder}/$Number$.m4s${shown}" startNumber="1">`,
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
