/**
 * A task as the ffmpeg command that does it: data, so that it can be read and tested without a process. Every option here works in ffmpeg 4.1
 * (2018), 5.1 and 7.0.
 */
import type { Size } from "./ladder.ts";
import { soundCut, type AudioTask, type CaptionsTask, type PictureTask, type Source, type SpanTask } from "./plan.ts";
import type { Storyboard } from "./storyboard.ts";
import { perSecond } from "./rate.ts";
import { inputProtection, type Demuxer } from "./whitelist.ts";

export interface PlannedOutput {
  /** The rendition (or "picture") that comes out here. */
  readonly name: string;
  readonly options: readonly string[];
}

export interface PlannedCommand {
  readonly inputOptions: readonly string[];
  /** For -filter_complex; null where the output has its own filter. */
  readonly filter: string | null;
  readonly outputs: readonly PlannedOutput[];
}

/** What a build of ffmpeg can do. */
export interface Abilities {
  /** Whether it can map HDR to SDR (zscale and tonemap). */
  readonly canToneMap: boolean;
  /** Its name for the option that keeps frames where the filter has put them. */
  readonly frameSync: "-fps_mode" | "-vsync";
}

/** What the machine allows: it changes how a task is done, hardly what comes out of it. */
export interface Means extends Abilities {
  readonly pixelsMax: number;
  readonly threads: number;
}

/** Longest line of a poster. */
const POSTER_WIDTH_MAX = 1280;
/** How far into the video the poster is looked for. */
const POSTER_POSITION = 0.1;
/** Keyframes among which the most typical one is chosen: eight cost 0.4 s, a hundred 1.7 s and 400 MB. */
const POSTER_KEYFRAMES = 8;
/** Mean brightness, of 16 (black) to 235, below which a picture shows a fade or a night. */
const POSTER_LUMA_MIN = 32;

/** Samples a second of the result. */
const AUDIO_RATE = 48_000;
/** The sound may be longer than its container says; a gap of hours that a false clock makes up must still end. */
const AUDIO_SLACK_S = 10;

/** How much a source may fall short of its promise and be filled up with its last picture: roundings, a tail that cannot be decoded. */
const TAIL_S = 1;

/** One decode, one encode for each rendition, each rendition a stream of fragments that begin with a keyframe. */
export function spanCommand(task: SpanTask, means: Means): PlannedCommand {
  const { span, rate, source, renditions } = task;
  const from = span.first === 0 ? 0 : source.origin + span.first / perSecond(rate);
  return {
    inputOptions: [
      // Threads of the filter graph: the default is one for each core, whatever else runs.
      ["-filter_complex_threads", String(means.threads)],
      inputOptions(source.demuxer, means.pixelsMax, means.threads),
      // From the keyframe before: what is on screen when the span begins may have come long before it, and the grid picks it out.
      from > 0 ? ["-noaccurate_seek", "-ss", from.toFixed(6)] : [],
    ].flat(2),
    filter: spanFilter(task, means.canToneMap),
    outputs: renditions.map(({ name, maxrateK }, index) => ({
      name,
      options: [
        ["-map", `[v${index}]`],
        // Counted on the output: a limit in time on the input does not stop a file of two frames that lie hours apart.
        ["-frames:v", String(span.frames)],
        // The frames lie on the grid already. ffmpeg 4 puts them there once more by another rule, and shows some one frame too late.
        [means.frameSync, "vfr"],
        videoEncoder(task, maxrateK, means.threads),
        COLOURS,
        ANONYMOUS,
        fragments("+frag_keyframe"),
      ].flat(),
    })),
  };
}

/** A span of the sound, on the grid of AAC's frames, with what is encoded before it and thrown away: AAC that is cut and joined anyhow clicks. */
export function audioCommand(task: AudioTask, means: Means): PlannedCommand {
  const { source, span } = task;
  const { fromS, samples } = soundCut(task);
  const options = [
    ["-map", `0:${task.stream}`],
    // Fills gaps with silence, and begins at the origin: silence is put before a later start, and what is earlier is cut off. It has at least
    // the length that was planned: players were promised its last segment when the first was there.
    ["-filter:a", `asetpts=${since(source, fromS)},aresample=${AUDIO_RATE}:async=1:first_pts=0,apad=whole_len=${samples}`],
    ["-t", (samples / AUDIO_RATE + (span.last ? AUDIO_SLACK_S : 0)).toFixed(6)],
    ["-c:a", "aac", "-b:a", "128k", "-ac", "2"],
    ANONYMOUS,
    fragments(""),
    // Every AAC frame is a keyframe, so fragments are cut by time, µs.
    ["-frag_duration", "4000000"],
  ].flat();
  // The filter throws away what lies before: seeking ends at a keyframe of the picture.
  const seek = fromS > 0 ? ["-noaccurate_seek", "-ss", (source.origin + fromS).toFixed(6)] : [];
  return {
    inputOptions: [...inputOptions(source.demuxer, means.pixelsMax, 1), ...seek],
    filter: null,
    outputs: [{ name: "audio", options }],
  };
}

/** How late captions come out, s: a line may begin before the picture does, and WebVTT has no times below zero. */
export const CAPTIONS_SHIFT_S = 3600;

/** Lines of text as WebVTT, each language an output of its own. */
export function captionsCommand({ source, texts }: CaptionsTask, means: Means): PlannedCommand {
  const shift = (CAPTIONS_SHIFT_S - source.start - source.origin).toFixed(6);
  // By default ffmpeg makes all of an output later, by as much as its first line is too early.
  const times = ["-output_ts_offset", shift, "-avoid_negative_ts", "disabled"];
  return {
    inputOptions: inputOptions(source.demuxer, means.pixelsMax, 1, "captions"),
    filter: null,
    outputs: texts.map(({ stream, language }) => ({
      name: language,
      options: [["-map", `0:${stream}`], ["-c:s", "webvtt"], ANONYMOUS, times, ["-f", "webvtt"]].flat(),
    })),
  };
}

/** One JPEG. `bright` looks for a picture that is not dark, some way into the video; without it the first one will do. */
export function pictureCommand(task: PictureTask, means: Means, bright: boolean): PlannedCommand {
  const width = Math.min(POSTER_WIDTH_MAX, task.width);
  const height = Math.max(2, Math.round((width * task.height) / task.width / 2) * 2);
  const choice = [
    "signalstats",
    `metadata=mode=select:key=lavfi.signalstats.YAVG:value=${POSTER_LUMA_MIN}:function=greater`,
    `thumbnail=${POSTER_KEYFRAMES}`,
  ];
  const resized = task.hdr && means.canToneMap ? toneMap({ width, height }) : [`scale=${width}:${height}`];
  // Keyframes only, and also the one before the position: an exact seek would throw away the only keyframe of a short video.
  const search = ["-skip_frame", "nokey", "-noaccurate_seek"];
  const seek = task.source.seekable ? ["-ss", (task.seconds * POSTER_POSITION).toFixed(3)] : [];
  const options = [
    ["-map", `0:${task.stream}`],
    ["-filter:v", [...resized, "setsar=1", ...(bright ? choice : [])].join(",")],
    ["-frames:v", "1"],
    jpeg(3),
  ].flat();
  return {
    inputOptions: [inputOptions(task.source.demuxer, means.pixelsMax, 1), bright ? [...search, ...seek] : []].flat(),
    filter: null,
    outputs: [{ name: "picture", options }],
  };
}

/** The JPEG of one frame of a segment that we have made ourselves, counted from its first. */
export function stillCommand(frame: number, means: Means): PlannedCommand {
  const options = [["-map", "0:0"], ["-filter:v", `select=eq(n\\,${frame}),setsar=1`], ["-frames:v", "1"], jpeg(3)].flat();
  return { inputOptions: inputOptions("mov", means.pixelsMax, 1), filter: null, outputs: [{ name: "picture", options }] };
}

/** One JPEG of all keyframes, side by side. */
export function storyboardCommand({ columns, rows, width, height }: Storyboard, means: Means): PlannedCommand {
  const options = [
    ["-map", "0:0"],
    ["-filter:v", `scale=${width}:${height},setsar=1,tile=${columns}x${rows}`],
    ["-frames:v", "1"],
    jpeg(5),
  ].flat();
  return {
    inputOptions: [...inputOptions("mov", means.pixelsMax, 1), "-skip_frame", "nokey"],
    filter: null,
    outputs: [{ name: "picture", options }],
  };
}

/** 2 is the best quality, 31 the smallest file. */
function jpeg(quality: number): readonly string[] {
  return ["-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-q:v", String(quality), ...ANONYMOUS, "-f", "mjpeg"];
}

function inputOptions(
  demuxer: Demuxer,
  pixelsMax: number,
  threads: number,
  purpose: "convert" | "captions" = "convert",
): readonly string[] {
  return [
    // No question that nobody answers, no banner, errors only, and no statistics: progress is what has been stored.
    ["-nostdin", "-hide_banner", "-v", "error", "-nostats"],
    // A damaged source is converted as far as it goes; by default ffmpeg says that it failed when two thirds of the frames are bad.
    ["-max_error_rate", "1"],
    // Time stamps as they are. By default ffmpeg counts from the start of the streams in use, in transport streams: sound and picture, which are
    // made apart, would each begin at zero.
    ["-copyts"],
    inputProtection(demuxer, pixelsMax, purpose),
    ["-threads", String(threads)],
  ].flat();
}

/** Neither the source's tags and chapters nor the version of the muxer: the same frames make the same bytes. */
const ANONYMOUS: readonly string[] = ["-map_metadata", "-1", "-map_chapters", "-1", "-fflags", "+bitexact"];

/** What the filter converts to, written into the stream: where it is missing, players guess by height, and colours jump between renditions. */
const COLOURS: readonly string[] = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"];

/**
 * The index comes with the first fragment and its edit list (`delay_moov`): sound and picture start together to the sample. With `cmaf` instead,
 * ffmpeg's own demuxer shows the picture one frame late. No trailer: it would list fragments by offsets that no longer hold.
 */
function fragments(cut: string): readonly string[] {
  return ["-f", "mp4", "-movflags", `${cut}+delay_moov+default_base_moof+skip_trailer`];
}

function videoEncoder(task: SpanTask, maxrateK: number, threads: number): readonly string[] {
  const frames = String(task.framesPerSegment);
  return [
    ["-c:v", "libx264", "-threads", String(threads), "-preset", task.preset, "-profile:v", "high", "-pix_fmt", "yuv420p"],
    // Constant quality with a cap. An average bitrate for each span costs 2.5 VMAF: it gives a still scene the bits of a fast one.
    ["-crf", "23", "-maxrate", `${maxrateK}k`, "-bufsize", `${2 * maxrateK}k`, "-bf", "2"],
    // A keyframe at each start of a segment and nowhere else, in every rendition alike.
    ["-g", frames, "-keyint_min", frames, "-sc_threshold", "0"],
    // Parameter sets that do not depend on the content, so that all spans of a video share one initialisation.
    ["-x264-params", "stitchable=1:open-gop=0"],
  ].flat();
}

/** Rotation is done by ffmpeg in front of this; 10 bits and 4:4:4 become 8 bits and 4:2:0 with the pixel format of the output. */
function spanFilter(task: SpanTask, canToneMap: boolean): string {
  const { picture, span, rate, renditions } = task;
  const mapped = picture.hdr && canToneMap;
  const shared = [
    // Before frames are dropped: it needs both neighbours. One frame out for each in, and only frames that are marked are changed.
    picture.interlaced ? ["bwdif=mode=send_frame:parity=auto:deint=interlaced"] : [],
    [`setpts=${since(task.source, span.first / perSecond(rate))}`],
    // The grid. It starts with the span and not with a picture: one that comes late stays late, and of those before the last one is shown until
    // the next comes.
    [`fps=${rate.join("/")}:start_time=0`],
    span.last ? [`tpad=stop_mode=clone:stop_duration=${TAIL_S}`] : [],
    mapped ? toneMap(renditions[0] ?? { width: 0, height: 0 }) : [],
    [`split=${renditions.length}${renditions.map((_, index) => `[s${index}]`).join("")}`],
  ].flat();
  const colour = `in_color_matrix=${mapped ? "bt709" : picture.matrix}:out_color_matrix=bt709:out_range=tv`;
  const scaled = renditions.map(
    ({ width, height }, index) => `[s${index}]scale=${width}:${height}:flags=bicubic:${colour},setsar=1[v${index}]`,
  );
  return [`[0:${picture.stream}]${shared.join(",")}`, ...scaled].join(";");
}

/**
 * An expression for the time since so many seconds after the origin. Rounded, since ffmpeg cuts off what is left of a tick: a frame that lies half-way
 * between two places of the grid would get the one or the other, by the span that it is in.
 */
function since({ start, origin }: Source, seconds: number): string {
  return `round(PTS-(${(start + origin + seconds).toFixed(6)})/TB)`;
}

/** HDR (PQ, HLG) to BT.709, after the picture has its size: done at 4K the floating point costs more than the encode. */
function toneMap({ width, height }: Size): readonly string[] {
  return [
    `zscale=t=linear:npl=100:w=${width}:h=${height}`,
    "format=gbrpf32le",
    "zscale=p=bt709",
    "tonemap=hable:desat=0",
    "zscale=t=bt709:m=bt709:r=tv",
    "format=yuv420p",
  ];
}
