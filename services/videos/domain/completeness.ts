/** Whether everything is there that playback needs. */

export interface StoredRendition {
  readonly name: string;
  readonly planned: number;
  readonly stored: number;
  /** The highest number, 0 when there is none. */
  readonly last: number;
}

/** The plan rounds durations, so the last segment may be one more or one less than planned. */
const TOLERANCE = 1;

/** What is wrong with the first rendition that lacks something, for a person; undefined when all are whole. */
export function flawOf(renditions: readonly StoredRendition[]): string | undefined {
  return renditions.map(flaw).find((found) => found !== undefined);
}

function flaw({ name, planned, stored, last }: StoredRendition): string | undefined {
  if (stored === 0) return `The rendition ${name} has no segments.`;
  if (stored !== last) return `The rendition ${name} has a gap: ${stored} segments, and the last is number ${last}.`;
  if (Math.abs(stored - planned) > TOLERANCE) return `The rendition ${name} has ${stored} segments instead of ${planned}.`;
  return undefined;
}
