/** What ffprobe said of a source: which of its streams are converted, or why it is refused, for a person. */
import { z } from "zod";
import { failure, type TritonError } from "../../kernel/errors.ts";
import { language } from "../../kernel/schemas.ts";
import type { Size } from "./ladder.ts";
import { parseRate, perSecond } from "./rate.ts";
import { AUDIO_CODECS, TEXT_CODECS, VIDEO_CODECS, type Demuxer } from "./whitelist.ts";

const streamSchema = z.object({
  index: z.int().nonnegative(),
  codec_type: z.string().optional(),
  codec_name: z.string().optional(),
  width: z.int().optional(),
  height: z.int().optional(),
  sample_aspect_ratio: z.string().optional(),
  field_order: z.string().optional(),
  color_space: z.string().optional(),
  color_transfer: z.string().optional(),
  r_frame_rate: z.string().optional(),
  avg_frame_rate: z.string().optional(),
  time_base: z.string().optional(),
  start_time: z.coerce.number().optional(),
  duration: z.coerce.number().optional(),
  channels: z.int().optional(),
  disposition: z.object({ attached_pic: z.int().optional(), default: z.int().optional(), forced: z.int().optional() }).optional(),
  tags: z.record(z.string(), z.string()).optional(),
  side_data_list: z.array(z.looseObject({ rotation: z.number().optional() })).optional(),
});
export type Stream = z.infer<typeof streamSchema>;

const probeSchema = z.object({
  format: z.object({
    start_time: z.coerce.number().optional(),
    duration: z.coerce.number().optional(),
    tags: z.record(z.string(), z.string()).optional(),
  }),
  streams: z.array(streamSchema),
});

/** The entries that the schema reads: ffprobe writes no others. */
export const PROBE_ENTRIES = [
  "format=start_time,duration:format_tags=major_brand",
  "stream=index,codec_type,codec_name,width,height,sample_aspect_ratio,field_order,color_space,color_transfer,channels",
  "stream=r_frame_rate,avg_frame_rate,time_base,start_time,duration",
  "stream_disposition=attached_pic,default,forced:stream_tags=rotate,language,DURATION:stream_side_data=rotation",
].join(":");

export interface SourceLimits {
  readonly secondsMax: number;
  readonly pixelsMax: number;
}

/** A DVD has 8 + 32 streams of sound and subtitles; a file with hundreds is made to cost memory. */
const STREAMS_MAX = 64;
/** Languages of lines of text, each an output of its own and in memory at once: a Blu-ray has 32. */
const TEXTS_MAX = 32;
/** A side below this many pixels shows nothing, and no encoder has it among its tests. */
const SIDE_MIN = 16;
/** Pixels that are wider than ten times their height are an error of the file. */
const PIXEL_ASPECT_MAX = 10;
/** A source whose streams are chosen and allowed, before its frames are counted. */
export interface Candidate {
  readonly demuxer: Demuxer;
  readonly container: string;
  /** When the first stream starts: everything is counted from there, as ffmpeg does. */
  readonly startS: number;
  readonly durationS: number | undefined;
  readonly picture: Stream;
  readonly sound: Stream | undefined;
  /** Lines of text, one stream of each language. */
  readonly texts: readonly TextStream[];
}

export interface TextStream {
  readonly stream: number;
  readonly language: string;
}

/** Chooses the streams. Throws SOURCE_* for what is not taken; `json` is what ffprobe printed. */
export function candidateOf(json: unknown, demuxer: Demuxer, limits: SourceLimits): Candidate {
  const parsed = probeSchema.safeParse(json);
  if (!parsed.success) throw failure("SOURCE_DAMAGED", "Nothing could be read from the file. Upload it again, or export it anew.");
  const { format, streams } = parsed.data;
  if (streams.length > STREAMS_MAX) {
    throw failure(
      "SOURCE_TOO_COMPLEX",
      `The file holds ${streams.length} streams; at most ${STREAMS_MAX} are taken. Export it with one picture and one sound.`,
    );
  }
  const picture = pictureOf(streams, limits);
  const startS = format.start_time ?? 0;
  // Matroska counts its duration from zero, also where nothing starts there: 15 s for ten that begin at five.
  const durationS = format.duration === undefined ? undefined : format.duration - (demuxer === "matroska" ? startS : 0);
  refuseTooLong(durationS ?? 0, limits);
  return {
    demuxer,
    container: demuxer === "mov" && format.tags?.["major_brand"]?.trim() !== "qt" ? "mp4" : demuxer,
    startS,
    durationS,
    picture,
    sound: soundStream(streams),
    texts: textStreams(streams),
  };
}

/** What ffprobe's last words mean when it read nothing at all. */
export function refusalOf(words: string, limits: SourceLimits): TritonError {
  const codec = /Codec \(([^)]{1,40})\) not on whitelist/.exec(words)?.[1];
  if (codec) return unsupportedCodec(codec);
  if (words.includes("exceeds specified max pixel count")) return tooBig(undefined, limits);
  if (words.includes("moov atom not found")) {
    return failure(
      "SOURCE_DAMAGED",
      "The index of the file is missing, as it is when a recording or a copy was cut off. Upload the complete file.",
    );
  }
  return failure("SOURCE_DAMAGED", "The file begins like a video, but nothing could be read from it. Upload it again, or export it anew.");
}

function pictureOf(streams: readonly Stream[], limits: SourceLimits): Stream {
  const moving = streams.filter((stream) => stream.codec_type === "video" && stream.disposition?.attached_pic !== 1);
  const picture = moving.find((stream) => VIDEO_CODECS.includes(stream.codec_name ?? "")) ?? moving[0];
  if (!picture) {
    throw failure("SOURCE_WITHOUT_PICTURE", "The file holds no moving picture. Upload a video; sound alone is not published here.");
  }
  if (!VIDEO_CODECS.includes(picture.codec_name ?? "")) throw unsupportedCodec(picture.codec_name);
  const { width = 0, height = 0 } = picture;
  if (width * height > limits.pixelsMax) throw tooBig({ width, height }, limits);
  const seen = sizeAsSeen(picture);
  if (width === 0 || height === 0) throw failure("SOURCE_DAMAGED", "The file does not say how large its picture is. Export it anew.");
  if (Math.min(seen.width, seen.height) < SIDE_MIN) {
    throw failure("SOURCE_UNSUPPORTED", `The picture is ${width} × ${height} pixels; each side must have at least ${SIDE_MIN}.`);
  }
  return picture;
}

function soundStream(streams: readonly Stream[]): Stream | undefined {
  const sounds = streams.filter((stream) => stream.codec_type === "audio");
  const known = sounds.filter((stream) => AUDIO_CODECS.includes(stream.codec_name ?? "") && (stream.channels ?? 0) > 0);
  if (sounds[0] && known.length === 0) throw unsupportedCodec(sounds[0].codec_name);
  return known.find((stream) => stream.disposition?.default === 1) ?? known[0];
}

/** Of several in one language the first that is for the whole video, and not only for what is said in another language. */
function textStreams(streams: readonly Stream[]): readonly TextStream[] {
  const texts = streams
    .filter(({ codec_type, codec_name = "" }) => codec_type === "subtitle" && TEXT_CODECS.includes(codec_name))
    .toSorted((a, b) => (a.disposition?.forced ?? 0) - (b.disposition?.forced ?? 0))
    .map(({ index, tags }) => ({ stream: index, language: languageOf(tags?.["language"]) }));
  return texts.filter((text, at) => texts.findIndex((other) => other.language === text.language) === at).slice(0, TEXTS_MAX);
}

/** Containers name languages by three letters ("ger"), BCP 47 by two where there are two ("de"). What is no name of a language is undetermined. */
function languageOf(told = ""): string {
  try {
    return language.parse(Intl.getCanonicalLocales(told)[0]);
  } catch {
    return "und";
  }
}

/** Rotated as the display matrix (or the older tag) says, and with square pixels. */
export function sizeAsSeen(stream: Stream): Size {
  const { width = 0, height = 0 } = stream;
  const aspect = pixelAspect(stream.sample_aspect_ratio);
  const square = { width: Math.round(width * aspect), height };
  const rotation = stream.side_data_list?.find((side) => side.rotation !== undefined)?.rotation ?? Number(stream.tags?.["rotate"] ?? 0);
  return Math.round(Math.abs(rotation) / 90) % 2 === 1 ? { width: square.height, height: square.width } : square;
}

function pixelAspect(text: string | undefined): number {
  const ratio = parseRate(text?.replace(":", "/"));
  const value = ratio ? perSecond(ratio) : 1;
  return value > PIXEL_ASPECT_MAX || value < 1 / PIXEL_ASPECT_MAX ? 1 : value;
}

export function refuseTooLong(seconds: number, { secondsMax }: SourceLimits): void {
  if (seconds <= secondsMax) return;
  throw failure("SOURCE_TOO_LONG", `The video is ${Math.round(seconds)} s long; at most ${secondsMax} s are taken. Cut it into parts.`);
}

function tooBig(size: Size | undefined, { pixelsMax }: SourceLimits): TritonError {
  const is = size ? `The picture has ${size.width} × ${size.height} pixels` : "The picture has too many pixels";
  return failure("SOURCE_TOO_BIG", `${is}; at most ${pixelsMax} are taken, which is about ${usualSize(pixelsMax)}. Export it smaller.`);
}

function usualSize(pixels: number): string {
  const height = Math.round(Math.sqrt((pixels * 9) / 16));
  return `${Math.round((height * 16) / 9)} × ${height}`;
}

function unsupportedCodec(codec: string | undefined): TritonError {
  return failure(
    "SOURCE_UNSUPPORTED",
    `The file holds a stream coded as ${codec ?? "something unknown"}, which is not processed here. Convert it to H.264 with AAC in an MP4 file.`,
  );
}
