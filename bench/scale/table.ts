/** Tables as documents have them. */

/** Three figures that count; whole numbers as they are. */
export function cell(value: number): string {
  if (!Number.isFinite(value)) return "none";
  if (Number.isInteger(value) || Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(Math.abs(value) < 1 ? 2 : 3)));
}

const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;

export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  return [line(heads), line(heads.map((_, index) => (index === 0 ? "---" : "---:"))), ...rows.map(line)].join("\n");
}
