/** 1234567 as 1,234,567. */
export const count = (value: number) => Math.round(value).toLocaleString("en-US");

/** A fraction as percent: 0.8312 as 83.12 %, 0.0001 as 0.01 %, 0.000012 as 0.0012 %. */
export function percent(fraction: number): string {
  const value = 100 * fraction;
  const digits = value === 0 || value >= 0.01 ? 2 : Math.min(8, 1 - Math.floor(Math.log10(value)));
  return `${value.toFixed(digits)} %`;
}

/** Multiply-accumulates in millions. */
export const millions = (value: number) => `${(value / 1e6).toFixed(3)} M`;

export function bytes(value: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, value > 0 ? Math.floor(Math.log10(value) / 3) : 0);
  return power === 0 ? `${value} B` : `${(value / 1000 ** power).toFixed(2)} ${units[power]}`;
}

/** Seconds as 4.2 s, 3 min 05 s or 2 h 07 min. */
export function duration(seconds: number): string {
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const two = (value: number) => String(Math.floor(value)).padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two((whole % 3600) / 60)} min`;
}

/** Rows under a heading, columns aligned: those numbered in `left` to the left, the others to the right. */
export function table(
  heading: readonly string[],
  rows: readonly (readonly string[])[],
  left: readonly number[],
): string {
  const widths = heading.map((cell, i) => Math.max(...[cell, ...rows.map((row) => row[i])].map((text) => text.length)));
  return [heading, ...rows]
    .map((row) =>
      row.map((cell, i) => (left.includes(i) ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join("  "),
    )
    .map((line) => `${line.trimEnd()}\n`)
    .join("");
}

/** Names and values, one a line. */
export function facts(entries: readonly (readonly [string, string])[]): string {
  const width = Math.max(...entries.map(([name]) => name.length));
  return entries.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join("");
}
