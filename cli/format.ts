// Numbers and tables for people.

/** Columns as wide as their widest cell; the first `left` of them flush left, the others right. */
export function aligned(rows: readonly (readonly string[])[], left: number): string {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  const line = (row: readonly string[]) =>
    row.map((cell, i) => (i < left ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join("  ");
  return rows.map((row) => line(row).trimEnd()).join("\n");
}

/** 0.1234 as 12.3 %. */
export function percent(fraction: number): string {
  return `${(fraction * 100).toFixed(1)} %`;
}

/** The three digits that count: 0.0123, 1.23, 12.3; whole numbers from 1,000 on. */
export function digits(value: number): string {
  const precision =
    Math.abs(value) >= 1000 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 3 };
  return value.toLocaleString("en-US", precision);
}

/** Bytes as 12 KiB, 3.4 MiB, 56 GiB. */
export function bytes(value: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${digits(value)} ${units[unit]}`;
}

/** A path that no command takes for a flag. */
export function pathWord(path: string): string {
  return path.startsWith("-") ? `./${path}` : path;
}
