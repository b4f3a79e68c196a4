/** The middle value: a noisy neighbour on a shared core moves it less than a mean. */
export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

/** Nearest rank, `share` from 0 to 1; NaN for no values. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}
