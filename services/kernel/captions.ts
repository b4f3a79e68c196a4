/** Captions as players take them: WebVTT (W3C), checked cue by cue; SubRip becomes WebVTT. */
import { failure } from "./errors.ts";

/** A film of four hours has some 4,000 cues, in some 300 KB. */
export const CAPTIONS_BYTES_MAX = 2 * 1024 * 1024;
const CUES_MAX = 20_000;

interface Cue {
  readonly startMs: number;
  readonly endMs: number;
  /** Of the timing line, with a space before each. */
  readonly settings: string;
  readonly lines: readonly string[];
}

const VTT_TIME = String.raw`(?:([0-9]{2,}):)?([0-5][0-9]):([0-5][0-9])\.([0-9]{3})`;
const VTT_TIMING = new RegExp(String.raw`^${VTT_TIME}[ \t]+-->[ \t]+${VTT_TIME}((?:[ \t]+[a-z]+:[\w%.,+-]+)*)[ \t]*$`);
const VTT_SETTING = /^(?:vertical:(?:rl|lr)|(?:line|position):[\w%.,-]+|size:[0-9.]+%|align:(?:start|center|end|left|right))$/;
const SRT_TIME = String.raw`([0-9]{1,3}):([0-5]?[0-9]):([0-5]?[0-9])[,.]([0-9]{1,3})`;
/** What stands behind the times places the text on a screen of a fixed size. */
const SRT_TIMING = new RegExp(String.raw`^${SRT_TIME}[ \t]*-->[ \t]*${SRT_TIME}(?:[ \t]+[XY][12]:[0-9]+)*[ \t]*$`);

/**
 * The captions as WebVTT that holds nothing but cues: notes, styles and regions are left out. CAPTIONS_INVALID with the line that is wrong.
 */
export function webVtt(bytes: Uint8Array): string {
  const text = decoded(bytes);
  if (text.includes("\0")) throw invalid("it holds a NUL character");
  const lines = text.replaceAll(/\r\n?/g, "\n").split("\n");
  const cues = /^WEBVTT(?:[ \t].*)?$/.test(lines[0] ?? "") ? vttCues(lines) : srtCues(lines);
  if (cues.length === 0) throw invalid("it holds no cue");
  if (cues.length > CUES_MAX) throw invalid(`it holds more than ${CUES_MAX} cues`);
  return vtt(cues);
}

/**
 * What ffmpeg makes of the lines of text of a source, as WebVTT that players read: what is odd in one cue costs no other. All comes `shiftS` too late.
 * Undefined when nothing is left.
 */
export function mendedVtt(bytes: Uint8Array, shiftS: number): string | undefined {
  const text = new TextDecoder("utf-8").decode(bytes).replaceAll("\0", "\uFFFD");
  const cues = loosely(text.replaceAll(/\r\n?/g, "\n").split("\n"))
    .map((cue) => ({ ...cue, startMs: Math.max(0, cue.startMs - shiftS * 1000), endMs: cue.endMs - shiftS * 1000 }))
    .filter(({ startMs, endMs, lines }) => startMs < endMs && lines.length > 0 && !DRAWING.test(lines.join(" ")));
  return cues.length === 0 ? undefined : vtt(inOrder(cues, { sort: true }).slice(0, CUES_MAX));
}

/** A shape, of which SubStation Alpha tells the lines in letters and numbers. */
const DRAWING = /^m(?: -?[0-9.]+){2}(?: (?:[mnlbspc]|-?[0-9.]+))*$/;

/** An empty line within a cue ends it for players; here only the next timing does. */
function loosely(lines: readonly string[]): (Timing & { lines: string[] })[] {
  const cues: (Timing & { lines: string[] })[] = [];
  for (const [index, line] of lines.entries()) {
    const times = lines[index - 1] === "" ? vttTiming(line) : undefined;
    if (times) cues.push({ ...times, lines: [] });
    else if (line.trim() !== "") cues.at(-1)?.lines.push(line.replaceAll("-->", "--&gt;"));
  }
  return cues;
}

function decoded(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw invalid("it is not UTF-8");
  }
}

/** Runs of lines that are not empty, each with the number of its first line. */
function blocksOf(lines: readonly string[], from: number): { at: number; lines: string[] }[] {
  const blocks: { at: number; lines: string[] }[] = [];
  let open = false;
  for (const [index, line] of lines.entries()) {
    if (index < from) continue;
    if (line.trim() === "") open = false;
    else if (open) blocks.at(-1)?.lines.push(line);
    else blocks.push({ at: index + 1, lines: [line] });
    if (line.trim() !== "") open = true;
  }
  return blocks;
}

function vttCues(lines: readonly string[]): Cue[] {
  const headerEnd = lines.findIndex((line) => line === "");
  if (lines.slice(1, headerEnd < 0 ? undefined : headerEnd).some((line) => line.includes("-->"))) {
    throw invalid("line 2: an empty line has to stand between WEBVTT and the first cue");
  }
  const blocks = blocksOf(lines, headerEnd < 0 ? lines.length : headerEnd).filter(
    ({ lines: [first = ""] }) => !/^(?:NOTE|STYLE|REGION)(?:[ \t]|$)/.test(first),
  );
  return inOrder(blocks.map((block) => cueOf(block, vttTiming)));
}

function srtCues(lines: readonly string[]): Cue[] {
  return inOrder(
    blocksOf(lines, 0).map((block) => ({ ...cueOf(block, srtTiming), lines: srtText(block.lines) })),
    { sort: true },
  );
}

type Timing = Omit<Cue, "lines">;

function cueOf({ at, lines }: { at: number; lines: string[] }, timing: (line: string) => Timing | undefined): Cue & { at: number } {
  const index = lines[0]?.includes("-->") ? 0 : 1;
  const times = timing(lines[index] ?? "");
  if (!times) throw invalid(`line ${at + index}: this is no timing such as 00:00:01.000 --> 00:00:04.000`);
  if (times.endMs <= times.startMs) throw invalid(`line ${at + index}: the cue ends before it begins`);
  const text = lines.slice(index + 1);
  const arrow = text.findIndex((line) => line.includes("-->"));
  if (arrow >= 0) throw invalid(`line ${at + index + 1 + arrow}: an empty line has to stand between two cues`);
  return { at: at + index, ...times, lines: text };
}

function vttTiming(line: string): Timing | undefined {
  const match = VTT_TIMING.exec(line);
  if (!match) return undefined;
  const settings = (match[9] ?? "")
    .trim()
    .split(/[ \t]+/)
    .filter((setting) => setting !== "");
  if (!settings.every((setting) => VTT_SETTING.test(setting) || setting.startsWith("region:"))) return undefined;
  const kept = settings.filter((setting) => !setting.startsWith("region:"));
  return { startMs: millis(match.slice(1, 5)), endMs: millis(match.slice(5, 9)), settings: kept.map((setting) => ` ${setting}`).join("") };
}

function srtTiming(line: string): Timing | undefined {
  const match = SRT_TIMING.exec(line);
  return match ? { startMs: millis(match.slice(1, 5)), endMs: millis(match.slice(5, 9)), settings: "" } : undefined;
}

function millis([hours = "0", minutes = "0", seconds = "0", fraction = "0"]: readonly (string | undefined)[]): number {
  return ((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000 + Number(fraction.padEnd(3, "0"));
}

/** Bold, italic and underlined mean the same in both; colours and places of SubRip mean nothing in WebVTT. */
function srtText(block: readonly string[]): string[] {
  const text = block.slice(block[0]?.includes("-->") ? 1 : 2);
  return text.map((line) =>
    line
      .replaceAll(/\{\\[^}]*\}/g, "")
      .replaceAll(/<\/?font[^>]*>/gi, "")
      .replaceAll("&", "&amp;")
      .replaceAll(/<(\/?[biu])>/gi, (_, tag: string) => `\u0001${tag.toLowerCase()}\u0002`)
      .replaceAll("<", "&lt;")
      .replaceAll(">", "&gt;")
      .replaceAll("\u0001", "<")
      .replaceAll("\u0002", ">"),
  );
}

/** WebVTT wants cues by their start (4.1); SubRip has no such rule. */
function inOrder<C extends Cue & { at?: number }>(cues: readonly C[], { sort = false } = {}): C[] {
  if (sort) return cues.toSorted((a, b) => a.startMs - b.startMs);
  const late = cues.find(({ startMs }, index) => startMs < (cues[index - 1]?.startMs ?? 0));
  if (late) throw invalid(`line ${late.at}: the cue begins before the one above it`);
  return [...cues];
}

function vtt(cues: readonly Cue[]): string {
  return ["WEBVTT", ...cues.map(written), ""].join("\n\n").replace(/\n+$/, "\n");
}

function written({ startMs, endMs, settings, lines }: Cue): string {
  return [`${time(startMs)} --> ${time(endMs)}${settings}`, ...lines].join("\n");
}

function time(ms: number): string {
  return `${padded(ms / 3_600_000, 2)}:${padded((ms / 60_000) % 60, 2)}:${padded((ms / 1000) % 60, 2)}.${padded(ms % 1000, 3)}`;
}

function padded(value: number, digits: number): string {
  return String(Math.floor(value)).padStart(digits, "0");
}

function invalid(problem: string): Error {
  return failure("CAPTIONS_INVALID", `These are no captions in WebVTT or SubRip: ${problem}.`);
}
