/** Which pictures stand in a storyboard. Each is the first one of a segment: a keyframe, so that nothing else has to be decoded. */

/** Ten rows of ten: 1600 × 900 pixels and about 400 KB for a video of 16:9. A film of two hours has one picture for each 72 s. */
const COLUMNS = 10;
const TILES_MAX = COLUMNS * 10;
const TILE_HEIGHT = 90;
/** Of a picture that is wider than 3:1. */
const TILE_WIDTH_MAX = 270;

interface StoredSegment {
  readonly blob: string;
  readonly size: number;
  /** In ticks. */
  readonly start: number;
}

/** One quality of a video, as it is stored. */
export interface StoredRendition {
  readonly width: number;
  readonly height: number;
  /** Ticks a second. */
  readonly timescale: number;
  readonly init: { readonly blob: string; readonly size: number };
  /** All of them, in order. */
  readonly segments: readonly StoredSegment[];
}

export interface Storyboard {
  /** Pictures in a row; the last row may be shorter. */
  readonly columns: number;
  readonly rows: number;
  /** Pixels of each picture. */
  readonly width: number;
  readonly height: number;
  /** When each begins, s. It stands for the time until the next. */
  readonly starts: readonly number[];
  /** What they are decoded from: the initialisation, and a segment for each. */
  readonly parts: readonly { readonly blob: string; readonly size: number }[];
}

/** At most a hundred, at distances as equal as segments are. */
export function storyboardOf({ width, height, timescale, init, segments }: StoredRendition): Storyboard {
  const count = Math.min(TILES_MAX, segments.length);
  const chosen = Array.from({ length: count }, (_, tile) => segments[Math.floor((tile * segments.length) / count)]!);
  return {
    columns: Math.min(COLUMNS, count),
    rows: Math.ceil(count / COLUMNS),
    width: Math.max(2, Math.min(TILE_WIDTH_MAX, 2 * Math.round((TILE_HEIGHT * width) / height / 2))),
    height: TILE_HEIGHT,
    starts: chosen.map(({ start }) => start / timescale),
    parts: [init, ...chosen],
  };
}
