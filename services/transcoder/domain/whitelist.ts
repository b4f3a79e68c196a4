/**
 * What ffmpeg may open. Uploads are hostile until shown otherwise, and a protocol whitelist alone does not help: a playlist named holiday.mp4 still
 * opened its neighbour's file (measured, 5.1.9). The pinned demuxer does, and the codec list keeps rarely read decoders (magicyuv) asleep.
 */

/** Containers by the name that `-f` pins. Never one that names other files: hls, dash, concat, sdp, image2. */
export const DEMUXERS = ["mov", "matroska", "mpegts", "avi", "flv", "ogg"] as const;
export type Demuxer = (typeof DEMUXERS)[number];

/** Codecs by the name that ffprobe gives them. */
export const VIDEO_CODECS: readonly string[] = "h264 hevc av1 vp8 vp9 mpeg4 mpeg2video mjpeg prores".split(" ");
export const AUDIO_CODECS: readonly string[] = "aac mp3 opus vorbis ac3 eac3 flac alac pcm_s16le pcm_s16be pcm_s24le pcm_f32le".split(" ");

/** The list is of decoders, whose names are not always those of the codecs. */
const DECODERS = [...VIDEO_CODECS, ...AUDIO_CODECS, "libdav1d", "libaom-av1", "mp3float", "libopus", "libvorbis"];

/** Lines of text, which become captions. Others are pictures of text. */
export const TEXT_CODECS: readonly string[] = "subrip ass mov_text webvtt text".split(" ");
const TEXT_DECODERS = [...TEXT_CODECS, "srt", "ssa"];

/**
 * ffprobe opens a decoder for every stream and ends at the first that is refused, so subtitles and covers need theirs there. They are opened
 * and not fed, but for the cover.
 */
const PROBE_DECODERS = [...TEXT_DECODERS, "pgssub", "dvdsub", "dvbsub", "png"];

const FURTHER_DECODERS = { probe: PROBE_DECODERS, convert: [], captions: TEXT_DECODERS } as const;
type Purpose = keyof typeof FURTHER_DECODERS;

/**
 * The options that go in front of the input of every ffprobe and every ffmpeg: nothing but loopback HTTP, nothing but this demuxer, no decoder
 * that is not listed, no frame above `pixelsMax` (a 423 KB file of 12000 × 12000 takes 1.1 GB to decode).
 */
export function inputProtection(demuxer: Demuxer, pixelsMax: number, purpose: Purpose): readonly string[] {
  const decoders = [...DECODERS, ...FURTHER_DECODERS[purpose]];
  return [
    ["-protocol_whitelist", "http,tcp"],
    ["-f", demuxer],
    ["-format_whitelist", demuxer],
    ["-codec_whitelist", decoders.join(",")],
    ["-max_pixels", String(pixelsMax)],
  ].flat();
}
