/** The JSON of a video as api.md promises it. */
import { videoPath } from "./links.ts";

interface StoredVideo {
  readonly id: string;
  readonly playable: boolean;
  readonly hasThumbnail: boolean;
}

/** The catalogue's own words, with addresses in place of facts about what is stored. An address is null while there is nothing behind it. */
export function videoDocument<V extends StoredVideo>(video: V) {
  const { hasThumbnail, ...rest } = video;
  const at = (file: string, exists: boolean): string | null => (exists ? `${videoPath(video.id)}/${file}` : null);
  return {
    ...rest,
    manifests: { dash: at("manifest.mpd", video.playable), hls: at("master.m3u8", video.playable) },
    thumbnail: at("thumbnail.jpg", hasThumbnail),
    storyboard: null,
    captions: [],
  };
}
