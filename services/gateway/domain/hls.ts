/** The HLS playlists (RFC 8216) over the same CMAF segments that the MPD names. */
import {
  durationS,
  languageName,
  ofKind,
  segmentSecondsMax,
  streamFolder,
  type Presentation,
  type PresentedRendition,
} from "./presentation.ts";

/** 7 is the first version with fragmented MP4. */
const HEAD = ["#EXTM3U", "#EXT-X-VERSION:7"];
const AUDIO_GROUP = "audio";
const CAPTIONS_GROUP = "captions";

/** The multivariant playlist: a variant for each picture, with the sound as a group of its own. `query` is what each address shows behind it. */
export function masterPlaylist(presentation: Presentation, query = ""): string {
  const audio = ofKind(presentation, "audio");
  const sound = audio.map(
    ({ name }, index) =>
      `#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="${AUDIO_GROUP}",NAME="${quoted(name)}",DEFAULT=${index === 0 ? "YES" : "NO"},AUTOSELECT=YES,URI="${playlistOf(presentation, name)}${query}"`,
  );
  const texts = presentation.captions.map(
    (language) =>
      `#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="${CAPTIONS_GROUP}",NAME="${quoted(languageName(language))} (${quoted(language)})",LANGUAGE="${quoted(language)}",DEFAULT=NO,AUTOSELECT=YES,FORCED=NO,URI="captions/${language}.m3u8${query}"`,
  );
  const variants = ofKind(presentation, "video").flatMap((video) => [
    `#EXT-X-STREAM-INF:${attributes(presentation, video, audio.at(-1))}`,
    `${playlistOf(presentation, video.name)}${query}`,
  ]);
  return [...HEAD, "#EXT-X-INDEPENDENT-SEGMENTS", ...sound, ...texts, ...variants, ""].join("\n");
}

/** The playlist of one rendition, whole from the start. Segments stand beside it. */
export function mediaPlaylist(rendition: PresentedRendition, query = ""): string {
  return [
    ...HEAD,
    // No EXTINF may be longer (4.3.3.1).
    `#EXT-X-TARGETDURATION:${Math.ceil(segmentSecondsMax([rendition]))}`,
    "#EXT-X-MEDIA-SEQUENCE:1",
    "#EXT-X-PLAYLIST-TYPE:VOD",
    "#EXT-X-INDEPENDENT-SEGMENTS",
    `#EXT-X-MAP:URI="init.mp4${query}"`,
    ...durations(rendition).flatMap((seconds, index) => [`#EXTINF:${seconds},`, `${index + 1}.m4s${query}`]),
    "#EXT-X-ENDLIST",
    "",
  ].join("\n");
}

/** The playlist of captions: one segment as long as the video (3.5). */
export function captionsPlaylist(presentation: Presentation, language: string, query = ""): string {
  const seconds = durationS(presentation);
  return [
    ...HEAD,
    `#EXT-X-TARGETDURATION:${Math.ceil(seconds)}`,
    "#EXT-X-MEDIA-SEQUENCE:1",
    "#EXT-X-PLAYLIST-TYPE:VOD",
    `#EXTINF:${seconds.toFixed(6)},`,
    `${language}.vtt${query}`,
    "#EXT-X-ENDLIST",
    "",
  ].join("\n");
}

/** The bandwidth of a variant counts all that is played together (4.3.4.2). */
function attributes({ frameRate, captions }: Presentation, video: PresentedRendition, audio: PresentedRendition | undefined): string {
  const [numerator, denominator] = frameRate;
  return [
    `BANDWIDTH=${video.bitrate + (audio?.bitrate ?? 0)}`,
    `AVERAGE-BANDWIDTH=${video.averageBitrate + (audio?.averageBitrate ?? 0)}`,
    `CODECS="${quoted([video.codecs, ...(audio ? [audio.codecs] : [])].join(","))}"`,
    `RESOLUTION=${video.width}x${video.height}`,
    `FRAME-RATE=${(numerator / denominator).toFixed(3)}`,
    ...(audio ? [`AUDIO="${AUDIO_GROUP}"`] : []),
    ...(captions.length > 0 ? [`SUBTITLES="${CAPTIONS_GROUP}"`] : []),
  ].join(",");
}

/** Each is the difference of two rounded times, so their sum stays exact however many there are: rounding every duration would drift. */
function durations({ runs, timescale }: PresentedRendition): string[] {
  const seconds: string[] = [];
  let at = 0;
  for (const [count, duration] of runs) {
    for (let n = 0; n < count; n++, at += duration) {
      seconds.push(((micros(at + duration, timescale) - micros(at, timescale)) / 1e6).toFixed(6));
    }
  }
  return seconds;
}

function micros(ticks: number, timescale: number): number {
  return Math.round((ticks / timescale) * 1e6);
}

function playlistOf({ revision }: Presentation, name: string): string {
  return `${streamFolder(revision, name)}/playlist.m3u8`;
}

/** A quoted-string has no way to hold these (4.2). */
function quoted(text: string): string {
  return text.replace(/["\r\n]/g, "");
}
