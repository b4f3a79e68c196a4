/** Whether a row of measurements grows, or only wavers. */

export interface Slope {
  /** The first and the last value of the line. */
  readonly from: number;
  readonly to: number;
  /** Of the growth a unit of `x`: the best guess, and the ends of its confidence interval of 95 %. */
  readonly slope: number;
  readonly low: number;
  readonly high: number;
}

/**
 * Least squares. Measurements that follow each other resemble each other, and tell less than as many independent ones: the interval is widened
 * by what their residuals repeat of the one before (the lag-one correlation of an autoregressive process).
 */
export function slopeOf(points: readonly (readonly [x: number, y: number])[]): Slope {
  const n = points.length;
  const mean = (of: 0 | 1): number => points.reduce((sum, point) => sum + point[of], 0) / n;
  const [meanX, meanY] = [mean(0), mean(1)];
  const spread = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  const slope = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0) / spread;
  const at = (x: number): number => meanY + slope * (x - meanX);
  const residuals = points.map(([x, y]) => y - at(x));
  const squares = residuals.reduce((sum, each) => sum + each ** 2, 0);
  const error = Math.sqrt(squares / (n - 2) / spread) * inflation(residuals, squares);
  const reach = studentT(n - 2) * error;
  return { from: at(points[0]![0]), to: at(points.at(-1)![0]), slope, low: slope - reach, high: slope + reach };
}

function inflation(residuals: readonly number[], squares: number): number {
  if (squares === 0) return 1;
  const lagged = residuals.slice(1).reduce((sum, each, index) => sum + each * residuals[index]!, 0);
  const correlation = Math.min(0.9, Math.max(0, lagged / squares));
  return Math.sqrt((1 + correlation) / (1 - correlation));
}

/** The 97.5th percentile, by the first terms of its expansion: within one in a hundred from five degrees of freedom on. */
function studentT(freedom: number): number {
  const z = 1.96;
  return z + (z ** 3 + z) / (4 * freedom) + (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * freedom ** 2);
}
