/** Which renditions a source gets. */

export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface LadderRung extends Size {
  /** The short side of the rung, as people say it: "720p". */
  readonly name: string;
  /** Peak bits per second, in thousands, that the encoder's buffer model allows. */
  readonly maxrateK: number;
}

/** Short side and peak. The quality is constant (CRF 23); the cap is for the connection of the viewer. */
const RUNGS = [
  { short: 1080, maxrateK: 5000 },
  { short: 720, maxrateK: 2800 },
  { short: 480, maxrateK: 1400 },
  { short: 360, maxrateK: 800 },
  { short: 240, maxrateK: 400 },
] as const;
const SMALLEST = RUNGS[4];

/** Decoders in phones and televisions take no longer line. */
const LONG_SIDE_MAX = 4096;

/**
 * The rungs for a picture of this size as it is to be seen (after rotation, with square pixels), the largest first. None is larger than the
 * source. A source below the smallest rung gets one rendition of its own size.
 */
export function ladderOf(source: Size): readonly LadderRung[] {
  const short = Math.min(source.width, source.height);
  const rungs = RUNGS.filter((rung) => rung.short <= short);
  const chosen = rungs.length > 0 ? rungs : [{ short: evenBelow(short), maxrateK: SMALLEST.maxrateK }];
  return chosen.map((rung) => ({ name: `${rung.short}p`, maxrateK: rung.maxrateK, ...sizeOf(source, rung.short) }));
}

function sizeOf(source: Size, short: number): Size {
  const ratio = Math.max(source.width, source.height) / Math.min(source.width, source.height);
  const long = Math.min(even(short * ratio), LONG_SIDE_MAX);
  const across = short * ratio > LONG_SIDE_MAX ? even(LONG_SIDE_MAX / ratio) : short;
  return source.width >= source.height ? { width: long, height: across } : { width: across, height: long };
}

/** 4:2:0 has one colour sample for two by two pixels. */
function even(pixels: number): number {
  return Math.max(2, Math.round(pixels / 2) * 2);
}

function evenBelow(pixels: number): number {
  return Math.floor(pixels / 2) * 2;
}
