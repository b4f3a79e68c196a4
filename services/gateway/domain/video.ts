/** The JSON of a video as the API promises it. */
import type { VideoDocument } from "./documents.ts";
import { videoPath } from "./links.ts";

/** What the catalogue says of a video: the document, with a fact in the place of an address. */
type StoredVideo = Omit<VideoDocument, "manifests" | "thumbnail" | "storyboard" | "captions"> & {
  readonly hasThumbnail: boolean;
  readonly hasStoryboard: boolean;
  readonly captions: readonly string[];
  readonly edition: number;
};

/** The catalogue's own words, with addresses in place of facts about what is stored. An address is null while there is nothing behind it. */
export function videoDocument(video: StoredVideo): VideoDocument {
  const { hasThumbnail, hasStoryboard, captions, edition: _edition, ...rest } = video;
  const isThere = rest.status !== "deleted";
  const at = (file: string, exists: boolean): string | null => (exists ? `${videoPath(video.id)}/${file}` : null);
  return {
    ...rest,
    manifests: { dash: at("manifest.mpd", video.playable), hls: at("master.m3u8", video.playable) },
    thumbnail: at("thumbnail.jpg", hasThumbnail && isThere),
    storyboard: at("storyboard.vtt", hasStoryboard && isThere),
    captions: (isThere ? captions : []).map((language) => ({ language, url: `${videoPath(video.id)}/captions/${language}.vtt` })),
  };
}
