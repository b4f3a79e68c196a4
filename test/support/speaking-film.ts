/** A small film that says the same words in every place where a container takes any. */
import { randomUUID } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ffmpeg } from "./ffmpeg.ts";

const TAGS = ["title", "artist", "comment", "description", "encoder", "encoded_by", "filename", "service_name", "major_brand"];
const STREAM_TAGS = ["title", "handler_name", "language", "filename"];

/** Title, comment and the like, names and languages of streams, chapters, the name of what is attached, lines of text. Answers the bytes. */
export async function speakingFilm(folder: string, words: string, container: "mkv" | "mp4"): Promise<Buffer<ArrayBuffer>> {
  // No tag holds a NUL, and neither does an argument.
  const said = words.replaceAll("\0", "");
  const [chapters, lines, film] = [".ffmeta", ".srt", `.${container}`].map((end) => join(folder, `${randomUUID()}${end}`));
  await writeFile(chapters!, `;FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=400\ntitle=${escaped(said)}\n`);
  await writeFile(lines!, "1\n00:00:00,000 --> 00:00:00,400\nA line.\n");
  const inputs = [
    ["-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10:duration=0.5"],
    ["-f", "lavfi", "-i", "sine=duration=0.5"],
    ["-i", lines!, "-f", "ffmetadata", "-i", chapters!],
    ["-map", "0", "-map", "1", "-map", "2", "-map_metadata", "3", "-map_chapters", "3"],
  ];
  const coded = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac"];
  const text = container === "mkv" ? ["-c:s", "srt", "-attach", lines!, "-metadata:s:t", "mimetype=text/plain"] : ["-c:s", "mov_text"];
  const tags = [...TAGS.map((tag) => ["-metadata", `${tag}=${said}`]), ...STREAM_TAGS.map((tag) => ["-metadata:s", `${tag}=${said}`])];
  const all = container === "mp4" ? ["-movflags", "+faststart+use_metadata_tags"] : [];
  await ffmpeg(["-v", "error", ...inputs, coded, text, ...tags, all].flat().concat(film!));
  return await readFile(film!);
}

const escaped = (words: string): string => words.replaceAll(/[=;#\\\n]/g, String.raw`\$&`);
