/**
 * Odd and hostile sources, small and made anew in each run: what phones, cameras, browsers and attackers send. A source is made once for all
 * tests of a file.
 */
import { open, readFile, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ffmpeg } from "./ffmpeg.ts";
import { CODE_BLOCKS, CODE_HEIGHT_SHARE } from "./watch.ts";

type Make = (sources: Sources, path: string) => Promise<unknown>;

/**
 * A moving picture. A strip at its top tells the number of each frame (test/support/watch.ts reads it); `fields` frames have the same number, where
 * they become one that is interlaced.
 */
const picture = (size: string, rate: number | string, seconds: number, fields = 1) => {
  const [width = 0, height = 0] = size.split("x").map(Number);
  const time = `rate=${rate}:duration=${seconds}`;
  const bit = `16+219*mod(floor(floor(N/${fields})/pow(2,X-1)),2)`;
  const code = `color=size=${CODE_BLOCKS}x1:${time},format=gray,geq=lum='if(eq(X,0),235,if(eq(X,${CODE_BLOCKS - 1}),16,${bit}))'`;
  const strip = `${code},scale=${width}:${Math.floor(height / CODE_HEIGHT_SHARE)}:flags=neighbor[code]`;
  return ["-f", "lavfi", "-i", `testsrc2=size=${size}:${time}[shown];${strip};[shown][code]overlay,format=yuv420p`];
};

/** A tone for the first tenth of each second, on every channel, and silence for the rest. */
const sound = (seconds: number, layout = "mono", channels = 1) => {
  const beep = Array.from({ length: channels }, () => "if(lt(mod(t,1),0.1),sin(2*PI*1000*t)/2,0)").join("|");
  return ["-f", "lavfi", "-i", `aevalsrc='${beep}':channel_layout=${layout}:sample_rate=48000:duration=${seconds}`];
};
const h264Of = (format: string) => ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", format];
const h264 = h264Of("yuv420p");
const hevc10 = (transfer: string) => [
  ["-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le", "-tag:v", "hvc1"],
  ["-x265-params", `log-level=error:colorprim=bt2020:transfer=${transfer}:colormatrix=bt2020nc`],
];
const aac = ["-c:a", "aac", "-b:a", "64k"];

const made =
  (...args: (string | readonly string[])[]): Make =>
  async (_sources, path) =>
    await ffmpeg(["-v", "error", ...args.flat(), path]);

/** Made of the file of another source: `args` come behind its `-i`, `before` in front. */
const from =
  (name: string, args: readonly string[], before: readonly string[] = []): Make =>
  async (sources, path) =>
    await ffmpeg(["-v", "error", ...before, "-i", await sources.path(name), ...args, path]);

const written =
  (text: (sources: Sources) => string | Promise<string>): Make =>
  async (sources, path) =>
    await writeFile(path, await text(sources));

/** The first part of another source. */
const cutOff =
  (name: string, share: number): Make =>
  async (sources, path) => {
    const whole = await sources.path(name);
    await writeFile(path, await readFile(whole));
    await truncate(path, Math.floor((await stat(whole)).size * share));
  };

const plain = [picture("640x360", 30, 5), sound(5), h264, aac].flat();

const flashAndBeep = [
  ["-f", "lavfi", "-i", "color=black:size=320x240:rate=30:duration=4"],
  ["-f", "lavfi", "-i", "aevalsrc='if(lt(mod(t,1),0.1),sin(2*PI*1000*t),0)':sample_rate=48000:duration=4"],
  ["-vf", "drawbox=color=white:t=fill:enable='lt(mod(t+0.001,1),0.1)'", "-g", "30"],
  h264,
  aac,
].flat();

/** A tone that never changes: nothing hides a click. */
const longTone = made(picture("160x100", 30, 40), ["-f", "lavfi", "-i", "sine=frequency=437:sample_rate=48000:duration=40"], h264, aac);

const corpus: Readonly<Record<string, Make>> = {
  "plain.mp4": made(plain),
  "faststart.mp4": made(plain, "-g", "30", "-movflags", "+faststart"),
  "portrait.mp4": from("lying.mp4", ["-c", "copy", "-metadata:s:v", "rotate=90"]),
  /** What a telephone that is held upright records. */
  "lying.mp4": made(picture("360x640", 30, 5), sound(5), "-vf", "transpose=clock", h264, aac),
  "portrait-of-odd-size.mp4": from("lying-of-odd-size.mp4", ["-c", "copy", "-metadata:s:v", "rotate=270"]),
  "lying-of-odd-size.mp4": made(picture("270x480", 30, 2), "-vf", "format=yuv444p,scale=269:479,transpose=cclock", h264Of("yuv444p")),
  "odd-size-444.mp4": made(picture("856x480", 30, 2), "-vf", "format=yuv444p,scale=853:479", "-c:v", "libx264", "-preset", "ultrafast"),
  "variable-rate.mp4": made(
    picture("320x240", 60, 5),
    sound(5),
    ["-vf", "select='if(lt(t,2),not(mod(n,2)),not(mod(n,5)))'", "-vsync", "vfr"],
    h264,
    aac,
  ),
  "ntsc.mp4": made(picture("320x240", "30000/1001", 3), h264),
  /** Times in whole milliseconds, which are never those of the frames. */
  "ntsc.mkv": made(picture("320x240", "30000/1001", 4), h264, "-g", "15"),
  /** Without an index: each fragment tells its own times. */
  "fragmented.mp4": made(plain, "-g", "30", "-movflags", "frag_keyframe+empty_moov"),
  /** As a screen is recorded: nothing for two seconds, then some frames at once. */
  "long-stills.mp4": made(picture("320x240", 30, 7), ["-vf", "select='lt(mod(t,2.3),0.4)'", "-vsync", "vfr"], h264, "-g", "40"),
  "120-a-second.mp4": made(picture("320x240", 120, 2), h264),
  "one-frame.mp4": made(picture("320x240", 25, 0.04), h264),
  "tiny.mp4": made(picture("160x100", 30, 2), h264),
  "long.mp4": made(picture("320x240", 30, 60), h264, "-g", "120"),
  "long-faststart.mp4": made(picture("320x240", 30, 40), sound(40), h264, "-g", "60", aac, "-movflags", "+faststart"),
  "very-long.mp4": made(picture("640x360", 30, 60), h264, "-g", "120"),
  "long-tone.mp4": longTone,
  "long-tone.mkv": longTone,
  "no-audio.mp4": made(picture("320x240", 25, 3), h264),
  "audio-only.m4a": made(sound(2), aac),
  "audio-with-cover.mp4": made(
    sound(2),
    picture("320x240", 1, 1),
    ["-map", "0", "-map", "1", "-c:v", "png", "-disposition:v", "attached_pic", "-frames:v", "1"],
    aac,
  ),
  "hevc-10-bit-hdr.mp4": made(picture("640x360", 25, 2), ...hevc10("smpte2084")),
  "hlg.mkv": made(picture("320x240", 50, 2), ...hevc10("arib-std-b67")),
  "10-bit.mkv": made(picture("320x240", 25, 3), sound(3), h264Of("yuv420p10le"), aac),
  "prores.mov": made(picture("320x240", 24, 2), sound(2), "-c:v", "prores", "-pix_fmt", "yuv422p10le", "-c:a", "pcm_s16le"),
  "film.mkv": made(picture("320x240", "24000/1001", 4), sound(4, "stereo", 2), h264, "-g", "48", aac),
  "60-a-second.mp4": made(picture("320x240", 60, 3), sound(3), h264, aac),
  "many-b-frames.mp4": made(picture("320x240", 30, 4), sound(4), "-c:v", "libx264", "-preset", "fast", "-bf", "8", "-b_strategy", "0", aac),
  "open-gop-hevc.mp4": made(
    picture("320x240", 30, 4),
    ["-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-tag:v", "hvc1"],
    ["-x265-params", "log-level=error:open-gop=1:keyint=30:min-keyint=30:bframes=3"],
  ),
  "one-keyframe.mp4": made(picture("320x240", 30, 10), sound(10), h264, "-g", "1000", "-keyint_min", "1000", aac),
  /** Neither picture nor sound for a second, and the clock goes on. */
  "gap.ts": made(
    picture("320x240", 30, 5),
    sound(5),
    ["-vf", "select='not(between(t,2.01,2.99))'", "-af", "aselect='not(between(t,2.01,2.99))'", "-vsync", "vfr"],
    h264,
    aac,
  ),
  "surround.mkv": made(picture("320x240", 30, 3), sound(3, "5.1", 6), h264, "-c:a", "ac3"),
  "interlaced.mkv": made(picture("640x480", 50, 3, 2), sound(3), "-vf", "tinterlace=interleave_top", h264, "-flags", "+ildct+ilme", aac),
  "long-pixels.mp4": made(picture("360x480", 25, 2), "-vf", "setsar=16/9", h264),
  "mjpeg.avi": made(picture("320x240", 25, 2), sound(2), "-c:v", "mjpeg", "-q:v", "4", "-c:a", "pcm_s16le"),
  "h264.flv": made(picture("320x240", 30, 3), sound(3), "-ar", "44100", h264, aac),
  "av1.mp4": made(picture("320x240", 25, 1), "-c:v", "libsvtav1", "-preset", "12"),
  /** Two languages, lines of text, chapters. */
  "several-tracks.mkv": async (sources, path) => {
    const [whole, lines, chapters] = await Promise.all(["plain.mp4", "subtitles.srt", "chapters.txt"].map((name) => sources.path(name)));
    const inputs = ["-i", whole!, "-i", whole!, "-i", lines!, "-i", chapters!];
    const maps = ["-map", "0", "-map", "1:a", "-map", "2", "-map_metadata", "3", "-c", "copy", "-c:s", "srt"];
    return await ffmpeg(["-v", "error", ...inputs, ...maps, "-metadata:s:s:0", "language=ger", path]);
  },
  "chapters.txt": written(
    () => ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1\nSTART=0\nEND=2\ntitle=One\n[CHAPTER]\nTIMEBASE=1/1\nSTART=2\nEND=5\ntitle=Two\n",
  ),
  /** As a camera writes it: tracks of time code, of chapters and of text. */
  "time-code.mov": async (sources, path) => {
    const [whole, lines, chapters] = await Promise.all(["plain.mp4", "subtitles.srt", "chapters.txt"].map((name) => sources.path(name)));
    const inputs = ["-i", whole!, "-i", lines!, "-i", chapters!];
    return await ffmpeg([
      "-v",
      "error",
      ...inputs,
      "-map_metadata",
      "2",
      "-c",
      "copy",
      "-c:s",
      "mov_text",
      "-timecode",
      "01:00:00:00",
      path,
    ]);
  },
  "open-gop.mp4": made(picture("320x240", 30, 4), h264, "-preset", "veryfast", "-bf", "3", "-g", "30", "-x264-params", "open-gop=1"),
  "starts-at-1.4-s.ts": made(plain),
  "starts-at-5-s.mkv": made(plain, "-preset", "veryfast", "-bf", "3", "-output_ts_offset", "5"),
  "edit-list.mp4": from("faststart.mp4", ["-c", "copy"], ["-ss", "1.5"]),
  "late-audio.mp4": async (sources, path) => {
    const whole = await sources.path("plain.mp4");
    return await ffmpeg(["-v", "error", "-i", whole, "-itsoffset", "0.5", "-i", whole, "-map", "0:v", "-map", "1:a", "-c", "copy", path]);
  },
  "late-picture.mp4": async (sources, path) => {
    const whole = await sources.path("plain.mp4");
    return await ffmpeg(["-v", "error", "-i", whole, "-itsoffset", "0.5", "-i", whole, "-map", "1:v", "-map", "0:a", "-c", "copy", path]);
  },
  "interlaced-anamorphic.ts": made(
    picture("720x576", 50, 3, 2),
    ["-vf", "tinterlace=interleave_top,setsar=16/15"],
    ["-c:v", "mpeg2video", "-b:v", "6M", "-flags", "+ilme+ildct", "-top", "1"],
  ),
  "vp9-opus.webm": made(
    picture("320x240", 25, 3),
    sound(3),
    "-c:v",
    "libvpx-vp9",
    "-deadline",
    "realtime",
    "-cpu-used",
    "8",
    "-c:a",
    "libopus",
  ),
  "live.webm": made(picture("320x240", 25, 3), sound(3), [
    "-c:v",
    "libvpx",
    "-deadline",
    "realtime",
    "-cpu-used",
    "8",
    "-c:a",
    "libopus",
    "-f",
    "webm",
    "-live",
    "1",
  ]),
  // Without the option the muxer makes room for the delay of the sound by a frame that is not there.
  "mpeg4-mp3.avi": made(
    picture("320x240", 25, 3),
    sound(3),
    "-c:v",
    "mpeg4",
    "-q:v",
    "5",
    "-c:a",
    "libmp3lame",
    "-avoid_negative_ts",
    "disabled",
  ),
  "subtitles.mkv": async (sources, path) => {
    const lines = await sources.path("subtitles.srt");
    return await ffmpeg(["-v", "error", "-i", await sources.path("plain.mp4"), "-i", lines, "-c", "copy", "-c:s", "srt", path]);
  },
  /** Lines that begin before the picture, with an empty one among them; and more of another language than anybody reads. */
  "odd-lines.mkv": async (sources, path) => {
    const [whole, odd, many] = await Promise.all(["plain.mp4", "odd.srt", "many.srt"].map((name) => sources.path(name)));
    const inputs = ["-i", whole!, "-i", odd!, "-i", many!];
    const languages = ["-metadata:s:s:0", "language=ger", "-metadata:s:s:1", "language=eng"];
    return await ffmpeg(["-v", "error", ...inputs, "-map", "0", "-map", "1", "-map", "2", "-c", "copy", "-c:s", "ass", ...languages, path]);
  },
  "odd.srt": written(() => "1\n00:00:00,500 --> 00:00:01,500\nEarly\\N\\Nand on.\n\n2\n00:00:02,000 --> 00:00:03,000\nIn time.\n"),
  "many.srt": written(() =>
    Array.from({ length: 3000 }, (_, n) => `${n + 1}\n${srtTime(1000 + n)} --> ${srtTime(2000 + n)}\n${n} ${"x".repeat(1000)}\n`).join(
      "\n",
    ),
  ),
  "subtitles.srt": written(() => "1\n00:00:00,500 --> 00:00:02,000\nA line.\n"),
  /** A call that turned its phone, a broadcast that went from programme to advertisement. */
  "changes-size.ts": async (sources, path) => {
    const parts = await Promise.all([sources.path("part-1.ts"), sources.path("part-2.ts")]);
    await writeFile(path, Buffer.concat(await Promise.all(parts.map(async (part) => await readFile(part)))));
  },
  "part-1.ts": made(picture("640x360", 30, 2), h264),
  "part-2.ts": made(picture("320x240", 30, 2), h264, "-output_ts_offset", "2"),
  /** Recordings joined with `cat`: the clock begins anew. */
  "joined.ts": async (sources, path) => {
    const part = await readFile(await sources.path("part-1.ts"));
    await writeFile(path, Buffer.concat([part, part]));
  },
  "dark-start.mp4": made(picture("640x360", 25, 6), ["-vf", "drawbox=color=black:t=fill:enable='lt(t,3)'", "-g", "25"], h264),

  /** White and a tone for a tenth of each second, black and silent for the rest: shows how sound and picture lie to each other. */
  "flash-and-beep.mp4": made(flashAndBeep),
  "flash-and-beep.ts": made(flashAndBeep),
  "flash-and-beep.mkv": made(flashAndBeep, "-output_ts_offset", "5"),
  "flash-and-beep.webm": made(flashAndBeep, ["-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus"]),
  "flash-and-beep.mov": from("flash-and-beep.mp4", ["-c", "copy"], ["-ss", "0.5"]),

  "cut-off.mp4": cutOff("faststart.mp4", 0.6),
  "cut-off-without-index.mp4": cutOff("plain.mp4", 0.6),
  "bit-rot.mp4": async (sources, path) => {
    await writeFile(path, await readFile(await sources.path("faststart.mp4")));
    const { size } = await stat(path);
    const handle = await open(path, "r+");
    for (let at = Math.floor(size / 3); at < (size * 2) / 3; at += 4001) await handle.write(Buffer.from([0xa5, 0x5a, 0xff]), 0, 3, at);
    await handle.close();
  },

  /** A playlist and an address, carried along as if they were fonts. */
  "attachments.mkv": async (sources, path) => {
    const [film, list] = await Promise.all(["ntsc.mkv", "playlist.mp4"].map((name) => sources.path(name)));
    const attached = [
      "-attach",
      list!,
      "-metadata:s:t",
      "mimetype=application/vnd.apple.mpegurl",
      "-metadata:s:t",
      "filename=../../index.m3u8",
    ];
    return await ffmpeg(["-v", "error", "-i", film!, "-c", "copy", ...attached, path]);
  },
  "subtitles-that-name-others.mkv": async (sources, path) => {
    const [film, lines] = await Promise.all(["ntsc.mkv", "naming.srt"].map((name) => sources.path(name)));
    return await ffmpeg(["-v", "error", "-i", film!, "-i", lines!, "-c", "copy", "-c:s", "srt", path]);
  },
  "naming.srt": written(
    ({ canary }) => `1\n00:00:00,500 --> 00:00:02,000\n<img src="${canary}/x.png"><font face="file:///etc/passwd">A line.\n`,
  ),
  "magicyuv.mkv": made(picture("320x240", 25, 1), "-c:v", "magicyuv"),
  "text.mp4": written(() => "Once upon a time there was no video.\n".repeat(50)),
  "noise.mp4": written(() => "\u0001\u0000\u0002".repeat(5000)),
  "playlist.mp4": written(({ canary }) => `#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n${canary}/secret.ts\n#EXT-X-ENDLIST\n`),
  "local-playlist.mp4": written(
    async (sources) => `#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n${await sources.path("starts-at-1.4-s.ts")}\n#EXT-X-ENDLIST\n`,
  ),
  "concat.mp4": written(
    async (sources) => `ffconcat version 1.0\nfile '${await sources.path("plain.mp4")}'\nfile '${sources.canary}/secret.mp4'\n`,
  ),
  "dash.mp4": written(
    ({ canary }) =>
      `<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT5S"><Period><AdaptationSet><Representation id="1" bandwidth="1" mimeType="video/mp4"><BaseURL>${canary}/secret.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>`,
  ),
  "pixel-bomb.mp4": made("-f", "lavfi", "-i", "color=black:size=8000x8000:rate=5:duration=0.4", h264),
  "gap-bomb.mp4": made(picture("320x240", 1, 2), "-vf", "setpts='if(eq(N,0),0,20000/TB)'", "-vsync", "vfr", h264),
};

export class Sources {
  /** Where playlists of attackers point: a server that nobody may ever ask. */
  readonly canary: string;
  readonly #folder: string;
  readonly #made = new Map<string, Promise<string>>();

  constructor(folder: string, canary: string) {
    this.#folder = folder;
    this.canary = canary;
  }

  /** Makes the source, if this is the first time. */
  async path(name: string): Promise<string> {
    const making = this.#made.get(name) ?? this.#make(name);
    this.#made.set(name, making);
    return await making;
  }

  async #make(name: string): Promise<string> {
    const path = join(this.#folder, name);
    const make = corpus[name];
    if (!make) throw new Error(`There is no source ${name}.`);
    await make(this, path);
    return path;
  }
}

/** Of less than ten seconds. */
function srtTime(ms: number): string {
  return `00:00:0${Math.floor(ms / 1000)},${String(ms % 1000).padStart(3, "0")}`;
}
