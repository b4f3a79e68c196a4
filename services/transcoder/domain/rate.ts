/** Frames a second as exact fractions, and which of them a source is converted to. */

/** Numerator and denominator, such as [30000, 1001]. */
export type Rate = readonly [number, number];

/** What the standards of cinema and television use, and screens show without judder. In growing order. */
const STANDARD: readonly Rate[] = [
  [24000, 1001],
  [24, 1],
  [25, 1],
  [30000, 1001],
  [30, 1],
  [48, 1],
  [50, 1],
  [60000, 1001],
  [60, 1],
];
/** Nobody sees more, and every frame costs an encode in each rendition. */
const RATE_MAX: Rate = [60, 1];

/** 29.97 is written as 2997/100, 30000/1001 or 19001/634 by different programs; 29.97 and 30 differ by ten times this much. */
const SAME = 1e-4;
/** Larger numbers than these are noise of a measurement, and would make a time scale that does not fit 32 bits. */
const TERM_MAX = 1_000_000;

export const perSecond = ([frames, seconds]: Rate): number => frames / seconds;

/** "30000/1001" as a fraction in lowest terms; undefined for "0/0" and what else means "not known". */
export function parseRate(text: string | undefined): Rate | undefined {
  const [, frames = "0", seconds = "0"] = /^([0-9]{1,12})\/([0-9]{1,12})$/.exec(text ?? "") ?? [];
  return Number(frames) > 0 && Number(seconds) > 0 ? reduced(Number(frames), Number(seconds)) : undefined;
}

/** The rate to keep for a source whose frames are evenly spaced: its own, in the usual spelling; above the limit every 2nd, 3rd, … frame of it. */
export function steadyRate(source: Rate): Rate {
  const usual = STANDARD.find((rate) => isSame(perSecond(rate), perSecond(source))) ?? tame(source);
  const every = Math.ceil(perSecond(usual) / perSecond(RATE_MAX) - SAME);
  return every > 1 ? reduced(usual[0], usual[1] * every) : usual;
}

/**
 * The rate for a source whose frames come as they like: the smallest usual one that loses none of them on average, and that no long stretch outruns.
 * A whole number: where it is a thousandth too fast a frame is shown twice now and then, where it were too slow one would be lost.
 */
export function gridRate(average: number, outruns: (perSecond: number) => boolean): Rate {
  const whole = STANDARD.filter(([, seconds]) => seconds === 1);
  return whole.find((rate) => perSecond(rate) >= average * (1 - SAME) && !outruns(perSecond(rate))) ?? RATE_MAX;
}

const isSame = (a: number, b: number): boolean => Math.abs(a / b - 1) < SAME;

function tame([frames, seconds]: Rate): Rate {
  return frames <= TERM_MAX && seconds <= TERM_MAX ? [frames, seconds] : reduced(Math.max(1, Math.round((frames / seconds) * 1000)), 1000);
}

function reduced(frames: number, seconds: number): Rate {
  const divisor = greatestCommonDivisor(frames, seconds);
  return [frames / divisor, seconds / divisor];
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
