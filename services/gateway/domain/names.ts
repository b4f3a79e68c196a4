/** Names that come from outside: nothing of them ever becomes a path; they are cleaned so that they can be shown and stored. */
import { basename, extname } from "node:path/posix";

/** What file systems and the catalogue hold (UTF-8). */
const FILENAME_BYTES_MAX = 255;
const TITLE_LENGTH_MAX = 200;
/** Names of a file that say nothing. */
const NAMELESS = "video";

/** Tabs and ends of lines. */
const BREAKS = /[\t-\r\u0085\u2028\u2029]+/g;
/** Control characters; and the marks that turn the direction of writing, with which `gpj.exe` reads as `exe.jpg`. */
const INVISIBLE = /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;
/** The same without tab and line feed, which a description may have. */
const INVISIBLE_IN_TEXT = /(?![\t\n])[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** The last part of a path of either kind, without what cannot be seen, at most 255 bytes long with its extension kept. */
export function cleanFilename(name: string): string {
  const last = basename(cleanLine(name).replaceAll("\\", "/")).trim();
  if (last === "" || last === "." || last === "..") return NAMELESS;
  const extension = extname(last);
  const kept = Buffer.byteLength(extension) < FILENAME_BYTES_MAX / 2 ? extension : "";
  return cut(last.slice(0, last.length - kept.length), FILENAME_BYTES_MAX - Buffer.byteLength(kept)) + kept;
}

/** A file's name without its extension, as a title. */
export function titleOf(filename: string): string {
  const title = filename.slice(0, filename.length - extname(filename).length).trim();
  return (title === "" ? filename : title).slice(0, TITLE_LENGTH_MAX).toWellFormed();
}

/** One line of text: a title, a tag. What parts words goes on parting them. */
export function cleanLine(text: string): string {
  return text.toWellFormed().normalize("NFC").replace(BREAKS, " ").replace(INVISIBLE, "").trim();
}

/** Lines of text: a description. */
export function cleanText(text: string): string {
  return text.toWellFormed().normalize("NFC").replaceAll("\r\n", "\n").replace(INVISIBLE_IN_TEXT, "").trim();
}

/** `"news, live,news"` is two tags. */
export function splitTags(text: string): string[] {
  return uniqueTags(text.split(","));
}

/** Each once, and none that is empty. */
export function uniqueTags(tags: readonly string[]): string[] {
  return [...new Set(tags.map(cleanLine).filter((tag) => tag !== ""))];
}

/**
 * The text of an `X-Filename` header. Header values are bytes, which Node gives as Latin-1: clients put UTF-8 there, either as it is or percent-encoded.
 */
export function headerText(value: string): string {
  const text = Buffer.from(value, "latin1").toString("utf8");
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** At most so many bytes, never half a character. */
function cut(text: string, bytesMax: number): string {
  let end = text.length;
  while (Buffer.byteLength(text.slice(0, end)) > bytesMax) end -= 1;
  return text
    .slice(0, end)
    .toWellFormed()
    .replace(/\ufffd$/, "");
}
