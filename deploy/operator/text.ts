/** Tables that a person likes to read, and what they are made of. */

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** 1536 → "1.5 KiB". */
export function bytes(count: number): string {
  const unit = Math.min(UNITS.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, count)) / 10)));
  const value = count / 1024 ** unit;
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

/** 1234567 → "1,234,567". */
export function number(count: number): string {
  return count.toLocaleString("en");
}

export function share(part: number, whole: number): string {
  return whole > 0 ? `${((100 * part) / whole).toFixed(1)} %` : "–";
}

/** "3 min", "2 h 10 min". */
export function duration(seconds: number): string {
  const minutes = Math.round(seconds / 60);
  if (minutes === 0) return `${Math.round(seconds)} s`;
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** "4,096", "1.5 GiB", "33.3 %", "0 → 3,072", or none. An id may begin with a digit, too. */
const NUMBER = /^(?:–|[\d.,]+(?: \S{1,3})?(?: → [\d.,]+(?: \S{1,3})?)?)$/;

/** A row a line, the heads first; columns of numbers stand at the right. */
export function table(heads: readonly string[], lines: readonly (readonly string[])[]): string {
  const all = [heads, ...lines];
  const widths = heads.map((_, column) => Math.max(...all.map((line) => line[column]?.length ?? 0)));
  const numeric = heads.map((_, column) => lines.length > 0 && lines.every((line) => NUMBER.test(line[column] ?? "")));
  const row = (line: readonly string[]): string =>
    line
      .map((cell, column) => (numeric[column] ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join("  ")
      .trimEnd();
  return all.map(row).join("\n");
}
